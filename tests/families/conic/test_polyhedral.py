from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpgd import Cones
from lpgd.core.params import Param, batched, shared
from lpgd.core.pattern import Pattern
from lpgd.core.solution import Solution, Status
from lpgd.core.tilt import Cotangent, Term, Tilt
from lpgd.families.conic.conic import Conic
from lpgd.families.conic.polyhedral import Polyhedral

CONES = Cones(zero=2, nonneg=3)


def random_case(seed, *, sparse=False, quadratic=True, cones=CONES, n=4, batch=3):
    rng = np.random.default_rng(seed)
    values = {"q": rng.normal(size=(batch, n)), "b": rng.normal(size=(batch, cones.m))}
    values["A"] = rng.normal(size=(batch, cones.m, n))
    if quadratic:
        root = rng.normal(size=(batch, n, n))
        values["P"] = root @ root.swapaxes(1, 2)
    patterns = {}
    for name in ("A", "P") if sparse else ():
        if name in values:
            mask = rng.random(values[name].shape[1:]) < 0.7
            if name == "P":
                mask = np.eye(n, dtype=bool)
            rows, cols = np.nonzero(mask)
            order = rng.permutation(len(rows))
            rows, cols = rows[order], cols[order]
            patterns[name] = Pattern(rows, cols, values[name].shape[1:])
            values[name] = values[name][:, rows, cols]
    params = {name: batched(value) for name, value in values.items()}
    return Conic(n, cones, patterns, quadratic), params


def random_tilt(problem, seed, *, rho=0.0):
    rng, size = np.random.default_rng(seed), 4
    n, m = problem.n, problem.m
    return Tilt(
        rng.integers(0, 3, size), rng.normal(size=size), rng.normal(size=(size, n)),
        rng.normal(size=(size, m)), np.full(size, rho), rng.normal(size=(size, n)),
        rng.normal(size=(size, m)),
    )  # fmt: skip


def random_point(problem, size, seed):
    rng = np.random.default_rng(seed)
    status = np.full(size, Status.OPTIMAL, dtype=np.int8)
    return Solution(rng.normal(size=(size, problem.n)), rng.normal(size=(size, problem.m)), status)


FORMS = [(False, True, True), (True, True, True), (True, True, False), (True, False, False)]


@pytest.mark.parametrize("rho", [0.0, 0.5])
@pytest.mark.parametrize("sparse, dense, quadratic", FORMS)
@pytest.mark.parametrize("cones", [CONES, Cones(zero=3), Cones(nonneg=4)])
def test_it_is_the_same_program(cones, sparse, dense, quadratic, rho):
    """Lagrangian, slacks, tilts and gradients are those of the cone program."""
    conic, params = random_case(0, sparse=sparse, quadratic=quadratic, cones=cones)
    problem = Polyhedral(conic, dense)
    data, unfit = problem.check(params, 2.0**-52)
    assert not unfit
    assert (problem.n, problem.m) == (problem.program.n, problem.program.m) == (4, cones.m)
    assert problem.program.family == ("QP" if quadratic else "LP")
    assert ("sparse" in problem.program.needs) == (not dense)
    assert (problem.family, problem.costs) == ("conic", ("P", "q"))
    if rho and not dense:
        return  # a sparse LP takes no proximal term
    tilt = random_tilt(problem, 1, rho=rho)
    point = random_point(problem, 4, 2)
    want = conic.lagrangian(params, point, tilt)
    np.testing.assert_allclose(problem.lagrangian(data, point, tilt), want)
    whole = random_point(problem, 3, 3)
    np.testing.assert_allclose(
        problem.slacks(data, whole.x), conic.slacks(params, whole.x), atol=1e-13
    )
    still = replace(tilt, rows=np.arange(4), t=0 * tilt.t, ds=None, rho=0 * tilt.rho)
    tilted = [p.tilt(d, tilt) for p, d in ((conic, params), (problem, data))]
    values = [p.lagrangian(d, point, still) for p, d in tilted]
    np.testing.assert_allclose(values[0], values[1])
    terms = [Term(np.arange(4.0), point, tilt)]
    wanted = {name: np.array([[0, 2], [1, 3]]) for name in params}
    found, expected = problem.grad(data, terms, wanted), conic.grad(params, terms, wanted)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


