"""What every engine must fulfil.

Answers are compared with known solutions, and bit for bit with each other: they may depend on the
element, its own forward solution and its tilt, but on nothing else.
"""

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lpgd.core.engine import Answer, Engine
from lpgd.core.params import Param, Params, batched, shared
from lpgd.core.problem import Problem
from lpgd.core.public import public
from lpgd.core.solution import Solution, Status
from lpgd.core.tilt import Tilt
from lpgd.families.qp.qp import QP
from lpgd.testing.optimality import untilted, violation
from lpgd.testing.planting import Program, Shape, plant, tied
from lpgd.testing.strategies import programs, seeds, tilts

several = settings(suppress_health_check=[HealthCheck.differing_executors])


@public("lpgd.testing")
class EngineBattery:
    """Inherit, name the class ``Test...`` and set ``engine``.

    Attributes
    ----------
    engine : Engine
    families : sequence of str
        Families to test, of those that the engine solves.
    tolerance : float
        Absolute error of x and y on well-scaled problems.
    """

    engine: Engine
    families: Sequence[str] = ("LP", "QP")
    tolerance: float = 1e-7

    def _solve(self, problem: Problem, params: Params, **options: Any) -> Answer:
        return self.engine.solve(problem, params, **options)

    def _resolve(self, case: Program, answer: Answer, tilt: Tilt) -> Solution:
        if answer.workspace is not None:
            return answer.workspace.resolve(tilt).solution
        problem, params = case.problem.tilt(case.params, tilt)
        return self._solve(problem, params, start=answer.solution.take(tilt.rows)).solution

    def _programs(self) -> st.SearchStrategy[Program]:
        dense = programs(self.families)
        return (
            dense | programs(self.families, sparse=True)
            if "sparse" in self.engine.capabilities.takes
            else dense
        )

    @several
    @given(st.data())
    def test_solves_to_known_solutions(self, data: Any) -> None:
        """Primal and dual, with the signs of ``problem.lagrangian``; the data stay as they are."""
        case = data.draw(self._programs())
        before = pickle.dumps(dict(case.params))
        solution = self._solve(case.problem, case.params).solution
        assert pickle.dumps(dict(case.params)) == before
        assert solution.solved.all()
        np.testing.assert_allclose(solution.x, case.solution.x, atol=self.tolerance)
        np.testing.assert_allclose(solution.y, case.solution.y, atol=self.tolerance)
        assert violation(case.problem, case.params, solution).max() < 10 * self.tolerance

    @several
    @given(st.data())
    def test_resolve_equals_a_cold_solve(self, data: Any) -> None:
        """Of the tilted data: same status, and the same point where there is one."""
        case = data.draw(self._programs())
        tilt = data.draw(tilts(case, augmented="QP" in self.families))
        answer = self._solve(case.problem, case.params, keep=True)
        found = self._resolve(case, answer, tilt)
        problem, params = case.problem.tilt(case.params, tilt)
        cold = self._solve(problem, params).solution
        np.testing.assert_array_equal(found.status, cold.status)
        np.testing.assert_allclose(found.x, cold.x, atol=self.tolerance)
        rows = np.flatnonzero(found.solved)
        worst = violation(case.problem, case.params, found.take(rows), tilt.take(rows))
        assert worst.max(initial=0.0) < 10 * self.tolerance

    @several
    @given(st.data())
    def test_a_start_changes_no_solution(self, data: Any) -> None:
        """Not where the solution is unique, wherever the start lies."""
        case, rng = data.draw(self._programs()), data.draw(seeds)
        x, y = case.solution.x, case.solution.y
        start = Solution(
            x + rng.normal(size=x.shape), rng.permuted(y, axis=1), case.solution.status
        )
        solution = self._solve(case.problem, case.params, start=start).solution
        np.testing.assert_allclose(solution.x, x, atol=self.tolerance)
        np.testing.assert_allclose(solution.y, y, atol=self.tolerance)

    def test_names_what_has_no_solution(self) -> None:
        """Infeasible and unbounded elements; their neighbours are solved, bit for bit as alone."""
        for family in self.families:
            problem, params = _troubled(quadratic=family == "QP")
            solution = self._solve(problem, params, keep=True).solution
            expected = [Status.OPTIMAL, Status.INFEASIBLE, Status.UNBOUNDED, Status.OPTIMAL]
            assert [Status(int(s)) for s in solution.status] == expected
            np.testing.assert_array_equal(solution.x[1:3], 0.0)
            np.testing.assert_array_equal(solution.y[1:3], 0.0)
            self._same_alone(problem, params, solution)

    def _same_alone(self, problem: Problem, params: Params, solution: Solution) -> None:
        for row in range(len(solution)):
            part = np.array([row])
            single = {name: param.take(part) for name, param in params.items()}
            _assert_same(self._solve(problem, single).solution, solution.take(part))

    @pytest.mark.parametrize("threads", [1, 2])
    def test_batch_order_and_split_change_nothing(self, threads: int) -> None:
        """Nor do threads, not even where there are many solutions."""
        for case, tilt in self._cases():
            solution, moved = self._both(case, tilt, None)
            _assert_same(self._both(case, tilt, threads), (solution, moved))
            self._same_alone(case.problem, case.params, solution)
            order = np.random.default_rng(1).permutation(len(solution))
            params = {name: param.take(order) for name, param in case.params.items()}
            shuffled = Program(case.problem, params, case.solution)
            place = np.argsort(order)  # the shuffled position of each element
            back = Tilt(place[tilt.rows], tilt.t, tilt.dx, tilt.dy, tilt.rho, tilt.anchor)
            found, found_moved = self._both(shuffled, back, threads)
            _assert_same((found.take(place), found_moved), (solution, moved))

    def test_earlier_tilts_change_nothing(self) -> None:
        """Nor do repeated or missing rows, nor the order of the two sides."""
        for case, tilt in self._cases():
            answer = self._solve(case.problem, case.params, keep=True)
            first = self._resolve(case, answer, tilt)
            other = self._resolve(case, answer, tilt.at(-tilt.t))
            _assert_same(self._resolve(case, answer, tilt), first)
            rows = np.array([3, 0, 0, 5, 3])
            _assert_same(self._resolve(case, answer, tilt.take(rows)), first.take(rows))
            both = self._resolve(case, answer, tilt.at(-tilt.t).join(tilt))
            _assert_same(both, other.join(first))

    def test_a_time_limit_is_a_status(self) -> None:
        """Where the engine has an option ``time_limit``, in seconds."""
        if not hasattr(self.engine, "time_limit"):
            pytest.skip("the engine has no option time_limit")
        hasty = replace(cast(Any, self.engine), time_limit=1e-9)
        for family in self.families:
            problem, params = _long(quadratic=family == "QP")
            found = hasty.solve(problem, params).solution
            assert found.status.tolist() == [Status.TIME_LIMIT] * 2

    def test_pickles(self) -> None:
        """And the copy answers as the original does."""
        case, tilt = next(self._cases())
        copy = pickle.loads(pickle.dumps(self.engine))
        assert copy.name == self.engine.name
        assert copy.capabilities == self.engine.capabilities
        answer = copy.solve(case.problem, case.params, keep=True)
        mine = self._solve(case.problem, case.params, keep=True)
        _assert_same(answer.solution, mine.solution)
        _assert_same(self._resolve(case, answer, tilt), self._resolve(case, mine, tilt))

    def test_an_empty_tilt_is_solved(self) -> None:
        """As zero rows."""
        case = tied(3, np.random.default_rng(0))
        answer = self._solve(case.problem, case.params, keep=True)
        nothing = untilted(3, case.problem.n, case.problem.m).take(np.zeros(0, dtype=np.intp))
        assert len(self._resolve(case, answer, nothing)) == 0

    def _both(self, case: Program, tilt: Tilt, threads: int | None) -> tuple[Solution, Solution]:
        answer = self._solve(case.problem, case.params, keep=True, threads=threads)
        assert answer.solution.solved.all()
        return answer.solution, self._resolve(case, answer, tilt)

    def _cases(self) -> Iterator[tuple[Program, Tilt]]:
        """Programs with many solutions and tilts that leave many; QPs that share matrices."""
        rng, dims = np.random.default_rng(0), (6, 8)
        cases = [tied(6, rng)]
        if "QP" in self.families:
            problem = QP.of({"P": 8, "A": 1, "lb": 8, "ub": 8}, 8, {})
            params = {"P": shared(np.zeros((8, 8)), 6), **cases[0].params}
            distinct = {"q": 6, "h": 6, "b": 6, "lb": 6}
            shape = Shape(8, 2, 10, ("lb", "ub"), batch=6, distinct=distinct)
            cases += [Program(problem, params, cases[0].solution), plant(shape, rng)]
        for case in cases:
            if case.problem.family not in self.families:
                continue
            for rho in (0.0, 0.5) if "QP" in self.families else (0.0,):
                yield case, Tilt(
                    np.arange(6), rng.choice([0.5, 1.0, 2.0], 6),
                    rng.integers(-1, 2, dims).astype(np.float64), np.zeros((6, case.problem.m)),
                    np.full(6, rho), np.full(dims, 3 / 8),
                )  # fmt: skip


