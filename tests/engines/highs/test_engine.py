"""HiGHS engine: right answers in our signs, honest statuses, and no memory but a basis."""

import pickle
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import linprog

from lpgd.core.params import Params, batched, shared
from lpgd.core.pattern import Pattern
from lpgd.core.solution import Solution, Status
from lpgd.core.tilt import Tilt
from lpgd.engines.daqp.engine import DaqpEngine
from lpgd.engines.highs import sweep
from lpgd.engines.highs.engine import HighsEngine
from lpgd.engines.highs.run import Found
from lpgd.families.qp.qp import QP

ENGINE = HighsEngine()


def lp(patterns: dict[str, Pattern] | None = None, **data: np.ndarray) -> tuple[QP, Params]:
    """A batch of LPs from arrays with a batch axis, ``q`` among them."""
    patterns = patterns or {}
    n = data["q"].shape[1]
    heights = {"A": "b", "G": "h", "lb": "lb", "ub": "ub"}
    sizes = {k: data[rhs].shape[1] for k, rhs in heights.items() if rhs in data}
    return QP.of(sizes, n, patterns), {k: batched(np.asarray(v, float)) for k, v in data.items()}


def random_lp(seed: int, groups: str, n: int = 6, batch: int = 3) -> dict[str, np.ndarray]:
    """Feasible and bounded LPs: a primal point and multipliers are chosen first."""
    rng = np.random.default_rng(seed)
    x, q = rng.standard_normal((batch, n)), np.zeros((batch, n))
    data: dict[str, np.ndarray] = {}
    if "A" in groups:
        data["A"] = rng.standard_normal((batch, 2, n))
        data["b"] = np.einsum("bij,bj->bi", data["A"], x)
        q -= np.einsum("bij,bi->bj", data["A"], rng.standard_normal((batch, 2)))
    if "G" in groups:
        data["G"] = rng.standard_normal((batch, n + 2, n))
        data["h"] = np.einsum("bij,bj->bi", data["G"], x) + rng.uniform(0, 1, (batch, n + 2))
        z = rng.uniform(0, 1, (batch, n + 2))
        open_ = rng.uniform(size=z.shape) < 0.2
        data["h"][open_], z[open_] = np.inf, 0
        q -= np.einsum("bij,bi->bj", data["G"], z)
    for name, side in (("lb", -1), ("ub", 1)):
        if name in groups:
            load = rng.uniform(0, 1, (batch, n)) * (rng.uniform(size=(batch, n)) < 0.7)
            data[name] = np.where(load > 0, x + side * rng.uniform(0, 1, (batch, n)), side * np.inf)
            q -= side * load
    return data | {"q": q}


def transport(ties: bool = True) -> tuple[QP, Params]:
    """Transport problems with many optimal solutions and degenerate bases, sparse, shared A."""
    rng = np.random.default_rng(5)
    k, batch = 6, 16
    A = sparse.vstack(
        [sparse.kron(sparse.eye(k), np.ones((1, k))), sparse.kron(np.ones((1, k)), sparse.eye(k))]
    ).tocoo()
    pattern = Pattern(A.row.astype(np.intp), A.col.astype(np.intp), A.shape)
    costs = rng.integers(0, 3, (batch, k * k)).astype(float)
    problem = QP.of({"A": 2 * k, "lb": k * k}, k * k, {"A": pattern})
    params = {
        "q": batched(costs if ties else costs + rng.uniform(size=costs.shape)),
        "A": shared(A.data, batch),
        "b": shared(np.ones(2 * k), batch),
        "lb": shared(np.zeros(k * k), batch),
    }
    return problem, params


def tilt_of(problem: QP, solution: Solution, t: float = 0.7, duals: float = 0.0) -> Tilt:
    rng = np.random.default_rng(8)
    size = len(solution)
    dx = rng.integers(-2, 3, (size, problem.n)).astype(float)
    dy = duals * rng.uniform(-1, 1, (size, problem.m))
    return Tilt(np.arange(size), np.full(size, t), dx, dy, np.zeros(size), solution.x)


def take(params: Params, rows: np.ndarray) -> Params:
    return {k: p.take(rows) for k, p in params.items()}


def same(a: Solution, b: Solution) -> bool:
    """Bitwise."""
    return all(np.array_equal(u, v) for u, v in ((a.x, b.x), (a.y, b.y), (a.status, b.status)))


