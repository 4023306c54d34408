"""What the tests of engines share: the engine, its programs, and what is the same."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from lpgd.core.engine import Answer, Engine
from lpgd.core.params import Params, shared, taken
from lpgd.core.problem import Problem
from lpgd.core.solution import Solution
from lpgd.core.tilt import Tilt
from lpgd.families.qp.qp import QP
from lpgd.testing.planting import Program, Shape, plant, tied
from lpgd.testing.strategies import programs


class EngineCases:
    """See ``EngineBattery``."""

    engine: Engine
    families: Sequence[str] = ("LP", "QP")
    tolerance: float = 1e-7
    rounding: float = 0.0
    proves: bool = True

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

    def _same_alone(self, problem: Problem, params: Params, solution: Solution) -> None:
        for row in range(len(solution)):
            part = np.array([row])
            single = taken(params, part)
            assert_same(self._solve(problem, single).solution, solution.take(part))

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


def assert_same(
    found: Solution | tuple[Solution, ...], expected: Solution | tuple[Solution, ...]
) -> None:
    if isinstance(found, tuple) and isinstance(expected, tuple):
        for a, b in zip(found, expected, strict=True):
            assert_same(a, b)
    elif isinstance(found, Solution) and isinstance(expected, Solution):
        np.testing.assert_array_equal(found.status, expected.status)
        np.testing.assert_array_equal(found.x, expected.x)
        np.testing.assert_array_equal(found.y, expected.y)