def _troubled(*, quadratic: bool) -> tuple[Problem, Params]:
    """Four elements in two variables: solvable, infeasible, unbounded, solvable."""
    problem = QP.of({"G": 2, **({"P": 2} if quadratic else {})}, 2, {})
    params: dict[str, Param] = {
        "q": batched(np.array([[1.0, 0.5], [1.0, 0.5], [-1.0, -0.5], [2.0, 1.0]])),
        "G": batched(
            np.array([[[-1.0, 0.0], [0.0, -1.0]], [[1.0, 0.0], [-1.0, 0.0]]])[[0, 1, 0, 0]]
        ),
        "h": batched(np.array([[0.0, 0.0], [-1.0, -1.0], [0.0, 0.0], [1.0, 2.0]])),
    }
    if quadratic:  # curved in the first variable alone
        params["P"] = shared(np.diag([1.0, 0.0]), 4)
    return problem, params


def _long(*, quadratic: bool) -> tuple[Problem, Params]:
    """Two elements that take more than a few steps."""
    rng, n = np.random.default_rng(0), 150
    problem = QP.of({"G": 3 * n, **({"P": n} if quadratic else {})}, n, {})
    box = np.concatenate([np.eye(n), -np.eye(n)])
    params: dict[str, Param] = {
        "q": batched(rng.normal(size=(2, n))),
        "G": shared(np.concatenate([rng.normal(size=(n, n)), box]), 2),
        "h": shared(np.ones(3 * n), 2),
    }
    if quadratic:
        params["P"] = shared(0.1 * np.eye(n), 2)
    return problem, params


def _assert_same(
    found: Solution | tuple[Solution, ...], expected: Solution | tuple[Solution, ...]
) -> None:
    if isinstance(found, tuple) and isinstance(expected, tuple):
        for a, b in zip(found, expected, strict=True):
            _assert_same(a, b)
    elif isinstance(found, Solution) and isinstance(expected, Solution):
        np.testing.assert_array_equal(found.status, expected.status)
        np.testing.assert_array_equal(found.x, expected.x)
        np.testing.assert_array_equal(found.y, expected.y)
