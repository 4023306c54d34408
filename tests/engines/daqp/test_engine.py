import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lpgd import DaqpEngine
from lpgd.core.params import Param, batched, shared
from lpgd.core.solution import Solution, Status
from lpgd.core.tilt import Tilt
from lpgd.engines import batch
from lpgd.engines.daqp import engine as _daqp
from lpgd.engines.daqp import set_up
from lpgd.families.qp.qp import QP
from lpgd.testing import EngineBattery, Shape, plant, tied
from lpgd.testing.optimality import untilted
from tests.support import program

ENGINE = DaqpEngine()


class TestBattery(EngineBattery):
    engine = ENGINE


class TestBatteryInThreads(EngineBattery):
    """The same with every element large enough for a thread of its own."""

    engine = ENGINE

    @pytest.fixture(autouse=True)
    def _threads(self, monkeypatch):
        monkeypatch.setattr(_daqp, "PAYS", 0)
        monkeypatch.setattr(batch, "processors", lambda: 3)


def qps(size, distinct, seed=0, n=6):
    shape = Shape(n, 1, 6, ("lb", "ub"), batch=size, distinct=distinct)
    return plant(shape, np.random.default_rng(seed))


def small_tilt(case, seed=0, rho=0.0):
    rng, size = np.random.default_rng(seed), len(case.solution)
    tilt = untilted(size, case.problem.n, case.problem.m)
    return Tilt(
        tilt.rows, np.full(size, 0.1), rng.normal(size=tilt.dx.shape), tilt.dy,
        np.full(size, rho), case.solution.x,
    )  # fmt: skip


def solve(case, **options):
    return ENGINE.solve(case.problem, case.params, **options)


@pytest.mark.parametrize(
    "distinct, expected",
    [({"q": 4, "h": 4}, 1), ({"q": 4, "G": 2}, 2), ({"P": 4, "q": 2}, 4), ({"A": 2, "P": 4}, 4)],
)
def test_one_set_up_for_every_distinct_matrices(distinct, expected):
    assert solve(qps(4, distinct)).set_ups == expected


def test_a_tilt_without_a_proximal_term_sets_up_nothing():
    case = qps(4, {"q": 4, "G": 2})
    answer = solve(case, keep=True)
    for t in (1.0, -1.0):
        tilt = small_tilt(case)
        assert answer.workspace.resolve(tilt.at(t * tilt.t)).set_ups == 0


def test_a_proximal_term_sets_up_every_distinct_hessian_once():
    case = qps(4, {"q": 4})
    workspace = solve(case, keep=True).workspace
    tilt = small_tilt(case, rho=0.5)
    assert workspace.resolve(tilt.join(tilt.at(-tilt.t))).set_ups == 1
    levels = Tilt(
        *(getattr(tilt, k) for k in ("rows", "t", "dx", "dy")), np.arange(1.0, 5), tilt.anchor
    )
    assert workspace.resolve(levels).set_ups == 4


def test_no_workspace_is_kept_unless_asked():
    assert solve(qps(2, {})).workspace is None


def test_working_sets_are_the_elements_own():
    """A shared model is left where the last element put it; that must not show."""
    case = qps(4, {"q": 4, "h": 4, "lb": 4})
    workspace = solve(case, keep=True).workspace
    tilt = small_tilt(case)
    together = workspace.resolve(tilt).solution
    for row in (3, 1, 1, 0, 2):
        alone = workspace.resolve(tilt.take(np.array([row]))).solution
        np.testing.assert_array_equal(alone.x[0], together.x[row])
        np.testing.assert_array_equal(alone.y[0], together.y[row])


@pytest.mark.parametrize("quadratic", [True, False])
@pytest.mark.parametrize("size", [0.0, 0.1, 3.0])
def test_rows_of_one_element_know_nothing_of_each_other(size, quadratic):
    """Whether they differ in their costs alone or in their right-hand sides too."""
    rng, rows = np.random.default_rng(0), np.array([0, 0, 1, 0, 0, 0, 1, 1])
    case = plant(Shape(6, 1, 6, ("lb", "ub"), quadratic=quadratic, batch=2), rng)
    workspace = solve(case, keep=True).workspace
    dx, dy = rng.normal(size=(8, case.problem.n)), rng.normal(size=(8, case.problem.m))
    anchor = case.solution.x[rows]
    tilt = Tilt(rows, np.tile([0.01, 0.3], 4), dx, size * dy, np.zeros(8), anchor)
    together = workspace.resolve(tilt).solution
    for row in range(8):
        alone = workspace.resolve(tilt.take(np.array([row]))).solution
        assert alone.status[0] == together.status[row]
        np.testing.assert_array_equal(alone.x[0], together.x[row])
        np.testing.assert_array_equal(alone.y[0], together.y[row])


