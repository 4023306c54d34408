"""Answers on singular Hessians, which DAQP finds by iterations."""

import numpy as np
import pytest

from lpgd import LPGD, DaqpEngine, Exact
from tests.support import program, pull, solve, tilt_of


def lasso(seed, m=30, n=12):
    """min 1/2 |r|^2 + 3 sum t, r = Xb - y, |b| <= t in (b, t, r): P is singular."""
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(m, n)), rng.normal(size=m)
    y += X[:, :3] @ rng.normal(size=3)
    eye, none = np.eye(n), np.zeros((n, m))
    return program(
        P=np.diag(np.repeat([0.0, 1.0], [2 * n, m])),
        q=np.repeat([0.0, 3.0, 0.0], [n, n, m]),
        A=np.hstack([X, np.zeros((m, n)), -np.eye(m)]),
        b=y,
        G=np.block([[eye, -eye, none], [-eye, -eye, none]]),
        h=np.zeros(2 * n),
    )


@pytest.mark.parametrize("seed", range(5))
def test_small_tilts_go_all_the_way(seed):
    """Unpolished, DAQP stops after 98 % of it: the gradients were 1 to 3 % off."""
    problem, params = lasso(seed)
    dx = np.random.default_rng(seed + 10).normal(size=problem.n)
    dx[12:] = 0
    found, exact = (pull(rule, problem, params, dx) for rule in (LPGD(1e-5), Exact()))
    for name, expected in exact.items():
        np.testing.assert_allclose(found[name], expected, atol=1e-7, err_msg=name)


def test_optimality_to_rounding():
    problem, params = lasso(0)
    point = solve(problem, params)
    slope = problem.slope(params, point.x) + problem.transposed_product(params, point.y)
    assert np.abs(slope).max() < 1e-12
    slacks = problem.slacks(params, point.x)
    assert np.abs(slacks * point.y).max() < 1e-12
    assert slacks.min() > -1e-12


def test_non_unique_solutions_are_left_alone():
    """min 1/2 x_0^2 - x_0 over the unit square: every x_1 is as good."""
    problem, params = program(P=np.diag([1.0, 0.0]), q=[-1.0, 0.0], lb=[0.0, 0.0], ub=[1.0, 1.0])
    x = solve(problem, params).x[0]
    np.testing.assert_allclose(x[0], 1, atol=1e-9)
    assert 0 <= x[1] <= 1
    tilt = tilt_of(problem, 1e-3, [0.0, 1.0], np.zeros(4))
    np.testing.assert_allclose(solve(*problem.tilt(params, tilt)).x[0], [1, 0], atol=1e-9)


def test_dependent_rows_are_left_alone():
    problem, params = program(
        P=np.diag([1.0, 0.0]), q=[-2.0, -1.0], G=[[1.0, 1.0], [2.0, 2.0]], h=[1.0, 2.0],
        lb=[0.0, 0.0],
    )  # fmt: skip
    answer = DaqpEngine().solve(problem, params)
    assert answer.solution.solved.all()
    np.testing.assert_allclose(answer.solution.x, [[1, 0]], atol=1e-9)
