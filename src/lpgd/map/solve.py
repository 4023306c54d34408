"""A batch solved: the fit elements by the engine, its verdicts checked, the unfit ones marked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lpgd.core.engine import Answer, Engine, Workspace
from lpgd.core.problem import Problem
from lpgd.core.rule import Memory, Rule, Samples
from lpgd.core.solution import FloatArray, IntArray, Solution
from lpgd.map.attempt import Batch, Parts, attempt
from lpgd.map.smooth import averaged
from lpgd.map.verify import verified

Settle = Callable[[Answer], Solution]
"""Takes an answer into account and returns its solution."""


@dataclass(frozen=True)
class Found:
    """What became of B elements.

    Attributes
    ----------
    solution : Solution
    accuracy : (B,) float64
    workspace : Workspace or None
    samples : (Samples, Solution) or None
    notes : mapping from element to str
    cause : Exception or None
    solves : int
    factors : object
        See ``Answer.factors``.
    """

    solution: Solution
    accuracy: FloatArray
    workspace: Workspace | None = None
    samples: tuple[Samples, Solution] | None = None
    notes: Mapping[int, str] = field(default_factory=dict[int, str])
    cause: Exception | None = None
    solves: int = 0
    factors: Any = None


@dataclass(frozen=True)
class Solver:
    """How a batch is solved; a rule may put other problems in its place."""

    program: Problem
    engine: Engine
    threads: int | None
    settle: Settle
    keep: bool = False
    rule: Rule | None = None
    memory: Memory = field(default_factory=Memory)

    def solve(self, batch: Batch, unfit: Mapping[int, str]) -> Found:
        """Solve what is fit."""
        size = batch.size
        if size and not unfit:
            return self._fit(batch, np.arange(size))
        blank = Solution.blank(size, self.program.n, self.program.m)
        accuracy = np.full(size, np.inf)
        if len(unfit) == size:
            return Found(blank, accuracy, notes=unfit)
        fit = np.setdiff1d(np.arange(size), np.fromiter(unfit, dtype=np.intp))
        found = self._fit(batch.take(fit), fit)
        workspace = found.workspace
        if workspace is not None and found.samples is None:
            workspace = Parts.of([(fit, workspace)], size)
        accuracy[fit] = found.accuracy
        return replace(
            found, solution=blank.put(fit, found.solution), accuracy=accuracy,
            workspace=workspace, notes={**found.notes, **unfit}, factors=None,
        )  # fmt: skip

    def _fit(self, batch: Batch, elements: IntArray) -> Found:
        rule, samples = self.rule, None
        if rule is not None:
            samples = rule.sample(self.program, batch.params, self.memory)
        owners = elements
        if samples is not None:
            batch, owners = Batch(samples.params, None, len(samples.rows)), elements[samples.rows]
        answer = attempt(self.engine, self.program, batch, self._run)
        tolerance = self.engine.capabilities.tolerance
        answer = verified(answer, tolerance, lambda: (self.program, batch.params))
        solution, accuracy, notes = self.settle(answer), answer.accuracy, answer.notes
        assert accuracy is not None
        if notes:
            notes = {int(owners[row]): text for row, text in notes.items()}
        kept, factors = None, answer.factors
        if samples is not None:
            kept, factors = (replace(samples, rows=owners), solution), None
            solution, accuracy = averaged(owners, solution, accuracy, elements)
        return Found(
            solution, accuracy, answer.workspace, kept, notes, answer.cause, batch.size, factors
        )

    def _run(self, work: Batch) -> Answer:
        return self.engine.solve(
            self.program, work.params, start=work.start, keep=self.keep, threads=self.threads
        )
