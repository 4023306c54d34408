"""Engines get eased programs, and the answers are those of the given ones."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from lpgd.core.params import batched
from lpgd.core.solution import Solution, Status
from lpgd.core.tilt import Tilt
from lpgd.engines.daqp.engine import DaqpEngine
from lpgd.map.eased import Ask, Eased
from tests.support import program

BIG = 1e12
ENGINE = DaqpEngine()
UNBOUNDED = np.array([Status.UNBOUNDED], dtype=np.int8)


@dataclass
class Spy:
    """Notes the costs that it is asked for, and what becomes of elements."""

    status: dict[float, Status] = field(default_factory=dict)
    asked: list[Any] = field(default_factory=list)
    ray: Solution | None = None
    name: str = "spy"
    capabilities: Any = ENGINE.capabilities

    def solve(self, problem, params, **options):
        costs = params["q"].full()
        self.asked.append(costs.copy())
        answer = ENGINE.solve(problem, params, **options)
        found = zip(costs[:, 0], answer.solution.status, strict=True)
        status = np.array([self.status.get(q, ended) for q, ended in found])
        solution = replace(answer.solution, status=status.astype(np.int8))
        return replace(answer, solution=solution, ray=self.ray, notes={0: "the first"})

    def restore(self, *given):
        return ENGINE.restore(*given)


def simplex(*costs, most=False):
    """min 1/2 |x|^2 + q'x, x >= 0, sum(x) = 1, perhaps x <= 1."""
    n = len(costs[0])
    data = {"P": np.eye(n), "A": np.ones((1, n)), "b": [1.0], "lb": np.zeros(n)}
    problem, params = program(q=costs[0], **data, **({"ub": np.ones(n)} if most else {}))
    every = np.zeros(len(costs), dtype=np.intp)
    params = {name: param.take(every) for name, param in params.items()}
    return problem, {**params, "q": batched(np.array(costs, dtype=np.float64))}


def solve(problem, params, spy, *, keep=False):
    answer = Ask(spy, None).solve(problem, params, None, keep=keep)
    return answer, [costs[:, 0].tolist() for costs in spy.asked]


def tilt(rows, dx, t=0.1):
    rows = np.array(rows)
    size, zero = len(rows), np.zeros((len(rows), 3))
    dx = np.broadcast_to(np.array(dx, dtype=np.float64), (size, 3)).copy()
    return Tilt(rows, np.full(size, t), dx, np.zeros((size, 4)), np.zeros(size), zero)


def test_costs_are_eased_and_multipliers_paid():
    problem, params = simplex([BIG, 1.0, 2.0])
    answer, asked = solve(problem, params, Spy())
    assert asked == [[2000.0]]
    np.testing.assert_allclose(answer.solution.x, [[0.0, 1.0, 0.0]], atol=1e-12)
    assert answer.solution.y[0, 1] == pytest.approx(BIG - 2.0, rel=1e-15)
    assert problem.residual(params, answer.solution)[0] < 1e-9
    assert answer.workspace is None


def test_other_programs_are_handed_on_as_they_are():
    problem, params = simplex([3.0, 1.0, 2.0])
    spy = Spy()
    answer, _ = solve(problem, params, spy, keep=True)
    assert not isinstance(answer.workspace, Eased)
    np.testing.assert_array_equal(spy.asked[0], params["q"].full())


def test_variables_that_are_needed_keep_their_costs():
    """The second program has nothing but dear variables, the third one dear one that it needs."""
    problem, params = simplex([BIG, 1.0, 2.0], [BIG, 1.0, 2.0], [2 * BIG, BIG, 5.0], most=True)
    params["ub"] = batched(np.array([[1.0, 1, 1], [1, 0.25, 0.25], [1, 1, 0.25]]))
    answer, asked = solve(problem, params, Spy())
    assert asked[0] == [2000.0, 2000.0, 5000.0]
    assert len(asked[1]) == 2
    right = [[0, 1, 0], [0.5, 0.25, 0.25], [0, 0.75, 0.25]]
    np.testing.assert_allclose(answer.solution.x, right, atol=1e-9)
    assert problem.residual(params, answer.solution).max() < 1e-8


def test_the_cheapest_of_what_is_needed_is_taken():
    """x_3 <= 0.5: half of x_2 is needed, and x_1 still forbidden beside it."""
    problem, params = simplex([1e20, BIG, 5.0], most=True)
    params["ub"] = batched(np.array([[1.0, 1.0, 0.5]]))
    answer, asked = solve(problem, params, Spy())
    np.testing.assert_allclose(asked, [[5000.0], [BIG * 1e3]])
    np.testing.assert_allclose(answer.solution.x, [[0.0, 0.5, 0.5]], atol=1e-9)
    assert problem.residual(params, answer.solution)[0] < 1e-8


