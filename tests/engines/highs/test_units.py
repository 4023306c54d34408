"""Answers of HiGHS do not depend on the units of the data."""

import numpy as np
import pytest

from lpgd import HighsEngine
from lpgd.core.params import batched
from lpgd.core.solution import Status
from lpgd.families.qp.qp import QP
from tests.engines.highs.lps import lp, random_lp

ENGINE = HighsEngine()


@pytest.fixture(scope="module")
def plain():
    data = random_lp(0, "AGlbub", batch=60)
    data["q"] += 0.3 * np.random.default_rng(0).standard_normal(data["q"].shape)
    data["lb"], data["ub"] = np.full_like(data["q"], -3.0), np.full_like(data["q"], 3.0)
    solution = ENGINE.solve(*lp(**data)).solution
    assert solution.solved.all()
    return data, solution


@pytest.mark.parametrize("size", [1e-8, 1e-10, 1e-20, 1e-200, 1e8, 1e12, 1e100])
@pytest.mark.parametrize("names", [("q",), ("b", "h", "lb", "ub"), ("q", "b", "h", "lb", "ub")])
def test_costs_and_right_hand_sides(plain, size, names):
    data, expected = plain
    scaled = {k: v * size if k in names else v for k, v in data.items()}
    found = ENGINE.solve(*lp(**scaled)).solution
    assert found.solved.all()
    np.testing.assert_allclose(found.x / (size if "b" in names else 1.0), expected.x, atol=1e-9)
    np.testing.assert_allclose(found.y / (size if "q" in names else 1.0), expected.y, atol=1e-9)


@pytest.mark.parametrize("size", [1e-20, 1e-8, 1e10, 1e20, 1e100])
def test_rows_and_columns(plain, size):
    data, expected = plain
    rng = np.random.default_rng(1)
    rows = rng.choice([1.0, size], data["h"].shape)
    cols = rng.choice([1.0, size], data["q"].shape)
    scaled = {
        "q": data["q"] * cols,
        "A": data["A"] * cols[:, None],
        "b": data["b"],
        "G": data["G"] * rows[..., None] * cols[:, None],
        "h": data["h"] * rows,
        "lb": data["lb"] / cols,
        "ub": data["ub"] / cols,
    }
    found = ENGINE.solve(*lp(**scaled)).solution
    assert found.solved.all()
    np.testing.assert_allclose(found.x * cols, expected.x, atol=1e-9)
    np.testing.assert_allclose(found.y[:, 2:10] * rows, expected.y[:, 2:10], atol=1e-9)


@pytest.mark.parametrize("idle", [1.0, 1e6])
@pytest.mark.parametrize("size", [1e-6, 1e-9, 1e-12])
def test_a_small_solution_among_large_bounds(plain, size, idle):
    data, expected = plain
    rest = {k: data[k] * size for k in ("b", "h")}
    rows = np.concatenate([np.eye(6), -np.eye(6)])  # the bounds as rows of the same size
    G = np.concatenate([data["G"], np.broadcast_to(rows, (60, 12, 6))], axis=1)
    box = size * np.concatenate([data["ub"], -data["lb"]], axis=1)
    bounds = {"lb": np.full_like(data["q"], -idle), "ub": np.full_like(data["q"], idle)}
    scaled = {**data, **rest, **bounds, "G": G, "h": np.concatenate([rest["h"], box], axis=1)}
    found = ENGINE.solve(*lp(**scaled)).solution
    assert found.solved.all()
    np.testing.assert_allclose(found.x / size, expected.x, atol=1e-7)


@pytest.mark.parametrize("size", [1e-8, 1e-10, 1e-20])
@pytest.mark.parametrize("kind", ["A", "G"])
def test_zero_is_no_solution_of_a_row_that_asks_for_little(kind, size):
    """x_0 + 2 x_1 = size, or no less, while x may be as large as 1: zero breaks it by that."""
    rows = np.array([[[1.0, 2.0]]]) * (1 if kind == "A" else -1)
    data = {kind: rows, "b" if kind == "A" else "h": size * np.sign(rows[:, :, 0])}
    data |= {"q": np.ones((1, 2)), "lb": np.zeros((1, 2)), "ub": np.ones((1, 2))}
    found = ENGINE.solve(*lp(**data)).solution
    assert found.solved.all()
    np.testing.assert_allclose(found.x / size, [[0.0, 0.5]], rtol=1e-9)