def test_an_infeasible_neighbour_changes_nothing():
    case = qps(4, {"q": 4, "h": 4})
    bounds = {
        name: shared(np.clip(case.params[name].values[0], -50, 50), 4) for name in ("lb", "ub")
    }
    params = {**case.params, **bounds}
    before = ENGINE.solve(case.problem, params).solution
    h = params["h"].values.copy()
    h[1] = -1e3
    after = ENGINE.solve(case.problem, {**params, "h": batched(h)}).solution
    others = np.array([0, 2, 3])
    assert after.status.tolist() == [0, Status.INFEASIBLE, 0, 0]
    np.testing.assert_array_equal(after.x[others], before.x[others])
    np.testing.assert_array_equal(after.y[others], before.y[others])


def test_a_positive_definite_hessian_stays_within_bounds_exactly():
    problem, params = program(P=np.eye(3) * 1e-3, q=[1, -1, 0.3], lb=[0.1, 0.1, 0.1], ub=[0.7] * 3)
    x = ENGINE.solve(problem, params).solution.x
    assert (x >= 0.1).all()
    assert (x <= 0.7).all()


@pytest.mark.parametrize(
    "P", [np.zeros((2, 2)), [[1, 0], [0, 0]], [[1, 1], [1, 1]], [[1e-14, 0], [0, 1]]]
)
def test_singular_hessians(P):
    problem, params = program(P=P, q=[1, 1], lb=[-1, -1], ub=[1, 1], G=[[1, 2]], h=[1])
    solution = ENGINE.solve(problem, params).solution
    assert solution.solved.all()
    P, x, y = np.array(P), solution.x[0], solution.y[0]
    slope = P @ x + 1 + y[0] * np.array([1, 2]) - y[1:3] + y[3:5]
    np.testing.assert_allclose(slope, 0, atol=1e-8)
    assert (y >= 0).all()


def test_singular_hessians_are_set_up_afresh_for_every_solve():
    problem, params = program(P=[[1, 0], [0, 0]], q=[1, 1], lb=[-1, -1])
    answer = ENGINE.solve(problem, params, keep=True)
    again = answer.workspace.resolve(untilted(1, 2, 2))
    assert again.set_ups == 1
    np.testing.assert_allclose(again.solution.x, answer.solution.x, atol=1e-9)


@pytest.mark.parametrize("start", [False, True])
def test_no_constraints_at_all(start):
    problem, params = program(P=[[2, 0], [0, 4]], q=[2, 4])
    near = Solution(np.ones((1, 2)), np.zeros((1, 0)), np.zeros(1, np.int8)) if start else None
    answer = ENGINE.solve(problem, params, start=near, keep=True)
    np.testing.assert_allclose(answer.solution.x, [[-1, -1]], atol=1e-12)
    assert answer.solution.y.shape == (1, 0)
    for rho in (0.0, 2.0):
        tilt = untilted(1, 2, 0)
        tilt = Tilt(
            tilt.rows, np.ones(1), np.ones((1, 2)), tilt.dy, np.full(1, rho), np.ones((1, 2))
        )
        x = answer.workspace.resolve(tilt).solution.x
        np.testing.assert_allclose(x, [[(rho - 3) / (2 + rho), (rho - 5) / (4 + rho)]], atol=1e-12)


@pytest.mark.parametrize("quadratic", [False, True])
def test_no_constraints_and_no_curvature_is_unbounded(quadratic):
    problem, params = program(q=[1, 1], **({"P": np.zeros((2, 2))} if quadratic else {}))
    solution = ENGINE.solve(problem, params).solution
    assert solution.status.tolist() == [Status.UNBOUNDED]


def test_groups_without_rows():
    problem = QP.of({"P": 2, "A": 0, "G": 0}, 2, {})
    params = {
        "P": shared(np.eye(2), 1), "q": shared(np.ones(2), 1),
        "A": shared(np.zeros((0, 2)), 1), "b": shared(np.zeros(0), 1),
        "G": shared(np.zeros((0, 2)), 1), "h": shared(np.zeros(0), 1),
    }  # fmt: skip
    np.testing.assert_allclose(ENGINE.solve(problem, params).solution.x, [[-1, -1]])


@pytest.mark.parametrize("name", ["q", "G", "h", "lb", "ub"])
def test_one_batched_argument_among_shared_ones(name):
    """DAQP reads rows as they lie in memory: a shared argument must not be read across."""
    rng = np.random.default_rng(0)
    values = {
        "q": rng.normal(size=(1, 3)), "G": rng.normal(size=(1, 4, 3)), "h": rng.random((1, 4)),
        "lb": -rng.random((1, 3)), "ub": rng.random((1, 3)),
    }  # fmt: skip
    params = {k: Param(v, np.zeros(2, dtype=int)) for k, v in values.items()}
    params[name] = batched(np.concatenate([values[name], 1.3 * values[name]]))
    problem = QP.of({"G": 4, "lb": 3, "ub": 3}, 3, {})
    together = ENGINE.solve(problem, params).solution
    for row in range(2):
        alone = {k: p.take(np.array([row])) for k, p in params.items()}
        single = ENGINE.solve(problem, alone).solution
        np.testing.assert_array_equal(single.x[0], together.x[row])


