"""A batch solved: the fit elements by the engine, its verdicts checked, the unfit ones marked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lpgd.core.engine import Answer, Engine, Workspace
from lpgd.core.params import Param, Params
from lpgd.core.problem import Problem
from lpgd.core.rule import Memory, Rule, Samples
from lpgd.core.solution import FloatArray, IntArray, Solution
from lpgd.map.attempt import Batch, Parts, attempt
from lpgd.map.eased import Ask
from lpgd.map.smooth import averaged
from lpgd.map.verify import UNKNOWN, verified

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
    own: Params = field(default_factory=dict[str, Param])

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
        found = self._fit(batch, fit)
        workspace = found.workspace
        if workspace is not None and found.samples is None:
            workspace = Parts.of([(fit, workspace)], size)
        accuracy[fit] = found.accuracy
        return replace(
            found, solution=blank.put(fit, found.solution), accuracy=accuracy,
            workspace=workspace, notes={**found.notes, **unfit}, factors=None,
        )  # fmt: skip

    def _fit(self, batch: Batch, elements: IntArray) -> Found:
        fit = batch if len(elements) == batch.size else batch.take(elements)
        if self.rule is None:
            return self._found(fit, elements, None)
        explored = self._explored(self.rule, fit, elements)
        if explored is not None:
            return explored
        # of the unfit ones too, or else the noise of their neighbours would be another
        given = {**batch.params, **self.own}
        samples = self.rule.sample(self.program, given, self.memory)
        if samples is not None and fit is not batch:
            samples = samples.of(elements)
        return self._found(fit, elements, samples)

    def _found(self, batch: Batch, elements: IntArray, samples: Samples | None) -> Found:
        owners = elements
        if samples is not None:
            batch, owners = Batch(samples.params, None, len(samples.rows)), elements[samples.rows]
        answer, accuracy = self._answer(batch)
        solution, notes = self.settle(answer), answer.notes
        if notes:
            notes = {int(owners[row]): text for row, text in notes.items()}
        kept, factors = None, answer.factors
        if samples is not None:
            kept, factors = (replace(samples, rows=owners), solution), None
            solution, accuracy = averaged(owners, solution, accuracy, elements)
        return Found(
            solution, accuracy, answer.workspace, kept, notes, answer.cause, batch.size, factors
        )

    def _explored(self, rule: Rule, batch: Batch, elements: IntArray) -> Found | None:
        """The solutions of a rule that chooses problems as it goes."""
        causes: list[Exception] = []
        solves = 0

        def solve(params: Params) -> Solution:
            nonlocal solves
            size = len(next(iter(params.values())).index)
            answer, _ = self._answer(Batch(params, None, size))
            solves += size
            causes.extend([] if answer.cause is None else [answer.cause])
            return self.settle(answer)

        found = rule.explore(self.program, batch.params, solve)
        if found is None:
            return None
        samples, solution = found
        owners, accuracy = elements[samples.rows], np.full(len(solution), UNKNOWN)
        kept = replace(samples, rows=owners), solution
        solution, accuracy = averaged(owners, solution, accuracy, elements, samples.weight)
        cause = causes[0] if causes else None
        return Found(solution, accuracy, samples=kept, cause=cause, solves=solves)

    def _answer(self, batch: Batch) -> tuple[Answer, FloatArray]:
        """What the engine finds, checked, and its accuracy."""
        answer = attempt(self.engine, self.program, batch, self._run)
        tolerance = self.engine.capabilities.tolerance
        answer = verified(answer, tolerance, lambda: (self.program, batch.params))
        assert answer.accuracy is not None
        return answer, answer.accuracy

    def _run(self, work: Batch) -> Answer:
        ask = Ask(self.engine, self.threads)
        return ask.solve(self.program, work.params, work.start, keep=self.keep)
