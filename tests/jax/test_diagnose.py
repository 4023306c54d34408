"""``lpgd.diagnose`` of functions names what it names of layers, and reports the same numbers."""

from functools import partial

import numpy as np
import pytest

import lpgd
from tests.diagnosis import planted
from tests.diagnosis.planted import COSTS, EYE, PLANTED, first_minus_second, squares


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_the_cause_is_named(plant):
    case = plant(planted.Jax())
    found = lpgd.diagnose(
        case.layer, *case.inputs, loss=case.loss, learned=case.learned, **case.named
    )
    assert found.cause == case.cause, str(found)
    assert found.gradients.keys() == {case.learned}
    assert f"cause: {case.cause}" in str(found)
    assert max(map(len, str(found).splitlines())) <= 80


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_the_report_is_that_of_torch(plant):
    pytest.importorskip("torch")
    reports = []
    for kit in (planted.Torch(), planted.Jax()):
        case = plant(kit)
        given = {"loss": case.loss, "learned": case.learned, **case.named}
        reports.append(lpgd.diagnose(case.layer, *case.inputs, **given))
    theirs, ours = reports
    assert [f.name for f in ours.findings] == [f.name for f in theirs.findings]
    assert [f.text for f in ours.findings] == [f.text for f in theirs.findings]
    assert ours.gradients == pytest.approx(theirs.gradients, rel=1e-6, nan_ok=True)
    assert ours.dtype == theirs.dtype
    for name in ("status", "active", "breakpoints", "tau", "moved", "gradient"):
        mine, other = (getattr(r.elements, name) for r in (ours, theirs))
        np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-300)


def test_without_float64(jax):
    """The loss is looked at in float64 all the same, and JAX's setting stays what it was."""
    jax.config.update("jax_enable_x64", False)
    for plant in (planted.float32_overflow, planted.float32_underflow):
        case = plant(planted.Jax())
        found = lpgd.diagnose(case.layer, *case.inputs, loss=case.loss, learned="q")
        assert found.cause == case.cause
        assert found.dtype == "float32"
    assert not jax.config.jax_enable_x64
    assert jax.numpy.ones(1).dtype == "float32"


def test_all_arguments_are_learned_if_nothing_is_said():
    kit = planted.Jax()
    found = lpgd.diagnose(kit.lp(), kit.array(COSTS), loss=first_minus_second,
                          **planted.simplex(kit))  # fmt: skip
    assert found.layer == "solve_lp"
    assert found.gradients.keys() == {"c", "G", "h", "lb"}


def test_the_gradients_are_those_of_jax(jax):
    from lpgd.jax import solve_qp

    solve = partial(solve_qp, lb=-EYE[0] / 4, rule=lpgd.LPGD(0.3, rho=0.1, side="lower"))
    q = np.random.default_rng(1).normal(size=(5, 3))
    loss = lambda x: (x**3).sum()  # noqa: E731
    found = lpgd.diagnose(solve, EYE, q, loss=loss, learned="q")
    gradient = jax.grad(lambda q: loss(solve(EYE, q)))(q)
    assert found.gradients["q"] == pytest.approx(np.linalg.norm(gradient), rel=1e-12)
    assert found.elements.gradient == pytest.approx(np.linalg.norm(gradient, axis=1), rel=1e-12)
    assert found.line.loss[1] < found.line.loss[0]


def test_nothing_of_a_layer_changes():
    case = planted.vertex_of_a_cvxpy_problem(planted.Jax())
    case.layer(*case.inputs)
    before = {**vars(case.layer.stats)}
    lpgd.diagnose(case.layer, *case.inputs, loss=case.loss)
    assert vars(case.layer.stats) == before


def test_nonlinear_programs():
    casadi = pytest.importorskip("casadi")
    from lpgd.jax import NonlinearProgram, solve_nlp

    x, q = casadi.SX.sym("x", 2), casadi.SX.sym("q", 2)
    program = NonlinearProgram(x, q, casadi.dot(q, x), casadi.sumsqr(x) - 1)
    solve = partial(solve_nlp, program, rule=lpgd.LPGD(0.1))
    found = lpgd.diagnose(solve, np.array([[1.0, 2.0], [3.0, -1.0]]), loss=squares,
                          learned="params[0]")  # fmt: skip
    assert found.elements.active.tolist() == [1, 1]
    moving = lpgd.diagnose(solve, np.array([1.0, 2.0]), loss=lambda x: x[0], learned="params[0]")
    assert moving.cause == "no fault found"


def test_computed_arguments_are_looked_at_back_to_their_leaves(jax):
    from lpgd.jax import solve_qp

    network = jax.tree_util.Partial(lambda w, z: w["scale"] * z, {"scale": 2.0}, np.ones(3))
    found = lpgd.diagnose(solve_qp, EYE, q=network, loss=squares, learned="q")
    assert found.cause == "no fault found"


def test_what_is_no_function_or_no_scalar_is_refused(jax):
    with pytest.raises(TypeError, match=r"lpgd\.jax, such as solve_qp"):
        lpgd.diagnose(jax.numpy.tanh, COSTS, loss=squares)
    kit = planted.Jax()
    with pytest.raises(lpgd.StructureError, match=r"one entry, got shape \(2,\)"):
        lpgd.diagnose(kit.lp(), kit.array(COSTS), loss=lambda x: x, **planted.simplex(kit))


@pytest.mark.parametrize("tau, cause", [(0.1, "tau below the breakpoint"), (2.0, "no fault found")])
def test_saddle_points_whose_vertex_the_procedure_alone_knows(tau, cause):
    from lpgd.jax import saddle

    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])

    def solve(params, tilt):
        return corners[(corners @ tilt.cost(params[0])).argmin()]

    found = saddle(lambda x, y, c: c @ x, solve, lpgd.LPGD(tau), like=(np.zeros(2), None))
    report = lpgd.diagnose(found, COSTS, loss=first_minus_second)
    assert report.layer == "saddle"
    assert report.cause == cause
    assert report.elements.vertex.all()
    assert report.elements.breakpoints[0] == pytest.approx([np.inf, 0.5], rel=0.01)


def test_nonlinear_programs_of_functions():
    from lpgd.jax import NonlinearProgram, solve_nlp

    program = NonlinearProgram.of_functions(
        lambda x, q: 0.5 * x @ x + q @ x, 3, g=lambda x, q: x - 0.5, ranks=(1,)
    )
    q = 2 * np.random.default_rng(2).normal(size=(4, 3))
    given = {"loss": squares, "rule": lpgd.LPGD(0.05)}
    ours = lpgd.diagnose(solve_nlp, program, q, engine="slsqp", learned="params[0]", **given)
    kit = planted.Jax()
    theirs = lpgd.diagnose(kit.own.solve_qp, EYE, q, EYE, np.full(3, 0.5), learned="q", **given)
    mine, other = ([(f.name, f.elements.tolist()) for f in r.findings] for r in (ours, theirs))
    assert mine == other
    assert ours.elements.active.tolist() == theirs.elements.active.tolist()
    np.testing.assert_allclose(ours.elements.gradient, theirs.elements.gradient, atol=1e-7)
