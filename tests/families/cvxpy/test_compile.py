"""What CVXPY problems compile to, and what is refused."""

import sys
import warnings
from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest

import lpgd
from lpgd.core.errors import StructureError
from lpgd.core.problem import users
from lpgd.families.conic.polyhedral import Polyhedral
from lpgd.families.cvxpy.compile import compile_model
from tests.cvxpy_programs import LINEAR, MAKERS, make


def compiled(objective, constraints=(), variables=None, **options):
    problem = cp.Problem(objective, list(constraints))
    chosen = problem.variables() if variables is None else variables
    return compile_model(problem, problem.parameters(), chosen, **options)


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_every_constraint_is_a_row(maker):
    case = make(maker)
    model = compile_model(case.problem, case.parameters, case.variables, gp=case.gp)
    assert model.inner.cones.kinds <= case.cones
    assert case.cones - LINEAR <= model.inner.cones.kinds
    assert model.inner.quadratic == case.quadratic
    assert model.inner.quadratic == ("P" in model.maps)
    assert not model.inner.quadratic or model.inner.patterns["P"].symmetric


def test_rows_are_in_the_order_of_the_cones():
    x, t = cp.Variable(3), cp.Variable()
    rows = [cp.ExpCone(x[0], x[1], x[2]), cp.SOC(t, x), x >= 0, cp.sum(x) == 1, cp.norm(x[:2]) <= 2]
    X = cp.Variable((2, 2), PSD=True)
    rows += [cp.PowCone3D(x[0], x[1], x[2], 0.25), X[0, 0] <= t]
    cones = compiled(cp.Minimize(t + cp.trace(X)), rows).inner.cones
    assert cones == lpgd.Cones(zero=1, nonneg=5, soc=(4, 3), psd=(2,), exp=1, power=(0.25,))


def test_norms_of_nothing_are_bounds():
    t = cp.Variable()
    cone = cp.SOC(t, cp.Variable((0,)))
    model = compiled(cp.Minimize(t), [cone], [t])
    assert model.inner.cones == lpgd.Cones(nonneg=1)


@pytest.mark.parametrize("gp", [False, True])
def test_parameters_need_no_values(gp):
    x, a = cp.Variable(pos=gp), cp.Parameter(pos=gp)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = compiled(cp.Minimize(x), [x >= a], gp=gp)
    assert [given.log for given in model.inputs.values()] == [gp]


def test_a_parameter_may_enter_with_its_logarithm_and_as_an_exponent():
    x, y, a = cp.Variable(pos=True), cp.Variable(pos=True), cp.Parameter(pos=True, value=0.5)
    model = compiled(cp.Minimize(x * y), [x >= a, y >= x**a, x * y >= 1], gp=True)
    assert [(given.parameter, given.log) for given in model.inputs.values()] == [
        (0, False),
        (0, True),
    ]


x, p, q = cp.Variable(2, name="x"), cp.Parameter(name="p", nonneg=True), cp.Parameter(2, name="q")


@pytest.mark.parametrize(
    "objective, constraints, message",
    [
        (cp.Minimize(cp.sum_squares(x)), [p * q <= x], r"must be DPP.*constraint .*, at .* \* q"),
        (cp.Minimize(p * (q @ x)), [], r"must be DPP.*the objective, at p \* "),
        (cp.Minimize(cp.sum(x)), [cp.quad_form(x, cp.Parameter((2, 2), PSD=True, name="S")) <= 1],
         r"must be DPP.*constraint QuadForm\(x, S\)"),
        (cp.Minimize(-cp.sum_squares(x)), [], "must be DCP.*objective"),
        (cp.Minimize(cp.sum(cp.Variable(2, integer=True))), [], "integer variables"),
        (cp.Minimize(cp.real(cp.Variable(complex=True)) ** 2 + p), [], "complex variables"),
        (cp.Minimize(p), [], "no variables"),
    ],
)  # fmt: skip
def test_what_cannot_be_differentiated_is_named(objective, constraints, message):
    with pytest.raises(StructureError, match=message):
        compiled(objective, constraints)


def test_geometric_programs_are_checked_as_such():
    y, a = cp.Variable(pos=True), cp.Parameter(pos=True)
    with pytest.raises(StructureError, match="must be DGP"):
        compiled(cp.Minimize(y - 1), gp=True)
    with pytest.raises(StructureError, match="Problem must be DPP for geometric programming"):
        compiled(cp.Minimize(y), [y >= (a + 1) ** a], gp=True)


def problem():
    return cp.Problem(cp.Minimize(p * cp.sum_squares(x) + q @ x), [x >= 0])