def assert_optimal(problem: QP, params: Params, solution: Solution, tol: float = 1e-7) -> None:
    """Our signed optimality conditions, and a duality gap of zero."""
    assert (solution.status == Status.OPTIMAL).all()
    data = {k: p.full() for k, p in params.items()}
    x, y = solution.x, {k: solution.y[:, s] for k, s in problem.blocks.items()}
    slope, dual = data["q"].copy(), np.zeros(len(x))
    for name, rhs in (("A", "b"), ("G", "h")):
        if name in y:
            gap = np.einsum("bij,bj->bi", data[name], x) - data[rhs]
            assert (np.abs(gap) if name == "A" else gap).max(initial=0) < tol
            slope += np.einsum("bij,bi->bj", data[name], y[name])
            dual -= (np.where(y[name] == 0, 0, data[rhs]) * y[name]).sum(axis=1)
    for name, sign in (("lb", -1.0), ("ub", 1.0)):
        if name in y:
            assert (sign * (x - data[name]) <= 0).all()
            slope += sign * y[name]
            dual -= sign * (np.where(y[name] == 0, 0, data[name]) * y[name]).sum(axis=1)
    for name in y.keys() - {"A"}:
        assert (y[name] >= 0).all()
    assert np.abs(slope).max() < tol
    np.testing.assert_allclose((data["q"] * x).sum(axis=1), dual, atol=1e-6, rtol=1e-6)


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


def test_answers_depend_on_the_element_alone(monkeypatch):
    monkeypatch.setattr(sweep, "useful_threads", lambda threads, work, pays: threads or 1)
    problem, params = transport()
    whole = ENGINE.solve(problem, params, keep=True, threads=1)
    size = len(whole.solution)
    assert size == 16
    tilt = tilt_of(problem, whole.solution)
    other = replace(tilt, t=-tilt.t)
    up, down = whole.workspace.resolve(tilt).solution, whole.workspace.resolve(other).solution
    assert not np.array_equal(up.x, whole.solution.x)

    order = np.random.default_rng(1).permutation(size)
    mixed = ENGINE.solve(problem, take(params, order), keep=True, threads=2)
    assert same(mixed.solution, whole.solution.take(order))
    moved = replace(tilt.take(order), rows=np.arange(size))
    assert same(mixed.workspace.resolve(moved).solution, up.take(order))

    for chunk in np.array_split(np.arange(size), 5):
        part = ENGINE.solve(problem, take(params, chunk), keep=True)
        assert same(part.solution, whole.solution.take(chunk))
        here = replace(tilt.take(chunk), rows=np.arange(len(chunk)))
        assert same(part.workspace.resolve(here).solution, up.take(chunk))

    fresh = ENGINE.solve(problem, params, keep=True, threads=2).workspace
    assert same(fresh.resolve(other).solution, down)  # the other side first
    assert same(fresh.resolve(tilt).solution, up)
    assert same(fresh.resolve(tilt).solution, up)  # and twice
    assert same(fresh.resolve(tilt.join(other)).solution, up.join(down))  # and at once


