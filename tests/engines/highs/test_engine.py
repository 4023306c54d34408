"""HiGHS engine: right answers in our signs, honest statuses."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import linprog

from lpgd.core.pattern import Pattern
from lpgd.core.solution import Status
from lpgd.core.tilt import Tilt
from lpgd.engines.daqp.engine import DaqpEngine
from lpgd.engines.highs.engine import HighsEngine
from tests.engines.highs.lps import assert_optimal, lp, random_lp, same, take, tilt_of, transport

ENGINE = HighsEngine()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    groups=st.lists(st.sampled_from(["A", "G", "lb", "ub"]), unique=True),
)
def test_random_lps_are_solved_to_our_optimality_conditions(seed, groups):
    data = random_lp(seed, "".join(groups))
    problem, params = lp(**data)
    answer = ENGINE.solve(problem, params, keep=True)
    assert_optimal(problem, params, answer.solution)
    assert answer.set_ups == len(answer.solution)

    # Scaled costs keep an LP bounded, right-hand sides that are moved outwards keep it feasible.
    rng = np.random.default_rng(seed)
    size = len(answer.solution)
    dy = np.zeros((size, problem.m))
    for name in ("G", "lb", "ub"):
        if name in problem.blocks:
            dy[:, problem.blocks[name]] = -rng.uniform(0, 1, dy[:, problem.blocks[name]].shape)
    tilt = Tilt(
        np.arange(size), np.full(size, 0.5), rng.uniform(0, 1) * data["q"], dy, np.zeros(size),
        answer.solution.x,
    )  # fmt: skip
    assert answer.workspace is not None
    again = answer.workspace.resolve(tilt).solution
    assert_optimal(*problem.tilt(params, tilt), again)


@pytest.mark.parametrize("groups", ["A", "G", "AG", "Glbub", "AGlbub", "lbub"])
def test_agrees_with_scipy(groups):
    data = random_lp(3, groups)
    problem, params = lp(**data)
    solution = ENGINE.solve(problem, params).solution
    for i in range(3):
        one = {k: v[i] for k, v in data.items()}
        finite = np.isfinite(one["h"]) if "h" in one else None
        lower = one.get("lb", np.full(problem.n, -np.inf))
        upper = one.get("ub", np.full(problem.n, np.inf))
        expected = linprog(
            one["q"],
            one["G"][finite] if "G" in one else None,
            one["h"][finite] if "G" in one else None,
            one.get("A"),
            one.get("b"),
            np.stack([lower, upper], axis=1),
        )
        assert one["q"] @ solution.x[i] == pytest.approx(expected.fun, abs=1e-8)


@pytest.mark.parametrize("groups", ["Glbub", "AGlbub"])
def test_agrees_with_daqp_where_the_solution_is_unique(groups):
    data = random_lp(4, groups, n=8, batch=5)
    data["q"] += np.random.default_rng(0).standard_normal(data["q"].shape) * 0.1
    data["lb"], data["ub"] = np.full_like(data["q"], -3.0), np.full_like(data["q"], 3.0)
    problem, params = lp(**data)
    ours, theirs = (e.solve(problem, params).solution for e in (ENGINE, DaqpEngine()))
    np.testing.assert_allclose(ours.x, theirs.x, atol=1e-7)
    np.testing.assert_allclose(ours.y, theirs.y, atol=1e-7)


def test_sign_and_place_of_every_multiplier():
    # min x0 - 2 x1 + 3 x2  s.t.  x0 + x2 = 1,  x1 <= 4 as a row,  0 <= x0, x2 <= 5
    data = {
        "q": np.array([[1.0, -2.0, -3.0]]),
        "A": np.array([[[1.0, 0.0, 1.0]]]),
        "b": np.array([[1.0]]),
        "G": np.array([[[0.0, 1.0, 0.0]]]),
        "h": np.array([[4.0]]),
        "lb": np.array([[0.0, -np.inf, -np.inf]]),
        "ub": np.array([[np.inf, np.inf, 5.0]]),
    }
    solution = ENGINE.solve(*lp(**data)).solution
    np.testing.assert_allclose(solution.x[0], [0, 4, 1], atol=1e-12)
    np.testing.assert_allclose(solution.y[0], [3, 2, 4, 0, 0, 0, 0, 0], atol=1e-12)


def test_a_vertex_reached_in_many_steps_is_exact():
    rng = np.random.default_rng(0)
    m, n = 600, 300
    G = rng.standard_normal((2, m, n)) * (rng.uniform(size=(2, m, n)) < 0.1)
    h = G @ rng.uniform(size=(2, n, 1)) + rng.uniform(0, 0.5, (2, m, 1))
    zero = np.zeros((2, n))
    data = {"q": rng.standard_normal((2, n)), "G": G, "h": h[..., 0], "lb": zero, "ub": zero + 1}
    problem, params = lp(**data)
    assert_optimal(problem, params, ENGINE.solve(problem, params).solution, tol=1e-11)


def test_an_infinite_bound_has_no_multiplier():
    # A reduced cost within the tolerance is left to a free variable.
    data = {
        "q": np.array([[1e-12, -1e-12, 1.0]]),
        "lb": np.array([[-np.inf, -np.inf, 0.0]]),
        "ub": np.full((1, 3), np.inf),
    }
    solution = ENGINE.solve(*lp(**data)).solution
    assert solution.solved.all()
    np.testing.assert_array_equal(solution.y[0], [0, 0, 1, 0, 0, 0])


@pytest.mark.parametrize("order", ["csr", "csc"])
def test_sparse_equals_dense(order):
    rng = np.random.default_rng(2)
    data = random_lp(6, "AGlbub", n=12, batch=4)
    patterns, values = {}, {}
    for name in ("A", "G"):
        keep = rng.uniform(size=data[name].shape[1:]) < 0.6
        data[name] = data[name] * keep
        keep |= rng.uniform(size=keep.shape) < 0.1  # stored zeros
        places = sparse.csr_matrix(keep).asformat(order).tocoo()
        patterns[name] = Pattern(places.row.astype(np.intp), places.col.astype(np.intp), keep.shape)
        values[name] = data[name][:, places.row, places.col]
    data["b"], data["h"] = np.zeros_like(data["b"]), np.ones_like(data["h"])  # x = 0 is feasible
    data["lb"], data["ub"] = np.full_like(data["lb"], -1), np.full_like(data["ub"], 2)
    dense, thin = lp(**data), lp(patterns, **(data | values))
    one, other = (ENGINE.solve(*p, keep=True) for p in (dense, thin))
    assert one.solution.solved.all()
    assert same(one.solution, other.solution)
    tilt = tilt_of(dense[0], one.solution)
    assert same(one.workspace.resolve(tilt).solution, other.workspace.resolve(tilt).solution)


def test_statuses():
    free = np.full((4, 2), -np.inf)
    data = {
        "q": np.array([[1.0, 1], [-1, 1], [1, 1], [-1, 1]]),
        "G": np.array([[[1.0, -1], [-1, 1]]] * 4),
        "h": np.array([[1.0, 1], [1, 1], [-1, -1], [-1, -1]]),  # the last two are infeasible
        "lb": np.where([[1], [1], [1], [0]], 0.0, free),
    }
    data["q"][1] = -1.0
    data["q"][3] = [-1.0, -1.0]  # and its recession direction has negative cost
    for engine in (ENGINE, HighsEngine(presolve=True)):
        problem, params = lp(**data)
        solution = engine.solve(problem, params).solution
        assert [Status(s) for s in solution.status] == [
            Status.OPTIMAL, Status.UNBOUNDED, Status.INFEASIBLE, Status.INFEASIBLE,
        ]  # fmt: skip
        assert not solution.x[1:].any()
        assert not solution.y[1:].any()


def test_iteration_and_time_limits():
    problem, params = transport()
    few = HighsEngine(iteration_limit=1).solve(problem, params).solution
    assert (few.status == Status.ITERATION_LIMIT).all()
    assert not few.x.any()
    brief = HighsEngine(time_limit=1e-9).solve(problem, params).solution
    assert (brief.status == Status.TIME_LIMIT).all()
    ample = HighsEngine(iteration_limit=10**6, time_limit=60.0).solve(problem, params).solution
    assert same(ample, ENGINE.solve(problem, params).solution)


def test_entries_that_highs_refuses_or_drops_are_fair_in_other_units():
    data = random_lp(1, "Glbub")
    plain = ENGINE.solve(*lp(**data)).solution
    lift = np.array([1e16, 1.0, 1e-20, 1.0, 1e250, 1.0, 1e-250, 1.0])
    data["G"] = data["G"] * lift[:, None]
    data["h"] = data["h"] * lift
    solution = ENGINE.solve(*lp(**data)).solution
    assert solution.solved.all()
    np.testing.assert_allclose(solution.x, plain.x, atol=1e-9)
    np.testing.assert_allclose(solution.y[:, :8] * lift, plain.y[:, :8], atol=1e-9)


@pytest.mark.parametrize("value", [2.5, True, np.nan, np.inf, -1])
@pytest.mark.parametrize("option", ["tolerance", "iteration_limit", "time_limit"])
def test_options_that_highs_would_ignore_are_refused(option, value):
    if (option, value) == ("time_limit", 2.5):
        return
    with pytest.raises(ValueError, match=option):
        HighsEngine(**{option: value})


def test_engine_pickles_and_an_empty_batch_is_solved():
    assert pickle.loads(pickle.dumps(HighsEngine(time_limit=2.0))) == HighsEngine(time_limit=2.0)
    problem, params = transport()
    empty = ENGINE.solve(problem, take(params, np.zeros(0, dtype=np.intp)), keep=True)
    assert empty.solution.x.shape == (0, problem.n)
    assert empty.set_ups == 0