@pytest.mark.parametrize(
    "parameters, variables, message",
    [
        ([p], [x], "must exactly match problem.parameters, each once: .*q"),
        ([p, q, cp.Parameter()], [x], "must exactly match problem.parameters"),
        ([p, q, q], [x], "must exactly match problem.parameters"),
        ({p, q}, [x], "parameters must be provided as a list or tuple"),
        ([p, q], x, "variables must be provided as a list or tuple"),
        ([p, q], [cp.Variable()], "must be a subset of problem.variables"),
        ([p, q], ["x"], "must be a subset of problem.variables"),
    ],
)
def test_other_parameters_and_variables_are_refused(parameters, variables, message):
    with pytest.raises(StructureError, match=message):
        compile_model(problem(), parameters, variables)


def test_only_problems_compile():
    with pytest.raises(StructureError, match=r"must be a cvxpy\.Problem, got float"):
        compile_model(1.0, [], [])


def test_cvxpy_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "cvxpy", None)
    with pytest.raises(lpgd.MissingExtraError, match=r"pip install \"lpgd\[cvxpy\]\""):
        compile_model(None, [], [])


def test_objectives_may_have_a_matrix_parameter():
    P = cp.Parameter((2, 2), PSD=True)
    model = compiled(cp.Minimize(cp.quad_form(x, P) + q @ x))
    key = next(key for key, given in model.inputs.items() if given.shape == (2, 2))
    assert set(model.maps["P"].parts) == {key}
    value = np.array([[[2.0, 4.0], [-2.0, 3.0]]])  # of which the symmetric part counts
    pattern, part = model.inner.patterns["P"], model.maps["P"].parts[key]
    np.testing.assert_allclose(pattern.dense(part(value.reshape(1, -1)))[0], [[4, 2], [2, 6]])


def test_the_entries_of_the_user_are_known():
    x, p = cp.Variable(3), cp.Parameter(2)
    epigraph, bounds = cp.norm(x[:2]) <= 1, x >= 0
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x[:2] - p) + cp.norm1(x)), [epigraph, bounds])
    model = compile_model(problem, [p], [x])
    own_x, own_y = users(model.program)
    place = model.outputs[0].entries.matrix.indices
    assert sorted(place) == np.flatnonzero(own_x).tolist()
    assert model.n > 3  # residuals and absolute values
    assert own_y.sum() >= 3  # x >= 0, and not the rows of the residuals
    assert own_y.sum() < model.m


def test_a_flat_program_keeps_them():
    x, p = cp.Variable(2), cp.Parameter(2)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - p)), [x >= 0])
    model = compile_model(problem, [p], [x])
    flat = replace(model, inner=Polyhedral(model.inner))
    assert users(flat.program)[0].sum() == 2
    assert users(flat.program)[1].sum() == 2


FILTER, FACTOR = cp.Parameter(2), cp.Parameter((2, 2))
SIGNAL, BLOCK = cp.Variable(3), cp.Variable((2, 2))


@pytest.mark.parametrize(
    "wrong, right, advice",
    [
        (
            cp.convolve(FILTER, SIGNAL),
            sum(FILTER[i] * cp.hstack([np.zeros(i), SIGNAL, np.zeros(1 - i)]) for i in range(2)),
            r"Write convolve\(p, x\) .* as sum\(p\[i\] \* hstack",
        ),
        (
            cp.kron(FACTOR, BLOCK),
            cp.bmat([[FACTOR[i, j] * BLOCK for j in range(2)] for i in range(2)]),
            r"Write kron\(K, X\) as bmat",
        ),
        (
            cp.kron(BLOCK, FACTOR),
            cp.bmat([[BLOCK[i, j] * FACTOR for j in range(2)] for i in range(2)]),
            r"Write kron\(K, X\) as bmat",
        ),
    ],
    ids=["convolve", "kron", "kron of a variable"],
)
def test_advice_fits_the_atom_and_helps(wrong, right, advice):
    rng = np.random.default_rng(0)
    for leaf in (FILTER, FACTOR, SIGNAL, BLOCK):
        leaf.value = rng.normal(size=leaf.shape)
    np.testing.assert_allclose(right.value, wrong.value)
    for expression, message in ((wrong, advice), (right, None)):
        problem = cp.Problem(cp.Minimize(cp.sum_squares(expression)))
        names = problem.parameters(), problem.variables()
        if message is None:
            compile_model(problem, *names)
        else:
            with pytest.raises(StructureError, match=message) as caught:
                compile_model(problem, *names)
            assert "A product of parameters" not in str(caught.value)
