"""Tilted solves that start from a forward solution: predicted, or left to the engine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from lpgd.core.engine import Answer
from lpgd.core.params import Params, taken
from lpgd.core.problem import Problem
from lpgd.core.solution import BoolArray, Flag, IntArray, Solution
from lpgd.core.tilt import Tilt
from lpgd.families.lagrangian.lagrangian import Lagrangian
from lpgd.families.lagrangian.linearized import Linearized
from lpgd.families.lagrangian.newton import predicted

SAME = 1e-3  # relative distance of two solutions of one basin


class Solving(Protocol):
    """The part of an engine that is asked."""

    def solve(
        self,
        problem: Problem,
        params: Params,
        *,
        start: Solution | None = None,
        keep: bool = False,
        threads: int | None = None,
    ) -> Answer:
        """See ``Engine.solve``."""
        ...


@dataclass(frozen=True)
class Kept:
    """The workspace of engines for Lagrangians.

    Attributes
    ----------
    engine : Solving
    problem : Lagrangian
    params : Params
    solution : Solution
    linear : Linearized or None
        Predicts tilted solutions, which then cost no solve.
    local : bool
        Whether the engine may end in another basin than it started in; such rows are flagged: from
        where they ended, the problem itself leads elsewhere than to the forward solution.
    threads : int or None
    """

    engine: Solving
    problem: Lagrangian
    params: Params
    solution: Solution
    linear: Linearized | None
    local: bool
    threads: int | None

    def resolve(self, tilt: Tilt) -> Answer:
        """See ``Workspace.resolve``."""
        problem, params = self.problem.tilt(self.params, tilt)
        start, every = self.solution.take(tilt.rows), np.arange(len(tilt))
        if self.linear is None:
            return self.engine.solve(problem, params, start=start, threads=self.threads)
        found, steps = predicted(self.linear, params, tilt)
        rest = every[np.isinf(steps)]
        if not len(rest):
            return Answer(found, accuracy=steps)
        data, begin = taken(params, rest), start.take(rest)
        answer = self.engine.solve(problem, data, start=begin, threads=self.threads)
        solution = answer.solution
        if self.local:
            gone = self._moved(solution, tilt.rows[rest])
            flags = np.where(gone, np.uint8(Flag.MOVED), np.uint8(Flag.NONE))
            solution = replace(solution, flags=flags)
        steps[rest] = np.inf if answer.accuracy is None else answer.accuracy
        notes = {int(rest[row]): note for row, note in answer.notes.items()}
        return replace(answer, solution=found.put(rest, solution), accuracy=steps, notes=notes)

    def _moved(self, found: Solution, elements: IntArray) -> BoolArray:
        """Whether solved rows are in another basin than the forward solutions of their elements."""
        moved, rows = np.zeros(len(found), dtype=np.bool_), np.flatnonzero(found.solved)
        if not len(rows):
            return moved
        home = self.solution.take(elements[rows])
        data = taken(self.params, elements[rows])
        back = self.engine.solve(self.problem, data, start=found.take(rows), threads=self.threads)
        apart = np.abs(back.solution.x - home.x).max(axis=1)
        far = apart > SAME * np.maximum(np.abs(home.x).max(axis=1), SAME)
        moved[rows] = far | ~back.solution.solved
        return moved
