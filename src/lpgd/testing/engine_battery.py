"""What every engine must fulfil.

Answers are compared with known solutions, and bit for bit with each other: they may depend on the
element, its own forward solution and its tilt, but on nothing else.
"""

import pickle
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpgd.core.params import taken
from lpgd.core.public import public
from lpgd.core.solution import Solution, Status
from lpgd.core.tilt import Tilt
from lpgd.testing.engine_cases import assert_same
from lpgd.testing.engine_hardships import EngineHardships, several
from lpgd.testing.engine_programs import long, troubled
from lpgd.testing.optimality import untilted, violation
from lpgd.testing.planting import Program, tied
from lpgd.testing.strategies import seeds, tilts


@public("lpgd.testing")
class EngineBattery(EngineHardships):
    """Inherit, name the class ``Test...`` and set ``engine``.

    Attributes
    ----------
    engine : Engine
    families : sequence of str
        Families to test, of those that the engine solves.
    tolerance : float
        Absolute error of x and y on well-scaled problems.
    rounding : float
        By how much answers of restored workspaces may differ from those of kept ones; 0: no bit.
    proves : bool
        Whether "infeasible" and "unbounded" come with a proof.
    """

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
            problem, params = troubled(quadratic=family == "QP")
            solution = self._solve(problem, params, keep=True).solution
            expected = [Status.OPTIMAL, Status.INFEASIBLE, Status.UNBOUNDED, Status.OPTIMAL]
            assert [Status(int(s)) for s in solution.status] == expected
            np.testing.assert_array_equal(solution.x[1:3], 0.0)
            np.testing.assert_array_equal(solution.y[1:3], 0.0)
            self._same_alone(problem, params, solution)

    @pytest.mark.parametrize("threads", [1, 2])
    def test_batch_order_and_split_change_nothing(self, threads: int) -> None:
        """Nor do threads, not even where there are many solutions."""
        for case, tilt in self._cases():
            solution, moved = self._both(case, tilt, None)
            assert_same(self._both(case, tilt, threads), (solution, moved))
            self._same_alone(case.problem, case.params, solution)
            order = np.random.default_rng(1).permutation(len(solution))
            params = taken(case.params, order)
            shuffled = Program(case.problem, params, case.solution)
            place = np.argsort(order)  # the shuffled position of each element
            back = Tilt(place[tilt.rows], tilt.t, tilt.dx, tilt.dy, tilt.rho, tilt.anchor)
            found, found_moved = self._both(shuffled, back, threads)
            assert_same((found.take(place), found_moved), (solution, moved))

    def test_earlier_tilts_change_nothing(self) -> None:
        """Nor do repeated or missing rows, nor the order of the two sides."""
        for case, tilt in self._cases():
            answer = self._solve(case.problem, case.params, keep=True)
            first = self._resolve(case, answer, tilt)
            other = self._resolve(case, answer, tilt.at(-tilt.t))
            assert_same(self._resolve(case, answer, tilt), first)
            rows = np.array([3, 0, 0, 5, 3])
            assert_same(self._resolve(case, answer, tilt.take(rows)), first.take(rows))
            both = self._resolve(case, answer, tilt.at(-tilt.t).join(tilt))
            assert_same(both, other.join(first))

    def test_a_time_limit_is_a_status(self) -> None:
        """Where the engine has an option ``time_limit``, in seconds."""
        if not hasattr(self.engine, "time_limit"):
            pytest.skip("the engine has no option time_limit")
        hasty = replace(cast(Any, self.engine), time_limit=1e-9)
        for family in self.families:
            problem, params = long(quadratic=family == "QP")
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
        assert_same(answer.solution, mine.solution)
        assert_same(self._resolve(case, answer, tilt), self._resolve(case, mine, tilt))

    def test_an_empty_tilt_is_solved(self) -> None:
        """As zero rows."""
        case = tied(3, np.random.default_rng(0))
        answer = self._solve(case.problem, case.params, keep=True)
        nothing = untilted(3, case.problem.n, case.problem.m).take(np.zeros(0, dtype=np.intp))
        assert len(self._resolve(case, answer, nothing)) == 0
