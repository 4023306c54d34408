"""Forward mode without a framework."""

import numpy as np
import pytest

from lpgd import Exact, SolverError, SolverWarning
from lpgd.map.solution_map import SolutionMap
from tests.support import program, pull, random_case


def push(problem, params, tangents, on_failure="raise"):
    """Tangents of x and y of a batch, and the map that found them."""
    found = SolutionMap(Exact(), "daqp", on_failure)
    size = len(params["q"].index)
    solved = found.solve(problem, params, (size,), keep=True)
    rows = np.arange(size)
    slopes = found.pushforward(
        solved, params, tangents, rows, lambda at: [at.solution.x, at.solution.y]
    )
    return slopes, found


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_adjoint_of_the_pullback(seed):
    case, dx, dy = random_case(seed)
    draw, tangents = np.random.default_rng(seed), {}
    for name, param in case.params.items():
        way = draw.normal(size=param.values.shape)
        way = way + way.swapaxes(1, 2) if name == "P" else way
        tangents[name] = np.where(np.isfinite(param.values), way, 0.0)
    (x, y), _ = push(case.problem, case.params, tangents)
    pulled = pull(Exact(), case.problem, case.params, dx, dy)
    backward = sum((pulled[name] * way[0]).sum() for name, way in tangents.items())
    np.testing.assert_allclose(dx @ x[0] + dy @ y[0], backward, rtol=1e-4)


def test_a_tangent_of_zero_takes_no_solve():
    problem, params = program(P=np.eye(2), q=[1.0, 2.0])
    (x, _), found = push(problem, params, {"q": np.zeros((1, 2))})
    assert not x.any()
    assert found.stats.re_solves == 0


def test_large_entries_do_not_set_the_step_for_small_ones():
    h = [1.0, 1e9, 1e9, 2.0, 3.0]
    problem, params = program(P=np.eye(5), q=[-10.0] * 5, G=np.eye(5), h=h)
    (x, _), _ = push(problem, params, {"h": np.eye(5)[:1]})
    np.testing.assert_allclose(x, np.eye(5)[:1], atol=1e-6)


def test_an_end_that_cannot_be_solved_is_a_failure():
    """The upper bound falls below the lower one."""
    problem, params = program(P=np.eye(1), q=[1.0], lb=[2.0], ub=[2.0])
    tangents = {"ub": np.ones((1, 1))}
    with pytest.raises(SolverError, match="lb exceeds ub"):
        push(problem, params, tangents)
    with pytest.warns(SolverWarning, match="perturbed solve of forward mode"):
        (x, _), _ = push(problem, params, tangents, "nan")
    assert np.isnan(x).all()


def test_steps_at_kinks_are_short():
    """min 1/2 x^2 + q x over 0 <= x <= 3e-6 at q = 0: three steps to the next kink."""
    problem, params = program(P=np.eye(1), q=[0.0], lb=[0.0], ub=[3e-6])
    (x, _), found = push(problem, params, {"q": -np.ones((1, 1))})
    assert found.stats.re_solves == 2
    np.testing.assert_allclose(x, [[0.5]], rtol=1e-6)