def test_one_workspace_serves_several_threads():
    problem, params = transport()
    kept = ENGINE.solve(problem, params, keep=True)
    tilt = tilt_of(problem, kept.solution)
    expected = kept.workspace.resolve(tilt).solution
    found: list[Solution] = []
    callers = [
        threading.Thread(target=lambda: found.append(kept.workspace.resolve(tilt).solution))
        for _ in range(4)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(found) == 4
    assert all(same(expected, s) for s in found)


@pytest.mark.parametrize("t, duals", [(0.3, 0.0), (0.3, 0.05), (1e-3, 0.05)])
def test_a_resolve_equals_a_cold_solve_of_the_tilted_data(t, duals):
    rng = np.random.default_rng(9)
    G = rng.standard_normal((3, 15, 20))
    data = {
        "q": rng.standard_normal((3, 20)),
        "G": G,
        "h": G.sum(axis=2) * 0.5 + rng.uniform(0.2, 1, (3, 15)),
        "lb": np.zeros((3, 20)),
        "ub": np.ones((3, 20)),
    }
    problem, params = lp(**data)
    kept = ENGINE.solve(problem, params, keep=True)
    tilt = tilt_of(problem, kept.solution, t, duals)
    hot = kept.workspace.resolve(tilt)
    cold = ENGINE.solve(*problem.tilt(params, tilt))
    assert hot.set_ups == 3
    np.testing.assert_allclose(hot.solution.x, cold.solution.x, atol=1e-9)
    np.testing.assert_allclose(hot.solution.y, cold.solution.y, atol=1e-9)


def test_a_hot_start_takes_few_iterations():
    problem, params = transport(ties=False)
    kept = ENGINE.solve(problem, params, keep=True)
    tilt = tilt_of(problem, kept.solution, t=1e-3)
    # A limit that is too small for any cold solve is enough for every hot one.
    limited = HighsEngine(iteration_limit=5)
    assert not limited.solve(problem, params).solution.solved.any()
    workspace = replace(kept.workspace, engine=limited)
    hot = workspace.resolve(tilt)
    assert hot.solution.solved.all()
    assert hot.set_ups == len(kept.solution)


def test_a_failure_from_a_hot_start_is_confirmed_by_a_cold_one():
    data = {
        "q": np.array([[1.0, 1.0]] * 2),
        "G": np.array([[[1.0, 1.0]]] * 2),
        "h": np.array([[1.0]] * 2),
        "lb": np.zeros((2, 2)),
    }
    problem, params = lp(**data)
    kept = ENGINE.solve(problem, params, keep=True)
    dy = np.zeros((2, problem.m))
    dy[0, problem.blocks["G"]] = 5.0  # the row becomes x0 + x1 <= -4
    rows = np.arange(2)
    tilt = Tilt(rows, np.ones(2), np.zeros((2, 2)), dy, np.zeros(2), kept.solution.x)
    answer = kept.workspace.resolve(tilt)
    assert answer.solution.status.tolist() == [Status.INFEASIBLE, Status.OPTIMAL]
    assert answer.set_ups == 3


def test_a_time_limit_is_not_spent_twice(monkeypatch):
    problem, params = transport()
    kept = ENGINE.solve(problem, params, keep=True)
    monkeypatch.setattr(sweep, "solve", lambda *_: Found(Status.TIME_LIMIT))
    answer = kept.workspace.resolve(tilt_of(problem, kept.solution))
    assert (answer.solution.status == Status.TIME_LIMIT).all()
    assert answer.set_ups == len(kept.solution)


def test_bounds_that_a_tilt_crosses_are_infeasible():
    data = {"q": np.ones((1, 2)), "lb": np.zeros((1, 2)), "ub": np.ones((1, 2))}
    problem, params = lp(**data)
    kept = ENGINE.solve(problem, params, keep=True)
    dy = np.array([[3.0, 0, 0, 0]])  # lb becomes (3, 0)
    tilt = Tilt(np.zeros(1, int), np.ones(1), np.zeros((1, 2)), dy, np.zeros(1), kept.solution.x)
    assert kept.workspace.resolve(tilt).solution.status.tolist() == [Status.INFEASIBLE]


def test_leaves_other_users_of_highs_alone():
    # HiGHS sizes a scheduler at its first run in a thread and then refuses any other size there.
    import highspy

    def solve_with(threads: int) -> highspy.HighsStatus:
        highs = highspy.Highs()
        highs.silent()
        highs.setOptionValue("threads", threads)
        highs.addVar(0.0, 1.0)
        return highs.run()

    def both() -> None:
        problem, params = transport()
        found.append(ENGINE.solve(problem, params).solution.solved.all())
        found.append(solve_with(2) == highspy.HighsStatus.kOk)
        found.append(ENGINE.solve(problem, params).solution.solved.all())

    found: list[bool] = []
    caller = threading.Thread(target=both)  # a thread that has never run HiGHS
    caller.start()
    caller.join()
    assert found == [True, True, True]


def test_the_basis_of_a_solution_replaces_the_workspace():
    problem, params = transport()
    kept = ENGINE.solve(problem, params, keep=True)
    solution = kept.solution
    assert solution.basis.dtype == np.int8
    assert ((solution.basis == 1).sum(axis=1) == problem.blocks["A"].stop).all()
    tilt = tilt_of(problem, solution)
    expected = kept.workspace.resolve(tilt)
    restored = ENGINE.restore(problem, params, solution, None).resolve(tilt)
    afresh = ENGINE.solve(*problem.tilt(params, tilt), start=solution)
    assert same(restored.solution, expected.solution)
    assert same(afresh.solution, expected.solution)
    assert restored.set_ups == afresh.set_ups == expected.set_ups == 16


@pytest.mark.parametrize("basis", ["zero", "random", "another's", "too short"])
def test_a_start_from_no_basis_or_a_wrong_one_solves_all_the_same(basis):
    problem, params = transport(ties=False)
    plain = ENGINE.solve(problem, params).solution
    rng = np.random.default_rng(0)
    made = {
        "zero": np.zeros_like(plain.basis),
        "random": rng.permuted(plain.basis, axis=1),
        "another's": plain.basis[::-1] + 0,
        "too short": plain.basis[:, 1:],
    }[basis]
    found = ENGINE.solve(problem, params, start=replace(plain, basis=made)).solution
    assert found.solved.all()
    np.testing.assert_allclose(found.x, plain.x, atol=1e-9)
    np.testing.assert_allclose(found.y, plain.y, atol=1e-9) if basis == "zero" else None
