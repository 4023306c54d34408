"""Losses on slacks: those that no x moves ask for no solve, by any rule."""

import numpy as np
import pytest

import lpgd
from lpgd.core.params import batched, shared
from lpgd.core.tilt import Cotangent
from lpgd.families.conic.cones import Cones
from lpgd.families.conic.conic import Conic
from lpgd.families.conic.polyhedral import Polyhedral
from lpgd.map.solution_map import SolutionMap

RULES = [
    lpgd.LPGD(), lpgd.LPGD(rho=0.5), lpgd.LPGD(0.1), lpgd.LPGD(0.1, 0.5, "lower"),
    lpgd.LPGD(0.1, side="upper"), lpgd.Exact(), lpgd.Exact(0.3),
]  # fmt: skip
NAMES = [f"{rule}" for rule in RULES]
SIDES = np.array([[2.0, 1.0, 0.3], [3.0, 0.5, 0.2], [1.0, 0.5, 0.1]])


def disc():
    """min x s.t. (2 + x, 1, 0.3) in a second-order cone: s_1 and s_2 are data."""
    A = np.array([[-1.0], [0.0], [0.0]])
    params = {"q": shared(np.ones(1), 3), "A": shared(A, 3), "b": batched(SIDES)}
    return Conic(1, Cones(soc=(3,)), {}, quadratic=False), params


def sums():
    """min x^2 / 2 + x, x_1 + x_2 <= 2: s is moved by the sum of x only."""
    params = {
        "P": shared(np.eye(2), 3), "q": shared(np.array([-2.0, -2]), 3),
        "A": shared(np.array([[1.0, 1.0], [1 / 3, 1 / 3]]), 3),
        "b": batched(SIDES[:, :2] * [1, 10]),
    }  # fmt: skip
    return Polyhedral(Conic(2, Cones(nonneg=2))), params


def pulled(rule, problem, params, ds, on_failure="raise"):
    found = SolutionMap(rule, on_failure=on_failure)
    forward = found.solve(problem, params, (3,), keep=True)
    rows = np.arange(3)
    zero = np.zeros((3, problem.n)), np.zeros((3, problem.m))
    wanted = {"A": rows[None], "b": rows[:, None], "q": rows[None]}
    return found, forward, found.pullback(forward, Cotangent(rows, *zero, ds), wanted)


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_a_slack_that_no_x_moves(rule):
    ds = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.5, -2.0]])
    found, forward, gradient = pulled(rule, *disc(), ds)
    np.testing.assert_array_equal(gradient["b"], ds)
    np.testing.assert_allclose(gradient["A"][0], -ds.T @ forward.solution.x, atol=1e-15)
    assert not gradient["q"].any()
    assert found.stats.re_solves == 0


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_neighbours_whose_slacks_move(rule):
    ds = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    _, _, gradient = pulled(rule, *disc(), ds)
    np.testing.assert_array_equal(gradient["b"][[0, 2]], ds[[0, 2]])
    alone = pulled(rule, *disc(), ds * [[0], [1], [0]])[2]
    np.testing.assert_array_equal(gradient["b"][1], alone["b"][1])
    # x = ||(b_1, b_2)|| - b_0, so that s_0 is the norm
    if not getattr(rule, "rho", 0):
        size = np.hypot(0.5, 0.2)
        np.testing.assert_allclose(gradient["b"][1], [0, 0.5 / size, 0.2 / size], atol=1e-2)


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_terms_that_cancel_within_rounding(rule):
    problem, params = sums()
    ds = np.array([[1.0, -3.0], [0.0, 0.0], [0.1, -0.3]])  # 1 - 3 (1/3), in floating point
    found, forward, gradient = pulled(rule, problem, params, ds)
    np.testing.assert_allclose(gradient["A"][0], -ds.T @ forward.solution.x, atol=1e-14)
    np.testing.assert_array_equal(gradient["b"], ds)
    assert found.stats.re_solves == 0


def test_a_failed_neighbour_costs_nothing():
    problem, params = disc()
    sides = SIDES.copy()
    sides[1, 0] = np.nan
    ds = np.array([[0.0, 1.0, 0.0]] * 3)
    with pytest.warns(lpgd.SolverWarning):
        _, _, gradient = pulled(lpgd.LPGD(), problem, {**params, "b": batched(sides)}, ds, "nan")
    np.testing.assert_array_equal(gradient["b"][[0, 2]], ds[[0, 2]])
    assert np.isfinite(gradient["A"]).all()


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_failed_elements_pull_nothing_whatever_their_cotangents(rule):
    problem, params = disc()
    sides = SIDES.copy()
    sides[1] = [-1.0, -1.0, 0.0]  # the slack of a cone is never less than |1|
    params = {**params, "A": shared(np.zeros((3, 1)), 3), "b": batched(sides)}
    params |= {"P": shared(np.eye(1), 3)}
    problem = Conic(1, Cones(soc=(3,)), {}, quadratic=True)
    ds = np.array([[0.0, 1.0, 0.0], [np.inf, 1e308, np.nan], [0.0, 0.5, -2.0]])
    with pytest.warns(lpgd.SolverWarning):
        _, forward, gradient = pulled(rule, problem, params, ds, "nan")
    assert forward.solution.solved.tolist() == [True, False, True]
    np.testing.assert_array_equal(gradient["b"], np.where([[True], [False], [True]], ds, 0.0))
    assert np.isfinite(gradient["A"]).all()
