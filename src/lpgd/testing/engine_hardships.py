"""What must not touch an answer: lost workspaces, units, memory layouts, neighbours, interrupts."""

import signal
import threading
import time
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lpgd.core.abilities import checkable
from lpgd.core.engine import Restoring
from lpgd.core.params import Param, Params, taken
from lpgd.core.problem import Ability, Problem
from lpgd.core.solution import Solution
from lpgd.engines.signals import interrupts_kept
from lpgd.map.attempt import Batch, attempt
from lpgd.testing.engine_cases import EngineCases, assert_same
from lpgd.testing.engine_programs import hostile, long, relaid, scaled, troubled
from lpgd.testing.planting import Program, Shape, plant
from lpgd.testing.strategies import seeds

several = settings(suppress_health_check=[HealthCheck.differing_executors])
PROOF = 1e-6  # relative violation of a certificate that is rounding
SOON = 1.0  # seconds until an interrupt has ended a batch


class EngineHardships(EngineCases):
    """See ``EngineBattery``."""

    def test_losing_the_workspace_changes_no_answer(self) -> None:
        """Restored, or solved from the forward solution as arrays: the tilted answers are alike."""
        for case, tilt in self._cases():
            answer = self._solve(case.problem, case.params, keep=True)
            kept = self._resolve(case, answer, tilt)
            problem, params = case.problem.tilt(case.params, tilt)
            start = answer.solution.take(tilt.rows)
            self._alike(self._solve(problem, params, start=start).solution, kept)
            if self.engine.capabilities.restores:
                engine = cast(Restoring, self.engine)
                made = engine.restore(case.problem, case.params, answer.solution, None)
                self._alike(made.resolve(tilt).solution, kept)

    def _alike(self, found: Solution, kept: Solution) -> None:
        if not self.rounding:
            assert_same(found, kept)
        np.testing.assert_array_equal(found.status, kept.status)
        np.testing.assert_allclose(found.x, kept.x, rtol=0, atol=self.rounding)
        np.testing.assert_allclose(found.y, kept.y, rtol=0, atol=self.rounding)

    @several
    @given(st.data())
    def test_units_scale_the_answer(self, data: Any) -> None:
        """Costs, rows and right-hand sides times powers of two, tilts as well."""
        case, seed = data.draw(self._programs()), data.draw(seeds)
        other = scaled(case, seed)
        found = self._solve(other.problem, other.params).solution
        assert found.solved.all()
        for part in ("x", "y"):
            right, there = getattr(case.solution, part), getattr(other.solution, part)
            unit = np.where(right == 0, 1.0, there / np.where(right == 0, 1.0, right))
            gap = np.abs(getattr(found, part) - there) / np.abs(unit)
            assert gap.max(initial=0.0) < self.tolerance

    def test_memory_layouts_change_nothing(self) -> None:
        """Strided data, at any alignment and in any order, have the same values."""
        for case, tilt in self._cases():
            expected = self._both(case, tilt, None)
            for params in relaid(case.params):
                other = Program(case.problem, params, case.solution)
                assert_same(self._both(other, tilt, None), expected)

    def test_what_one_element_does_touches_no_other(self) -> None:
        """Whatever the engine makes of values beyond reason, even by an exception."""
        rng = np.random.default_rng(0)
        for family in self.families:
            shape = Shape(4, 1, 3, ("lb", "ub"), quadratic=family == "QP", batch=3)
            case = plant(shape, rng)
            alone = self._attempt(case.problem, case.params)
            for params in hostile(case):
                found = self._attempt(case.problem, params)
                rows = np.array([0, 2])
                assert_same(found.take(rows), alone.take(rows))

    def _attempt(self, problem: Problem, params: Params) -> Solution:
        work = Batch(params, None, len(params["q"].index))
        with np.errstate(all="ignore"):
            return attempt(
                self.engine, problem, work, lambda part: self._solve(problem, part.params)
            ).solution

    def test_verdicts_are_proven(self) -> None:
        """A ray for what has no solution, in any units."""
        for family in self.families if self.proves else ():
            for power in (0, -40, 40):
                problem, params = troubled(quadratic=family == "QP")
                params = {**params, **{k: _times(params[k], power) for k in ("q", "h")}}
                answer = self._solve(problem, params)
                assert answer.solution.status.tolist() == [0, 2, 3, 0]
                assert answer.ray is not None
                if Ability.CHECK in problem.abilities:
                    rows = np.array([1, 2])
                    chosen = taken(params, rows)
                    left = checkable(problem, "the battery").refuted(chosen, answer.ray.take(rows))
                    assert left.max() <= PROOF

    @pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals to threads")
    @pytest.mark.parametrize("threads", [1, 2])
    def test_an_interrupt_ends_a_batch_soon(self, threads: int) -> None:
        """Ctrl-C, however many elements there are to go."""
        problem, params = long(quadratic=self.families[0] == "QP")
        shares = list[float]()
        for _ in range(3):  # a first call loads the solver
            began = time.perf_counter()
            self._solve(problem, params, threads=threads)
            shares.append((time.perf_counter() - began) / len(params["q"].index))
        share = min(shares)
        rows = np.zeros(int(10 * threads * SOON / share), dtype=np.intp)
        many = taken(params, rows)
        with interrupts_kept():  # whatever ran in this process before has left of the handler
            pass
        soon = 2 * SOON + 2 * share
        waits = (self._interrupted(problem, many, threads) for _ in range(3))
        assert any(wait < soon for wait in waits)  # a busy machine may be late once

    def _interrupted(self, problem: Problem, params: Params, threads: int) -> float:
        """Seconds until a solve has ended that is interrupted after ``SOON``."""
        main = threading.main_thread().ident
        assert main is not None
        timer = threading.Timer(SOON, signal.pthread_kill, (main, signal.SIGINT))
        began = time.perf_counter()
        timer.start()
        try:
            with pytest.raises(KeyboardInterrupt):
                self._solve(problem, params, threads=threads)
        finally:  # else it interrupts whatever comes next
            timer.cancel()
            timer.join()
        return time.perf_counter() - began


def _times(param: Param, power: int) -> Param:
    return Param(np.ldexp(param.values, power), param.index)