@pytest.mark.parametrize("seed", [514, 1245, 3091, 3115, 3230])
def test_a_bounded_lp_is_not_called_unbounded(seed):
    """DAQP's first step, from an infeasible point, may miss every constraint."""
    shape = {
        514: Shape(2, 1, 0, ("ub",), quadratic=False),
        1245: Shape(5, 4, 5, (), quadratic=False),
        3091: Shape(4, 3, 0, ("ub",), quadratic=False),
        3115: Shape(2, 1, 1, ("ub",), quadratic=False),
        3230: Shape(2, 1, 0, ("lb", "ub"), quadratic=False),
    }[seed]
    case = plant(shape, np.random.default_rng(seed))
    solution = ENGINE.solve(case.problem, case.params).solution
    assert solution.solved.all()
    np.testing.assert_allclose(solution.x, case.solution.x, atol=1e-8)


def test_limits_are_statuses():
    case = qps(2, {"q": 2})
    few = DaqpEngine(iteration_limit=1).solve(case.problem, case.params).solution
    assert (few.status == Status.ITERATION_LIMIT).any()


def test_a_time_limit_is_not_spent_twice(monkeypatch):
    case = qps(3, {"q": 3})
    workspace = solve(case, keep=True).workspace
    monkeypatch.setattr(set_up.Bench, "solve", lambda *_: (-7, None, None))
    answer = workspace.resolve(small_tilt(case))
    assert (answer.solution.status == Status.TIME_LIMIT).all()
    assert answer.set_ups == 0


def test_an_iteration_limit_is_the_user_s():
    """No other solver takes over behind it."""
    shape = Shape(6, 1, 6, ("lb", "ub"), batch=4, quadratic=False)
    case = plant(shape, np.random.default_rng(0))
    few = DaqpEngine(iteration_limit=1).solve(case.problem, case.params).solution
    assert (few.status == Status.ITERATION_LIMIT).all()
    assert not few.x.any()


def test_one_workspace_serves_several_threads():
    case = qps(4, {"q": 4, "h": 4})
    workspace = solve(case, keep=True).workspace
    tilts = [small_tilt(case, seed) for seed in range(4)]
    expected = [workspace.resolve(tilt).solution for tilt in tilts]
    start = threading.Barrier(4, timeout=10)

    def work(tilt):
        start.wait()
        return [workspace.resolve(tilt).solution for _ in range(20)]

    with ThreadPoolExecutor(4) as pool:
        for found, right in zip(pool.map(work, tilts), expected, strict=True):
            for solution in found:
                np.testing.assert_array_equal(solution.x, right.x)


def test_threads_give_the_same_bits(monkeypatch):
    case = qps(4, {"q": 4, "G": 2, "P": 4})
    once = solve(case, keep=True)
    monkeypatch.setattr(_daqp, "PAYS", 0)
    monkeypatch.setattr(batch, "processors", lambda: 2)
    twice = solve(case, keep=True)
    np.testing.assert_array_equal(once.solution.x, twice.solution.x)
    assert once.set_ups == twice.set_ups
    tilt = small_tilt(case)
    np.testing.assert_array_equal(
        once.workspace.resolve(tilt).solution.x, twice.workspace.resolve(tilt).solution.x
    )


def test_a_copy_keeps_the_options():
    engine = DaqpEngine(primal_tol=1e-7, time_limit=3.0)
    assert pickle.loads(pickle.dumps(engine)) == engine


def test_ties_are_real():
    """The battery's programs do have many solutions: another start gives another one."""
    case = tied(6, np.random.default_rng(0))
    cold = solve(case).solution
    far = Solution(cold.x[:, ::-1].copy(), cold.y, cold.status)
    warm = solve(case, start=far).solution
    assert (cold.x != warm.x).any()
    costs = case.params["q"].full()
    np.testing.assert_allclose(
        (costs * warm.x).sum(axis=1), (costs * cold.x).sum(axis=1), atol=1e-9
    )


def test_a_restored_workspace_answers_as_the_kept_one():
    for case in (qps(4, {"q": 4, "G": 2, "P": 4}), tied(4, np.random.default_rng(0))):
        answer = solve(case, keep=True)
        restored = ENGINE.restore(case.problem, case.params, answer.solution, None)
        for rho in (0.0, 0.5):
            tilt = small_tilt(case, rho=rho)
            kept, again = (w.resolve(tilt).solution for w in (answer.workspace, restored))
            assert kept.x.tobytes() == again.x.tobytes()
            assert kept.y.tobytes() == again.y.tobytes()


@pytest.mark.parametrize(
    "options",
    [
        {"primal_tol": np.nan}, {"primal_tol": "1e-9"}, {"primal_tol": True}, {"primal_tol": 0.0},
        {"iteration_limit": 2.5}, {"iteration_limit": True}, {"iteration_limit": 0},
        {"iteration_limit": 2**31}, {"time_limit": np.nan}, {"time_limit": np.inf},
        {"time_limit": -1.0}, {"time_limit": None},
    ],
)  # fmt: skip
def test_options_that_mean_nothing_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        DaqpEngine(**options)