@given(st.integers(0, 1000))
def test_the_program_s_own_gradient_has_the_slack_terms(seed):
    """Of A and G with a tilt of the slacks, as the family's battery does for x and y."""
    conic, params = random_case(seed)
    problem = Polyhedral(conic)
    data, _ = problem.check(params, 2.0**-52)
    tilt = replace(random_tilt(problem, seed), rows=np.arange(3)[[0, 1, 2, 0]])
    term = Term(np.ones(4), random_point(problem, 4, seed), tilt)
    each = np.arange(4)[:, None]
    grads = problem.program.grad(data, [term], dict.fromkeys(data, each))
    rng = np.random.default_rng(seed)
    for name, param in data.items():
        way = rng.normal(size=param.values.shape)
        ends = [
            problem.lagrangian(
                {**data, name: Param(param.values + h * way, param.index)}, term.point, tilt
            )
            for h in (0.5, -0.5)
        ]
        found = (grads[name] * way[tilt.rows]).reshape(4, -1).sum(axis=1)
        np.testing.assert_allclose(found, ends[0] - ends[1], atol=1e-9)


def test_the_adjoint_folds_slacks():
    conic, params = random_case(0)
    problem = Polyhedral(conic)
    data, _ = problem.check(params, 2.0**-52)
    point, tilt = random_point(problem, 3, 0), random_tilt(problem, 0)
    rows = np.arange(3)
    dx, dy, ds = tilt.dx[rows], tilt.dy[rows], tilt.ds[rows]
    program = problem.program
    found = program.linearize(data, point).adjoint(Cotangent(rows, dx, dy, ds), 0.0)
    folded = dx - conic.transposed_product(params, ds)
    want = program.linearize(data, point).adjoint(Cotangent(rows, folded, dy), 0.0)
    np.testing.assert_allclose(found.a, want.a)
    np.testing.assert_allclose(found.v, want.v)


def test_shared_data_stay_shared_and_dense_rows_are_views():
    conic, params = random_case(0)
    params = {**params, "A": shared(params["A"].values[0], 3)}
    data, _ = Polyhedral(conic).check(params, 2.0**-52)
    assert data["A"].values.shape == (1, 2, 4)
    assert np.shares_memory(data["G"].values, params["A"].values)


def test_bad_values_are_named_as_in_the_cone_program():
    conic, params = random_case(0, sparse=True)
    for name, value in (("q", np.nan), ("b", np.inf), ("A", np.nan)):
        values = params[name].values.copy()
        values[1, -1] = value
        _, unfit = Polyhedral(conic).check({**params, name: batched(values)}, 2.0**-52)
        assert unfit == {1: f"{name} has a NaN or infinite entry"}


def test_other_cones_and_missing_patterns_are_refused():
    with pytest.raises(ValueError, match="zero and nonneg"):
        Polyhedral(Conic(3, Cones(soc=(3,))))
    for conic in (random_case(0)[0], random_case(0, quadratic=False)[0]):
        with pytest.raises(ValueError, match="dense=False"):
            Polyhedral(conic, dense=False)


def test_patterns_of_a_quadratic_program_are_kept():
    conic, params = random_case(0, sparse=True)
    program = Polyhedral(conic, dense=False)
    data, unfit = program.check(params, 2.0**-52)
    assert not unfit
    assert program.program.patterns["P"] is conic.patterns["P"]
    dense, _ = Polyhedral(conic).check(params, 2.0**-52)
    for name, pattern in program.program.patterns.items():
        np.testing.assert_array_equal(pattern.dense(data[name].values), dense[name].values)
