from dataclasses import replace

import numpy as np
import pytest

from lpgd import Cones, MoreauEngine
from lpgd.core.solution import Solution, Status
from lpgd.engines.cones import refined
from lpgd.engines.cones.refined import Refined, reaches
from lpgd.engines.cones.solver import Found, Request
from lpgd.families.conic import newton
from lpgd.families.conic.conic import Conic
from lpgd.testing.cone_battery import tilt_of
from lpgd.testing.cone_programs import KINDS, plant

NAMES = sorted(KINDS)


class Rough:
    """Finds the planted solution, off by the accuracy that it is asked for; keeps a log."""

    def __init__(self, case, status=None, noise=None, seconds=0.0):
        self.case, self.log, self.noise, self.seconds = case, [], noise, seconds
        self.status = np.zeros(len(case.solution), np.int8) if status is None else status

    def load(self, conic, params, request):
        self.request = request
        return self

    def solve(self, params, rows, start):
        accuracy = self.request.accuracy
        self.log.append((accuracy, rows.tolist()))
        rng, known = np.random.default_rng(0), self.case.solution
        places = rows if len(params["q"].index) == len(known) else np.zeros(len(rows), int)
        x = known.x[places] + accuracy * rng.normal(size=(len(rows), known.x.shape[1]))
        y = known.y[places] + accuracy * rng.normal(size=(len(rows), known.y.shape[1]))
        if self.noise is not None:
            x = x + self.noise[places, None]
        found = Found.of(x, y, self.status[places])
        found.seconds[:], found.set_ups[:] = self.seconds, 1
        return found


def load(case, solver, *, coarse=1e-4, target=1e-11, keep=False):
    request = Request(target, keep=keep)
    return Refined(solver, coarse).load(case.problem, case.params, request)


@pytest.mark.parametrize("name", NAMES)
def test_rough_solutions_become_sharp(name):
    case = plant(KINDS[name], 0, 4)
    solver = Rough(case)
    found = load(case, solver).solve(case.params, np.arange(4), None)
    assert solver.log == [(1e-4, [0, 1, 2, 3])]
    np.testing.assert_allclose(found.x, case.solution.x, atol=1e-10)
    np.testing.assert_allclose(found.y, case.solution.y, atol=1e-10)
    assert (found.error <= newton.FINE).all()


def test_what_is_not_solved_is_left_alone():
    case = plant(KINDS["mixed"], 1, 4)
    status = np.array([0, Status.TIME_LIMIT, 0, 0], np.int8)
    solver = Rough(case, status, np.array([0.0, 0.0, 1e3, 0.0]))  # no solution is near
    loaded = load(case, solver, coarse=1e-4, target=1e-4, keep=True)
    found = loaded.solve(case.params, np.arange(4), None)
    assert found.status.tolist() == [0, Status.TIME_LIMIT, 0, 0]
    assert (found.error <= newton.FINE).tolist() == [True, False, False, True]
    assert loaded.place.tolist()[0] >= 0
    assert loaded.place.tolist()[1:3] == [-1, -1]


def test_dependent_rows_are_refined_by_least_squares():
    case = plant(KINDS["zero"], 0, 3)
    values = case.params["A"].values
    values[0, 1], case.params["b"].values[0, 1] = values[0, 0], case.params["b"].values[0, 0]
    found = load(case, Rough(case)).solve(case.params, np.arange(3), None)
    assert (found.error <= newton.FINE).all()


def test_what_cannot_be_refined_is_solved_finely():
    case = plant(KINDS["mixed"], 1, 3)
    solver = Rough(case, noise=np.array([1e3, 0.0, 0.0]), seconds=3.0)
    loaded = Refined(solver, 1e-4).load(case.problem, case.params, Request(1e-11, 5.0))
    found = loaded.solve(case.params, np.arange(3), None)
    assert solver.log == [(1e-4, [0, 1, 2]), (1e-11, [0])]
    assert solver.request.seconds == 2.0  # a time limit is one budget
    assert found.seconds.tolist() == [6.0, 3.0, 3.0]
    assert found.set_ups.tolist() == [2, 1, 1]


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("rho", [0.0, 0.3])
def test_tilted_solutions_need_no_solver(rho, keep):
    """Whether or not the equations of the forward solve were kept."""
    case = plant(KINDS["mixed"], 2, 3)
    tilt = tilt_of(case, t=0.01, rho=rho).take(np.array([2, 0, 2]))
    problem, params = case.problem.tilt(case.params, tilt)
    solver, rows = Rough(case), tilt.rows
    if rho:
        case, rows = replace(case, problem=problem, params=params), np.arange(3)
        start = case.solution.take(tilt.rows)
        loaded = Refined(solver, 1e-4).load(problem, params, Request(1e-11))
    else:
        loaded, start = load(case, solver, keep=keep), case.solution.take(tilt.rows)
        if keep:
            loaded.solve(case.params, np.arange(3), None)
    before = len(solver.log)
    found = loaded.solve(params, rows, start)
    assert found.solved.all()
    assert len(solver.log) == before
    expected = MoreauEngine().solve(problem, params).solution
    np.testing.assert_allclose(found.x, expected.x, atol=1e-9)
    np.testing.assert_allclose(found.y, expected.y, atol=1e-9)


def test_no_solution_at_all_is_no_error():
    case = plant(KINDS["soc"], 0, 2)
    solver = Rough(case, np.full(2, Status.NUMERICAL, np.int8))
    loaded = load(case, solver, keep=True)
    assert not loaded.solve(case.params, np.arange(2), None).solved.any()
    blank = Solution.blank(2, case.problem.n, case.problem.m)
    loaded.solve(case.params, np.arange(2), blank)


def test_large_programs_are_left_to_the_solver(monkeypatch):
    assert reaches(Conic(100, Cones(nonneg=200, exp=20)))
    assert not reaches(Conic(100, Cones(nonneg=200, zero=90)))
    case = plant(KINDS["soc"], 0, 2)
    monkeypatch.setattr(refined, "REACH", 3)
    solver = Rough(case)
    assert load(case, solver) is solver
    assert solver.request.accuracy == 1e-11
    answer = MoreauEngine().solve(case.problem, case.params, keep=True)
    assert answer.workspace.resolve(tilt_of(case)).set_ups == 0


def test_what_is_found_may_be_changed_by_others():
    """The anchor of tilted solves is not."""
    case = plant(KINDS["mixed"], 0, 3)
    loaded = load(case, Rough(case), keep=True)
    found = loaded.solve(case.params, np.arange(3), None)
    kept = [getattr(loaded.anchor.point, name).copy() for name in ("x", "v", "y", "error")]
    for part in (found.x, found.y, found.error):
        part[:] = np.nan
    for name, before in zip(("x", "v", "y", "error"), kept, strict=True):
        np.testing.assert_array_equal(getattr(loaded.anchor.point, name), before)
