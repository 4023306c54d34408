from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier, BrokenBarrierError

import numpy as np
import pytest

from lpgd import ClarabelEngine, MoreauEngine, ScsEngine
from lpgd.core.params import Param
from lpgd.core.solution import Status
from lpgd.testing.cone_battery import tilt_of
from lpgd.testing.cone_programs import KINDS, plant

ENGINES = [MoreauEngine(), ClarabelEngine(), ScsEngine()]


@pytest.mark.parametrize("engine", ENGINES)
def test_tilts_beyond_newton_s_reach_go_to_the_solver(engine):
    case = plant(KINDS["mixed"], 1, 2)
    answer = engine.solve(case.problem, case.params, keep=True)
    tilt = tilt_of(case, t=30.0, rho=0.1)
    found = answer.workspace.resolve(tilt).solution
    problem, params = case.problem.tilt(case.params, tilt)
    cold = engine.solve(problem, params).solution
    np.testing.assert_array_equal(found.status, cold.status)
    np.testing.assert_allclose(found.x, cold.x, atol=1e-6)


@pytest.mark.parametrize("units", [1.0, 1e-30, 1e58])
@pytest.mark.parametrize("engine", ENGINES)
def test_without_linear_terms_the_solution_is_zero(engine, units):
    case = plant(KINDS["mixed"], 1, 2)
    scale = {"P": units, "q": [[0.0], [1.0]], "b": [[0.0], [1.0]]}
    params = {k: Param(p.values * scale.get(k, 1.0), p.index) for k, p in case.params.items()}
    answer = engine.solve(case.problem, params)
    found, accuracy = answer.solution.take(np.zeros(1, dtype=np.intp)), answer.accuracy
    assert found.status[0] == Status.OPTIMAL
    assert not found.x.any()
    assert not found.y.any()
    assert accuracy[0] == 0


@pytest.mark.parametrize("rho", [0.0, 0.2])
@pytest.mark.parametrize("name", sorted(KINDS))
@pytest.mark.parametrize("engine", ENGINES)
def test_a_restored_workspace_answers_like_the_kept_one(engine, name, rho):
    case = plant(KINDS[name], 1, 3)
    answer = engine.solve(case.problem, case.params, keep=True)
    again = engine.restore(case.problem, case.params, answer.solution, None)
    tilt = tilt_of(case, t=0.05, rho=rho).take(np.array([2, 0, 2]))
    kept, restored = answer.workspace.resolve(tilt), again.resolve(tilt)
    np.testing.assert_array_equal(kept.solution.status, restored.solution.status)
    np.testing.assert_allclose(kept.solution.x, restored.solution.x, atol=1e-9)
    np.testing.assert_allclose(kept.solution.y, restored.solution.y, atol=1e-9)


class Meeting:
    """A loaded solver that notices when two threads are inside."""

    def __init__(self, loaded):
        self.loaded, self.barrier, self.met = loaded, Barrier(2, timeout=0.5), 0

    def solve(self, params, rows, start):
        try:
            self.barrier.wait()
            self.met += 1
        except BrokenBarrierError:  # nobody came
            pass
        return self.loaded.solve(params, rows, start)


@pytest.mark.parametrize("kept", [True, False])
def test_a_workspace_serves_one_thread_at_a_time(kept):
    case, engine = plant(KINDS["soc"], 1, 3), MoreauEngine()
    answer = engine.solve(case.problem, case.params, keep=True)
    workspace = answer.workspace
    if not kept:
        workspace = engine.restore(case.problem, case.params, answer.solution, None)
    meeting = Meeting(workspace.loaded)
    workspace, tilt = replace(workspace, loaded=meeting), tilt_of(case, t=0.05)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(workspace.resolve, [tilt, tilt]))
    assert not meeting.met
    np.testing.assert_array_equal(found[0].solution.x, found[1].solution.x)


@pytest.mark.parametrize("engine", ENGINES)
def test_answers_do_not_depend_on_what_was_asked_before(engine):
    """Far tilts, which go to the solver, among near ones, which Newton's method serves."""
    case = plant(KINDS["mixed"], 1, 3)
    workspace = engine.solve(case.problem, case.params, keep=True).workspace
    near, far = tilt_of(case, t=0.05), tilt_of(case, t=30.0).take(np.array([2, 0]))
    first, other = workspace.resolve(near), workspace.resolve(far)
    for before, again in ((first, workspace.resolve(near)), (other, workspace.resolve(far))):
        np.testing.assert_array_equal(before.solution.status, again.solution.status)
        np.testing.assert_array_equal(before.solution.x, again.solution.x)
        np.testing.assert_array_equal(before.solution.y, again.solution.y)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("keep", [True, False])
def test_the_layout_of_the_data_does_not_matter(engine, keep):
    case = plant(KINDS["mixed"], 1, 3)
    strided = {
        name: Param(np.moveaxis(np.moveaxis(p.values, 0, -1).copy(), -1, 0), p.index)
        for name, p in case.params.items()
    }
    tilt = tilt_of(case)
    for params in (case.params, strided):
        answer = engine.solve(case.problem, params, keep=keep)
        found = answer.workspace.resolve(tilt).solution if keep else answer.solution
        if params is case.params:
            want = found
    assert np.array_equal(found.x, want.x)
    assert np.array_equal(found.y, want.y)


@pytest.mark.parametrize("kind", [MoreauEngine, ClarabelEngine, ScsEngine])
@pytest.mark.parametrize(
    "wrong",
    [
        *({"target": value} for value in (0.0, 1e-3, np.nan, True, "1e-9")),
        *({"iteration_limit": value} for value in (0, 2.5, True, np.nan)),
        *({"time_limit": value} for value in (-1.0, np.nan, True, None)),
        {"verbose": "no"},
        {"polish": 1},
    ],
)
def test_impossible_options_are_refused(kind, wrong):
    with pytest.raises(ValueError):
        kind(**wrong)


def test_the_tolerance_asked_for_is_the_one_that_passes():
    case = plant(KINDS["soc"], 0, 3)
    engine = ClarabelEngine(target=1e-3, tolerance=1e-3, polish=False)
    assert engine.capabilities.tolerance == pytest.approx(1e-2)
    assert (engine.solve(case.problem, case.params).solution.status == Status.OPTIMAL).all()
