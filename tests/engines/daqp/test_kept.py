"""What DAQP keeps: one set-up for every distinct (P, G, A), a working set for every element."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lpgd.core.params import batched, shared
from lpgd.core.solution import Solution, Status
from lpgd.core.tilt import Tilt
from lpgd.engines import batch
from lpgd.engines.daqp import engine as _daqp
from lpgd.engines.daqp import set_up
from lpgd.testing import Shape, plant, tied
from lpgd.testing.optimality import untilted
from tests.engines.daqp.programs import ENGINE, qps, small_tilt, solve
from tests.support import program


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


def test_singular_hessians_are_set_up_afresh_for_every_solve():
    problem, params = program(P=[[1, 0], [0, 0]], q=[1, 1], lb=[-1, -1])
    answer = ENGINE.solve(problem, params, keep=True)
    again = answer.workspace.resolve(untilted(1, 2, 2))
    assert again.set_ups == 1
    np.testing.assert_allclose(again.solution.x, answer.solution.x, atol=1e-9)


def test_a_time_limit_is_not_spent_twice(monkeypatch):
    case = qps(3, {"q": 3})
    workspace = solve(case, keep=True).workspace
    monkeypatch.setattr(set_up.Bench, "solve", lambda *_: (-7, None, None))
    answer = workspace.resolve(small_tilt(case))
    assert (answer.solution.status == Status.TIME_LIMIT).all()
    assert answer.set_ups == 0


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