def test_costs_near_the_largest_number_overflow_nowhere():
    data = {"A": np.ones((1, 3)), "b": [1.0], "lb": np.zeros(3), "ub": [1.0, 1.0, 0.5]}
    answer, _ = solve(*program(q=[1e304, 1.5e304, -1.0], **data), Spy())
    np.testing.assert_allclose(answer.solution.x, [[0.5, 0.0, 0.5]], atol=1e-12)
    ray = Solution(np.array([[0.0, 1.0]]), np.zeros((1, 2)), UNBOUNDED)
    problem, params = program(q=[1e304, -1.0], G=[[-1.0, 0.0]], h=[0.0])
    answer, asked = solve(problem, params, Spy({1e3: Status.UNBOUNDED}, ray=ray))
    assert asked == [[1e3], [1e304]]  # the other cost may be rounding
    assert answer.solution.status[0] != Status.OPTIMAL


@pytest.mark.parametrize("falls", [True, False])
def test_unbounded_in_variables_without_such_costs_is_unbounded(falls):
    """x_2 falls for ever; or x_1 would, with an eased cost, against one that does not."""
    cost = -1.0 if falls else 1.0
    problem, params = program(q=[BIG, cost], G=[[-1.0, 0.0], [-1.0, -1.0]], h=[0.0, 0.0])
    ray = Solution(np.array([[0.0, 1.0] if falls else [1.0, -1.0]]), np.zeros((1, 2)), UNBOUNDED)
    spy = Spy({1000.0: Status.UNBOUNDED}, ray=ray)
    answer, asked = solve(problem, params, spy)
    assert len(asked) == 1 + (not falls)
    assert answer.solution.status[0] == (Status.UNBOUNDED if falls else Status.OPTIMAL)


def test_costs_of_rounding_make_nothing_unbounded():
    """x_2 is free, and its cost what rounding left of zero."""
    problem, params = program(q=[1.0, -1e-17], G=[[-1.0, 0.0], [1.0, 0.0]], h=[0.0, 1.0])
    ray = Solution(np.array([[0.0, 1.0]]), np.zeros((1, 2)), UNBOUNDED)
    answer, asked = solve(problem, params, Spy({1e-14: Status.UNBOUNDED}, ray=ray))
    assert asked == [[1e-14], [1.0]]
    assert answer.solution.status[0] == Status.OPTIMAL
    assert answer.solution.x[0, 0] == 0.0


@pytest.mark.parametrize(
    ("status", "again"),
    [(Status.NUMERICAL, True), (Status.UNBOUNDED, True), (Status.INACCURATE, True),
     (Status.INFEASIBLE, False), (Status.TIME_LIMIT, False)],
)  # fmt: skip
def test_what_is_not_solved_is_tried_as_it_is_unless_that_is_settled(status, again):
    problem, params = simplex([2.0, 1.0, 3.0], [BIG, 1.0, 2.0], [BIG, 1.0, 2.0])
    answer, asked = solve(problem, params, Spy({2000.0: status}))
    assert len(asked) == 1 + again
    right = [0, 0, 0] if again else [0, status, status]
    np.testing.assert_array_equal(answer.solution.status, right)
    assert answer.notes[0] == "the first"


@pytest.mark.parametrize("restores", [True, False])
def test_tilted_programs_are_those_of_the_given_costs(restores):
    """Small tilts keep dear variables where they are; large ones, or needed variables, do not."""
    costs = [BIG, 1.0, 2.0], [4.0, 1.0, 2.0], [BIG, 1e11, 1e12]
    problem, params = simplex(*costs)
    spy = Spy(capabilities=replace(ENGINE.capabilities, restores=restores))
    answer, _ = solve(problem, params, spy, keep=True)
    assert isinstance(answer.workspace, Eased)
    lost = Ask(spy, None).restored(problem, params, answer.solution)
    rows = [2, 0, 1, 0, 2]
    for dx, t in (([0.0, 1.0, 0.0], 0.5), ([-1.0, 0.0, 0.0], 1e4), ([-1.0, 0, 0], 3e12)):
        given = tilt(rows, dx, t)
        found, again = answer.workspace.resolve(given), lost.resolve(given)
        tilted, data = problem.tilt(params, given)
        assert found.solution.solved.all()
        assert tilted.residual(data, found.solution).max() < 1e-8
        np.testing.assert_array_equal(found.solution.x[1], found.solution.x[3])
        if restores:
            np.testing.assert_array_equal(found.solution.x, again.solution.x)
        np.testing.assert_allclose(found.solution.x, again.solution.x, atol=1e-9)
        alone = answer.workspace.resolve(given.take(np.array([1])))
        np.testing.assert_array_equal(alone.solution.x[0], found.solution.x[1])


def test_a_workspace_of_plain_elements_alone_is_asked_straight():
    problem, params = simplex([BIG, 1.0, 2.0], [4.0, 1.0, 2.0])
    answer, _ = solve(problem, params, Spy(), keep=True)
    found = answer.workspace.resolve(tilt([1], [0.0, 1.0, 0.0]))
    assert isinstance(found.solution, Solution)
    np.testing.assert_allclose(found.solution.x, [[0.0, 0.95, 0.05]], atol=1e-9)
