"""A batch solved: the fit elements by the engine, its verdicts checked, the unfit ones marked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from lpgd.core.engine import Answer, Engine, Workspace
from lpgd.core.params import Param, Params
from lpgd.core.problem import Problem
from lpgd.core.rule import Samples
from lpgd.core.solution import FloatArray, IntArray, Solution
from lpgd.map.attempt import Batch, Parts, attempt
from lpgd.map.smooth import averaged
from lpgd.map.verify import accuracy_of, verified

Settle = Callable[[Answer], Solution]
"""Takes an answer into account and returns its solution."""
Sample = Callable[[Params], Samples | None]


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
    roots : Param or None
        See ``Answer.roots``.
    """

    solution: Solution
    accuracy: FloatArray
    workspace: Workspace | None = None
    samples: tuple[Samples, Solution] | None = None
    notes: Mapping[int, str] | None = None
    cause: Exception | None = None
    solves: int = 0
    roots: Param | None = None


@dataclass(frozen=True)
class Solver:
    """How a batch is solved; ``sample`` puts other problems in its place."""

    program: Problem
    engine: Engine
    threads: int | None
    settle: Settle
    keep: bool = False
    sample: Sample = lambda _: None

    def solve(self, batch: Batch, unfit: Mapping[int, str]) -> Found:
        """Solve what is fit."""
        size, n, m = len(batch), self.program.n, self.program.m
        blank = Found(Solution.blank(size, n, m), np.full(size, np.inf), notes=unfit)
        if len(unfit) == size:
            return blank
        if not unfit:
            return self._fit(batch, np.arange(size))
        fit = np.setdiff1d(np.arange(size), np.fromiter(unfit, dtype=np.intp))
        found = self._fit(batch.take(fit), fit)
        workspace, accuracy = found.workspace, blank.accuracy
        if workspace is not None and found.samples is None:
            workspace = Parts.of([(fit, workspace)], size)
        accuracy[fit] = found.accuracy
        return replace(
            found, solution=blank.solution.put(fit, found.solution), accuracy=accuracy,
            workspace=workspace, notes={**(found.notes or {}), **unfit}, roots=None,
        )  # fmt: skip

    def _fit(self, batch: Batch, elements: IntArray) -> Found:
        samples = self.sample(batch.params)
        if samples is not None:
            batch = Batch(samples.params, None, len(samples.rows))
        answer = attempt(self.engine, self.program, batch, self._run)
        tolerance = self.engine.capabilities.tolerance
        answer = verified(answer, tolerance, lambda: (self.program, batch.params))
        solution, accuracy = self.settle(answer), accuracy_of(answer)
        owners = elements if samples is None else elements[samples.rows]
        notes = {int(owners[row]): text for row, text in answer.notes.items()}
        found = Found(solution, accuracy, answer.workspace, None, notes, answer.cause, len(batch))
        if samples is None:
            return replace(found, roots=answer.roots)
        samples = replace(samples, rows=owners)
        mean, accuracy = averaged(owners, solution, accuracy, elements)
        return replace(found, solution=mean, accuracy=accuracy, samples=(samples, solution))

    def _run(self, work: Batch) -> Answer:
        return self.engine.solve(
            self.program, work.params, start=work.start, keep=self.keep, threads=self.threads
        )
