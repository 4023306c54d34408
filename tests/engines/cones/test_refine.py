import numpy as np
import pytest

from lpgd import Cones, MoreauEngine
from lpgd.core.solution import Solution, Status
from lpgd.engines.cones import refine
from lpgd.engines.cones.refine import Refined
from lpgd.families.conic.conic import Conic
from lpgd.testing.cone_battery import tilt_of
from lpgd.testing.cone_programs import KINDS, plant

NAMES = sorted(KINDS)


def rough(case, noise=1e-4):
    rng = np.random.default_rng(0)
    x, y = case.solution.x, case.solution.y
    return Solution(
        x + noise * rng.normal(size=x.shape), y + noise * rng.normal(size=y.shape),
        case.solution.status.copy(),
    )  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_rough_solutions_become_sharp(name):
    case = plant(KINDS[name], 0, 4)
    start = rough(case)
    found = Refined.of(case.problem, case.params, start).solution(case.params, start)
    np.testing.assert_allclose(found.x, case.solution.x, atol=1e-10)
    np.testing.assert_allclose(found.y, case.solution.y, atol=1e-10)


def test_what_is_not_solved_is_left_alone():
    case = plant(KINDS["mixed"], 1, 4)
    start = rough(case)
    start.status[1], start.x[1], start.y[1] = Status.TIME_LIMIT, 0, 0
    start.x[2] += 1e3  # no solution is near
    refined = Refined.of(case.problem, case.params, start)
    assert refined.place.tolist() == [0, -1, -1, 2]
    found = refined.solution(case.params, start)
    np.testing.assert_array_equal(found.x[[1, 2]], start.x[[1, 2]])
    np.testing.assert_array_equal(found.status, start.status)
    tilt = tilt_of(case)
    moved = refined.resolve(case.problem.tilt(case.params, tilt)[1], tilt)
    assert [Status(int(s)) for s in moved.status] == [
        Status.OPTIMAL, Status.NUMERICAL, Status.NUMERICAL, Status.OPTIMAL,
    ]  # fmt: skip


@pytest.mark.parametrize("rho", [0.0, 0.3])
def test_tilted_solutions_need_no_solver(rho):
    case = plant(KINDS["mixed"], 2, 3)
    refined = Refined.of(case.problem, case.params, case.solution)
    tilt = tilt_of(case, t=0.01, rho=rho).take(np.array([2, 0, 2]))
    problem, params = case.problem.tilt(case.params, tilt)
    found = refined.resolve(params, tilt)
    assert found.solved.all()
    expected = MoreauEngine().solve(problem, params).solution
    np.testing.assert_allclose(found.x, expected.x, atol=1e-9)
    np.testing.assert_allclose(found.y, expected.y, atol=1e-9)


def test_no_solution_at_all_is_no_error():
    case = plant(KINDS["soc"], 0, 2)
    blank = Solution.blank(2, case.problem.n, case.problem.m)
    refined = Refined.of(case.problem, case.params, blank)
    assert refined.place.tolist() == [-1, -1]
    assert not refined.solution(case.params, blank).solved.any()


def test_large_programs_are_left_to_the_solver(monkeypatch):
    assert Refined.reaches(Conic(100, Cones(nonneg=200, exp=20)))
    assert not Refined.reaches(Conic(100, Cones(nonneg=200, zero=90)))
    case = plant(KINDS["soc"], 0, 2)
    monkeypatch.setattr(refine, "REACH", 3)
    answer = MoreauEngine().solve(case.problem, case.params, keep=True)
    assert answer.workspace.refined is None
    assert answer.workspace.loaded.accuracy == MoreauEngine().target
    tilt = tilt_of(case)
    moved = answer.workspace.resolve(tilt)
    assert moved.set_ups == 0
    assert moved.solution.solved.all()