@pytest.mark.parametrize("size", [1e-10, 1.0, 1e10])
def test_verdicts_and_their_proofs(size):
    problem = QP.of({"A": 1, "G": 2, "lb": 3}, 3, {})
    params = {
        "q": batched(np.array([[1.0, 1, 1], [0, 0, -1], [1, 1, 1], [-1, 0, 0]])),
        "A": batched(np.array([[[1.0, 1, 0]]] * 4)),
        "b": batched(size * np.array([[-1.0], [1], [1], [1]])),
        "G": batched(np.array([[[1.0, 0, 0], [0, 0, 0]]] * 4)),
        "h": batched(size * np.array([[5.0, 0], [5, 0], [5, -1], [5, 0]])),
        "lb": batched(np.zeros((4, 3))),
    }
    answer = ENGINE.solve(problem, params)
    assert answer.solution.status.tolist() == [
        Status.INFEASIBLE, Status.UNBOUNDED, Status.INFEASIBLE, Status.OPTIMAL,
    ]  # fmt: skip
    rows = np.arange(3)
    chosen = {name: param.take(rows) for name, param in params.items()}
    assert problem.refuted(chosen, answer.ray.take(rows)).max() == 0


@pytest.mark.parametrize("presolve", [False, True])
def test_verdicts_without_rows_and_of_crossed_bounds_are_proven(presolve):
    problem = QP.of({"lb": 2, "ub": 2}, 2, {})
    params = {
        "q": batched(np.array([[1.0, 0], [0, -1]])),
        "lb": batched(np.array([[2.0, 0], [0, 0]])),
        "ub": batched(np.array([[1.0, 1], [1, np.inf]])),
    }
    answer = HighsEngine(presolve=presolve).solve(problem, params)
    assert answer.solution.status.tolist() == [Status.INFEASIBLE, Status.UNBOUNDED]
    assert problem.refuted(params, answer.ray).max() == 0


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
def test_near_contradictions_name_violation_and_tolerance(size):
    data = {
        "q": np.zeros((1, 2)),
        "A": np.array([[[1.0, 1], [1, 1]]]),
        "b": size * np.array([[1.0, 1 + 4e-9]]),
    }
    answer = ENGINE.solve(*lp(**data))
    assert answer.solution.status.tolist() == [Status.INFEASIBLE]
    expected = "infeasible, by 2e-09 of its data, which the engine's tolerance=1e-08 accepts"
    assert answer.notes == {0: expected}
    assert HighsEngine(tolerance=1e-8).solve(*lp(**data)).solution.solved.all()


@pytest.mark.parametrize("speck", [0.0, 8e-307, 1e-310])
def test_a_column_of_next_to_nothing_keeps_its_bounds_and_their_multipliers(speck):
    """Its bound and its cost tell the unit of x_0, no entry of 1e-307."""
    data = {
        "q": [[-1.0, -2.0]], "G": [[[speck, 1.0], [-speck, -1.0]]], "h": [[0.5, 3.0]],
        "ub": [[0.3, 4.0]],
    }  # fmt: skip
    problem, params = lp(**{k: np.array(v) for k, v in data.items()})
    found = ENGINE.solve(problem, params).solution
    assert found.solved.all()
    np.testing.assert_allclose(found.x, [[0.3, 0.5]])
    np.testing.assert_allclose(problem.block(found.y, "ub"), [[1.0, 0.0]])


@pytest.mark.parametrize("slope, bound", [(1e10, 1e300), (1e3, 1e307)])
def test_solutions_beyond_all_numbers_are_none(slope, bound):
    """x_1 <= slope x_0 and x_0 <= bound; the next element has none of that."""
    data = {
        "q": np.array([[0.0, -1.0]] * 2), "G": np.array([[[-slope, 1.0]]] * 2),
        "h": np.zeros((2, 1)), "lb": np.zeros((2, 2)), "ub": np.array([[bound, np.inf], [1, 2]]),
    }  # fmt: skip
    found = ENGINE.solve(*lp(**data)).solution
    assert found.status.tolist() == [Status.NUMERICAL, Status.OPTIMAL]
    assert found.x[1, 1] == 2
    for part in (found.x, found.y, found.basis):
        assert not part[0].any()


@pytest.mark.parametrize("power", [-40, 0, 40])
def test_rows_without_entries_hide_no_size_of_sides(power):
    """The other rows are in units of 2^-power, in which their sides are far from 1."""
    rng = np.random.default_rng(0)
    G, x = rng.normal(size=(12, 3)), rng.normal(size=3)
    costs = -G[:3].T @ rng.uniform(0.5, 1, 3)
    sides = G @ x + np.where(np.arange(12) < 3, 0, rng.uniform(0.1, 1, 12))
    problem = QP.of({"G": 13}, 3, {})
    data = {
        "q": np.ldexp(costs, power),
        "G": np.vstack([np.ldexp(G, power), np.zeros(3)]),
        "h": np.append(sides, 1.65),
    }
    params = {name: batched(value[None]) for name, value in data.items()}
    found = HighsEngine().solve(problem, params).solution
    assert found.status.tolist() == [Status.OPTIMAL]
    np.testing.assert_allclose(np.ldexp(found.x[0], power), x, rtol=1e-8)
