"""Faults are an element's: a batch that breaks a solver is run again by halves."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import pytest

from lpgd import LPGD, DaqpEngine, EngineError, SolverError, SolverWarning
from lpgd.core.engine import Answer, Capabilities
from lpgd.core.params import Param, batched
from lpgd.core.solution import Solution, Status
from lpgd.core.tilt import Tilt
from lpgd.map.attempt import Batch, Parts, attempt, together
from lpgd.map.eased import Afresh, Ask
from lpgd.map.solution_map import SolutionMap
from tests.maps import BOX, boxes, forward
from tests.support import cotangent, groups


@dataclass
class Fragile:
    """DAQP that breaks where a cost is 13, forward, or where a tilt makes it so."""

    error: Exception = field(default_factory=lambda: MemoryError("no room"))
    keeps: bool = True
    sizes: list = field(default_factory=list)
    name: ClassVar[str] = "fragile"
    capabilities: ClassVar[Capabilities] = Capabilities(frozenset({"LP"}))

    def solve(self, problem, params, *, start=None, keep=False, threads=None):
        q = params["q"].full()
        self.sizes.append(len(q))
        if (q == 13).any():
            raise self.error
        answer = DaqpEngine().solve(problem, params, start=start, keep=keep)
        return answer if self.keeps else replace(answer, workspace=None)


@pytest.mark.parametrize("keeps", [True, False])
def test_one_element_that_breaks_a_solver_costs_no_other(keeps):
    costs = np.array([[1, -1], [2, 3], [-1, 13], [-1, -1], [4, -2]], dtype=float)
    engine = Fragile(keeps=keeps)
    found = SolutionMap(LPGD(8.0), engine, "nan")
    with pytest.warns(SolverWarning, match=r"1 of 5 elements.*2: crashed"):
        solved = forward(found, BOX, boxes(*costs))
    good = np.array([0, 1, 3, 4])
    alone = forward(SolutionMap(LPGD(8.0), "daqp"), BOX, boxes(*costs[good]))
    np.testing.assert_array_equal(solved.solution.x[good], alone.solution.x)
    assert solved.solution.status.tolist() == [0, 0, Status.CRASHED, 0, 0]
    dx = np.ones((5, 2))
    pulled = found.pullback(solved, cotangent(dx, m=4), {"q": np.arange(5)[:, None]})["q"]
    other = SolutionMap(LPGD(8.0), "daqp").pullback(
        alone, cotangent(dx[good], m=4), {"q": np.arange(4)[:, None]}
    )["q"]
    np.testing.assert_array_equal(pulled[good], other)
    assert not pulled[2].any()


def test_a_tilted_solve_that_breaks_costs_its_element_only():
    found = SolutionMap(LPGD(1.0, side="lower", retries=0), Fragile(keeps=False), "nan")
    solved = forward(found, BOX, boxes([1, 12], [1, -2], [3, 3]))
    with pytest.warns(SolverWarning, match=r"tilted solve.*1 of 3.*0: crashed"):
        pulled = found.pullback(
            solved,
            cotangent(np.array([[-2, 1], [0, 3], [1, 1]]), m=4),
            groups(boxes(*[[0, 0]] * 3)),
        )
    np.testing.assert_array_equal(pulled["q"], [[0, 0], [0, -1], [0, 0]])


def test_the_error_of_a_solver_is_chained():
    found = SolutionMap(LPGD(0.5), Fragile(OverflowError("too large")))
    with pytest.raises(SolverError, match=r"1 of 3 elements.*1: crashed") as caught:
        forward(found, BOX, boxes([1, 1], [13, 1], [1, 1]))
    assert isinstance(caught.value.__cause__, OverflowError)


def test_errors_that_are_ours_pass():
    with pytest.raises(EngineError, match="mine"):
        forward(SolutionMap(LPGD(0.5), Fragile(EngineError("mine"))), BOX, boxes([13, 1], [1, 1]))


def test_a_batch_is_halved_until_the_culprit_is_alone():
    engine = Fragile()
    work = Batch(boxes(*[[1, 1]] * 7, [13, 1]), None, 8)
    attempt(engine, BOX, work, lambda part: engine.solve(BOX, part.params))
    assert engine.sizes == [8, 4, 4, 2, 2, 1, 1]


def answer(rows, **more):
    x = np.arange(rows, dtype=float)[:, None]
    return Answer(Solution(x, x, np.zeros(rows, np.int8)), 1, **more)


def test_answers_of_parts_are_joined_with_all_they_say():
    ray = answer(1).solution  # parts without rays have zeros
    both = together(
        [
            (np.arange(2), answer(2, accuracy=np.array([0.1, 0.2]))),
            (np.arange(2, 3), answer(1, ray=ray, notes={0: "so"}, cause=ValueError("why"))),
        ]
    )
    assert len(both.solution) == 3
    assert both.set_ups == 2
    np.testing.assert_array_equal(both.accuracy, [0.1, 0.2, np.inf])
    assert both.ray.x[:, 0].tolist() == [0, 0, 0]
    assert both.ray.y.tolist() == [[0], [0], [0]]
    assert both.notes == {2: "so"}
    assert isinstance(both.cause, ValueError)
    assert both.workspace is None


class Echo:
    """Answers with the rows that it was asked for."""

    def __init__(self, base, cause=None):
        self.base, self.cause = base, cause

    def resolve(self, tilt):
        rows = self.base + tilt.rows.astype(float)[:, None]
        solution = Solution(rows, rows, np.zeros(len(rows), np.int8))
        return Answer(solution, len(rows), cause=self.cause)


def test_what_one_part_keeps_is_kept():
    parts = [(np.arange(2), answer(2, workspace=Echo(5))), (np.arange(2, 3), answer(1))]
    rows, zero = np.array([1]), np.zeros((1, 1))
    found = together(parts).workspace.resolve(Tilt(rows, zero[0], zero, zero, zero[0], zero))
    assert found.solution.x.tolist() == [[6]]


def test_workspaces_of_parts_serve_any_rows():
    parts = Parts.of([(np.array([3, 0]), Echo(10)), (np.array([1]), Echo(20))], 4)
    rows = np.array([1, 0, 3, 3, 1])
    zero = np.zeros((5, 1))
    found = parts.resolve(Tilt(rows, zero[:, 0], zero, zero, zero[:, 0], zero))
    np.testing.assert_array_equal(found.solution.x[:, 0], [20, 11, 10, 10, 20])
    assert found.set_ups == 5


@pytest.mark.parametrize("first", [True, False])
def test_the_error_of_any_part_is_told(first):
    error = ValueError("why")
    causes = [error, None] if first else [None, error]
    workspaces = [Echo(0, cause) for cause in causes]
    parts = Parts.of([(np.array([i]), one) for i, one in enumerate(workspaces)], 2)
    zero = np.zeros((2, 1))
    tilt = Tilt(np.arange(2), zero[:, 0], zero, zero, zero[:, 0], zero)
    assert parts.resolve(tilt).cause is error


def test_an_engine_that_keeps_nothing_starts_at_the_solution_of_each_row():
    class Noting:
        """Notes what it was given."""

        def solve(self, problem, params, **given):
            self.given = given
            return answer(len(params["q"].index))

    engine, start = Noting(), replace(answer(2).solution, y=np.zeros((2, 4)))
    start = replace(start, x=np.array([[0.0, 0.0], [1.0, 1.0]]))
    rows, zero = np.array([1, 0, 1]), np.zeros(3)
    tilt = Tilt(rows, zero, np.zeros((3, 2)), np.zeros((3, 4)), zero, start.x[rows])
    Afresh(Ask(engine, 3), BOX, boxes([1, 1], [2, 2]), start).resolve(tilt)
    np.testing.assert_array_equal(engine.given["start"].x, start.x[rows])
    assert engine.given["threads"] == 3


def test_a_batch_takes_its_starts_along():
    params = {
        "q": batched(np.arange(6.0).reshape(3, 2)),
        "o": Param(np.array(["a"], object), np.zeros(3, int)),
    }
    part = Batch(params, answer(3).solution, 3).take(np.array([2]))
    assert len(part) == 1
    assert part.start.x.tolist() == [[2.0]]
    assert part.params["o"].full().tolist() == ["a"]
