from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from lpgd import ClarabelEngine, MoreauEngine, ScsEngine
from lpgd.core.engine import Capabilities
from lpgd.core.solution import Solution, Status
from lpgd.core.tilt import Cotangent
from lpgd.engines.cones.engine import ROUGH, ConeEngine, Kept
from lpgd.testing.cone_battery import tilt_of
from lpgd.testing.cone_programs import KINDS, plant


@dataclass(frozen=True)
class Recorder(ConeEngine):
    """Finds the planted solution to the accuracy it is asked for."""

    case: object = None
    name: ClassVar[str] = "recorder"
    capabilities: ClassVar[Capabilities] = Capabilities(frozenset({"conic"}))
    coarse: ClassVar[float] = 1e-4
    log: ClassVar[list] = []
    stalls_below: float = 0.0

    def load(self, conic, params, accuracy, threads):
        return Stub(self, accuracy, threads, len(params["q"].index))


class Stub:
    def __init__(self, engine, accuracy, threads, size):
        self.engine, self.accuracy, self.threads, self.size = engine, accuracy, threads, size

    def serves(self, rows):
        return True

    def solve(self, conic, params, rows, start):
        self.engine.log.append((self.accuracy, rows.tolist()))
        known = self.engine.case.solution
        noise = self.accuracy * np.random.default_rng(0).normal(size=(len(rows), conic.n))
        stalled = self.accuracy < self.engine.stalls_below
        status = np.full(len(rows), Status.NUMERICAL if stalled else Status.OPTIMAL, np.int8)
        places = rows if len(rows) == len(known) else np.zeros(len(rows), int)
        return Solution(known.x[places] + noise, known.y[places], status)


@pytest.fixture(autouse=True)
def _empty():
    Recorder.log.clear()


def test_small_programs_are_solved_coarsely_and_refined():
    case = plant(KINDS["soc"], 0, 3)
    found = Recorder(case=case).solve(case.problem, case.params).solution
    assert Recorder.log == [(1e-4, [0, 1, 2])]
    np.testing.assert_allclose(found.x, case.solution.x, atol=1e-10)
    Recorder(case=case, polish=False).solve(case.problem, case.params)
    assert Recorder.log[1:] == [(1e-11, [0, 1, 2])]
    Recorder(case=case, target=1e-3, tolerance=1e-3).solve(case.problem, case.params)
    assert Recorder.log[2:] == [(1e-3, [0, 1, 2])]


def test_what_cannot_be_refined_is_solved_finely():
    case = plant(KINDS["zero"], 0, 3)
    values = case.params["A"].values
    values[0, 1], case.params["b"].values[0, 1] = values[0, 0], case.params["b"].values[0, 0]
    answer = Recorder(case=case).solve(case.problem, case.params, keep=True)
    assert Recorder.log == [(1e-4, [0, 1, 2]), (1e-11, [0])]
    tilt = tilt_of(case, t=1e-3).take(np.array([1, 0, 2]))
    moved = answer.workspace.resolve(tilt)
    assert Recorder.log[2:] == [(1e-4, [0]), (1e-11, [0])]
    assert moved.solution.solved.all()


def test_fine_answers_are_refined_too(monkeypatch):
    monkeypatch.setattr(Recorder, "coarse", 10.0)  # too far for Newton's method
    case = plant(KINDS["exp"], 0, 3)
    found = Recorder(case=case, target=1e-6, tolerance=1e-6).solve(case.problem, case.params)
    assert Recorder.log[1][0] == 1e-6
    np.testing.assert_allclose(found.solution.x, case.solution.x, atol=1e-10)


def test_what_stalls_is_solved_to_the_tolerance():
    case = plant(KINDS["soc"], 0, 3)
    engine = Recorder(case=case, polish=False, stalls_below=1e-8)
    answer = engine.solve(case.problem, case.params)
    assert Recorder.log == [(1e-11, [0, 1, 2]), (1e-7, [0, 1, 2])]
    assert answer.solution.solved.all()
    assert answer.set_ups == 6
    Recorder.log.clear()
    hopeless = replace(engine, stalls_below=1.0).solve(case.problem, case.params)
    assert Recorder.log == [(1e-11, [0, 1, 2]), (1e-7, [0, 1, 2])]
    assert (hopeless.solution.status == Status.NUMERICAL).all()


@pytest.mark.parametrize(
    "options, accuracy",
    [
        ({}, ClarabelEngine.capabilities.accuracy),
        ({"target": 1e-3, "tolerance": 1e-3}, ClarabelEngine.capabilities.accuracy),
        ({"polish": False}, ROUGH),
        ({"target": 1e-3, "tolerance": 1e-3, "polish": False}, 1e-3),
    ],
)
def test_what_is_not_refined_is_rough_or_as_accurate_as_was_asked(options, accuracy):
    case, engine = plant(KINDS["soc"], 0, 3), ClarabelEngine(**options)
    workspace = engine.solve(case.problem, case.params, keep=True).workspace
    np.testing.assert_array_equal(workspace.accuracy, np.full(3, accuracy))


@pytest.mark.parametrize("engine", [MoreauEngine(), ClarabelEngine(), ScsEngine()])
def test_tilts_beyond_newton_s_reach_go_to_the_solver(engine):
    case = plant(KINDS["mixed"], 1, 2)
    answer = engine.solve(case.problem, case.params, keep=True)
    assert isinstance(answer.workspace, Kept)
    tilt = tilt_of(case, t=30.0, rho=0.1)
    found = answer.workspace.resolve(tilt).solution
    problem, params = case.problem.tilt(case.params, tilt)
    cold = engine.solve(problem, params).solution
    np.testing.assert_array_equal(found.status, cold.status)
    np.testing.assert_allclose(found.x, cold.x, atol=1e-6)


def test_the_adjoint_is_the_family_s():
    case = plant(KINDS["mixed"], 1, 2)
    workspace = ScsEngine().solve(case.problem, case.params, keep=True).workspace
    tilt = tilt_of(case)
    rows = np.array([1, 1, 0])
    cotangent = Cotangent(rows, *(part[rows] for part in (tilt.dx, tilt.dy, tilt.ds)))
    found = workspace.adjoint(cotangent, 0.5)
    want = case.problem.adjoint(case.params, workspace.solution.take(rows), cotangent, 0.5)
    np.testing.assert_array_equal(found.a, want.a)
    np.testing.assert_array_equal(found.v, want.v)


@pytest.mark.parametrize("kind", [MoreauEngine, ClarabelEngine, ScsEngine])
@pytest.mark.parametrize(
    "wrong", [{"target": 0.0}, {"target": 1e-3}, {"iteration_limit": 0}, {"time_limit": -1.0}]
)
def test_impossible_options_are_refused(kind, wrong):
    with pytest.raises(ValueError):
        kind(**wrong)
