"""Answers of DAQP that are less accurate than their numbers allow."""

from dataclasses import replace

import numpy as np
import pytest

from lpgd import DaqpEngine
from lpgd.core.params import batched
from lpgd.core.solution import Solution
from lpgd.engines.daqp import sharpen
from lpgd.engines.daqp.sharpen import sharpened
from lpgd.families.qp.qp import QP
from lpgd.testing import Shape, plant


def solved(**data):
    """The answer for one element."""
    params = {name: batched(np.array(value)[None]) for name, value in data.items()}
    sizes = {name: len(data[name]) for name in ("A", "G", "lb", "ub") if name in data}
    if "P" in data:
        sizes["P"] = len(data["q"])
    return DaqpEngine().solve(QP.of(sizes, len(data["q"]), {}), params)


@pytest.mark.parametrize("sine", [1e-5, 1e-6, 1e-7])
def test_rows_may_be_nearly_parallel(sine):
    """Products of such rows know their angle to the square root of rounding only."""
    rng = np.random.default_rng(0)
    row, other = rng.normal(size=(2, 3))
    A, y = np.stack([row, row + sine * other]), np.array([1.0, -1.3])
    answer = solved(P=np.eye(3), q=-A.T @ y, A=A, b=np.zeros(2))
    assert answer.solution.solved.all()
    assert np.abs(answer.solution.x).max() < 1e-14 / sine


def test_a_bound_that_is_far_away_leaves_no_rounding():
    """At the origin x = 0, however far DAQP came from."""
    answer = solved(
        q=np.array([-0.2, -350.0, -0.1, 1.7]),
        G=np.array([[0.0635, -223.0, -0.25, -4.2]]),
        h=np.zeros(1),
        lb=np.full(4, -np.inf),
        ub=np.array([0.0, 0.0, 0.0, 4.5e5]),
    )
    assert answer.solution.solved.all()
    assert np.abs(answer.solution.x).max() < 1e-18


@pytest.mark.parametrize("quadratic", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_a_point_nearby_becomes_the_solution(seed, quadratic):
    rng = np.random.default_rng(seed)
    case = plant(Shape(6, 2, 5, ("lb", "ub"), quadratic=quadratic), rng)
    there = case.solution
    off = replace(
        there,
        x=there.x + 1e-9 * rng.normal(size=there.x.shape),
        y=there.y * (1 + 1e-9 * rng.normal(size=there.y.shape)),
    )
    found, residual = sharpened(case.problem, case.params, off)
    assert residual.max() < 1e-13
    np.testing.assert_allclose(found.x, there.x, atol=1e-13)


def test_a_step_ends_within_the_bounds():
    answer = solved(
        P=np.eye(3),
        q=np.array([1.2041841240735138, -0.04116915729818885, 2.3353338838322957]),
        G=np.array(
            [
                [1.4807769416604122, 0.8080133785460217, 0.031928347988373344],
                [0.5178381210098706, 0.28489004798137496, 1.19648492756174],
                [-0.05348488252503953, 0.030596743343047413, -1.0067370710422594],
            ]
        ),
        h=np.array([1.3461000607631028, -3.78226743789513e-134, 0.0]),
        lb=np.array([0.0, -0.7476438954617262, 0.0]),
    )
    assert answer.solution.solved.all()
    assert (answer.solution.x[0, [0, 2]] >= 0).all()


@pytest.mark.parametrize("twice", [False, True])
def test_regular_equations_are_factorized_once(twice, monkeypatch):
    """Rows that stand there twice leave multipliers open: these need the shortest ones."""
    factorized, singular = [], []
    dgetrf, lstsq = sharpen.lapack.dgetrf, sharpen.linalg.lstsq
    monkeypatch.setattr(
        sharpen.lapack, "dgetrf", lambda *args: factorized.append(0) or dgetrf(*args)
    )
    monkeypatch.setattr(
        sharpen.linalg, "lstsq", lambda *args, **rest: singular.append(0) or lstsq(*args, **rest)
    )
    row = np.array([[1.0, 2.0, -0.5]])
    A = np.concatenate([row, row]) if twice else row
    q, params = np.array([0.3, -1.0, 0.7]), {}
    for name, value in {"P": np.eye(3), "q": q, "A": A, "b": np.ones(len(A))}.items():
        params[name] = batched(np.array(value)[None])
    x = -q + row[0] * (1 + row[0] @ q) / (row[0] @ row[0])
    problem = QP.of({"P": 3, "A": len(A)}, 3, {})
    off = Solution(x[None] + 1e-6, np.full((1, len(A)), 0.1), np.zeros(1, dtype=np.int8))
    found, residual = sharpened(problem, params, off)
    np.testing.assert_allclose(found.x[0], x, rtol=1e-14)
    assert residual.max() < 1e-14
    assert len(factorized) == 1
    assert bool(singular) == twice
