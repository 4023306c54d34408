"""A solved batch, and what it offers to a pullback."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from lpgd.core.abilities import Linearization, differentiable, easing
from lpgd.core.engine import Answer, Engine, Workspace
from lpgd.core.params import Param, Params, taken
from lpgd.core.problem import Ability, Problem
from lpgd.core.rule import ROUGH, Memory, Samples
from lpgd.core.scaling import top
from lpgd.core.solution import BoolArray, FloatArray, Solution, Status
from lpgd.core.tilt import Adjoint, Cotangent, Tilt
from lpgd.map.attempt import attempt
from lpgd.map.eased import Ask
from lpgd.map.verify import verified


@dataclass(frozen=True)
class Forward:
    """A solved batch and what its pullback needs.

    Attributes
    ----------
    problem : Problem
    params : Params
        Data of ``problem.program``, as the engine took them.
    solution : Solution
        One row an element; failed ones are zero.
    accuracy : (B,) float64
        Measured relative error of each solution.
    engine : Engine
    shape : tuple of int
        Batch shape, for messages.
    workspace : Workspace or None
        What the engine kept; without it the same is made from ``params`` and ``solution``.
    threads : int or None
    samples : (Samples, Solution) or None
        What the rule solved in the place of the batch, and how that ended.
    factors : object
        See ``Answer.factors``.
    own : Params
        What the call gave to the rule itself.
    """

    problem: Problem
    params: Params
    solution: Solution
    accuracy: FloatArray
    engine: Engine
    shape: tuple[int, ...]
    workspace: Workspace | None = None
    threads: int | None = None
    samples: tuple[Samples, Solution] | None = None
    factors: Any = None
    own: Params = field(default_factory=dict[str, Param])

    @cached_property
    def program(self) -> Problem:
        """What the engine solved."""
        return self.problem.program

    @cached_property
    def linear(self) -> Linearization:
        """The optimality conditions of the batch to first order, kept for every cotangent."""
        program = differentiable(self.program, "an adjoint")
        return program.linearize(*self.measure, self.factors)

    @cached_property
    def measure(self) -> tuple[Params, Solution]:
        """Data and solution beside which nothing is rounding; see ``Easing.settled``."""
        family = easing(self.program)
        if family is None:
            return self.params, self.solution
        return family.settled(self.params, self.solution)

    def moving(self, cotangent: Cotangent) -> BoolArray:
        """Rows of a cotangent that move the solution; slacks alone may not."""
        if cotangent.ds is not None:
            params = taken(self.params, cotangent.rows)
            with np.errstate(all="ignore"):  # of elements that failed
                cotangent = self.program.folded(params, cotangent)
        return cotangent.loud

    def resolved(self, tilt: Tilt) -> Answer:
        """Solve tilted problems: from the workspace, or from one made anew."""
        params, solution = self.params, self.solution
        if self.samples is not None:
            params, solution = self.samples[0].params, self.samples[1]
        resolve = self.workspace.resolve if self.workspace else self._anew(params, solution)
        answer = attempt(self.engine, self.program, tilt, resolve)
        tolerance = self.engine.capabilities.tolerance
        return verified(answer, tolerance, lambda: self.program.tilt(params, tilt))

    def _anew(self, params: Params, solution: Solution) -> Callable[[Tilt], Answer]:
        """Re-solves without a kept workspace, of the elements that a tilt names alone."""

        def resolve(tilt: Tilt) -> Answer:
            rows, place = np.unique(tilt.rows, return_inverse=True)
            data = taken(params, rows)
            ask = Ask(self.engine, self.threads)
            workspace = ask.restored(self.program, data, solution.take(rows))
            return workspace.resolve(replace(tilt, rows=place))

        return resolve


@dataclass(frozen=True)
class Solved:
    """What a rule may ask of a forward pass; implements ``lpgd.core.rule.Backward``.

    Attributes
    ----------
    point : Solution
        The forward solution of each row of the cotangent.
    settle : callable
        Takes a tilted answer into account and returns its solution.
    costly : bool
        See ``Backward.costly``.
    """

    forward: Forward
    point: Solution
    settle: Callable[[Answer], Solution]
    memory: Memory = field(default_factory=Memory)
    costly: bool = True

    @property
    def problem(self) -> Problem:
        return self.forward.program

    @property
    def params(self) -> Params:
        samples = self.forward.samples
        return samples[0].params if samples else self.forward.params

    @property
    def accuracy(self) -> FloatArray:
        accuracy, samples = self.forward.accuracy, self.forward.samples
        return accuracy[samples[0].rows] if samples else accuracy

    @property
    def samples(self) -> tuple[Samples, Solution] | None:
        return self.forward.samples

    def resolve(self, tilt: Tilt) -> Solution:
        """See ``Backward.resolve``. A tilt that overflows is a failure and reaches no solver."""
        with np.errstate(over="ignore", invalid="ignore"):
            parts = [tilt.dx, tilt.dy]
            if tilt.curve is not None and tilt.center is not None:
                parts += [tilt.curve, tilt.curve * tilt.center]
            reach = np.maximum.reduce([top(part) for part in parts])
            sane = np.flatnonzero(np.isfinite(tilt.t * reach))
        if len(sane) == len(tilt):
            return self.settle(self.forward.resolved(tilt))
        program = self.forward.program
        answers = Solution.blank(len(tilt), program.n, program.m)
        answers.status[:] = Status.NUMERICAL
        if not len(sane):
            return answers
        return answers.put(sane, self.settle(self.forward.resolved(tilt.take(sane))))

    def adjoint(self, cotangent: Cotangent, rho: float) -> Adjoint:
        return self._plain(self.forward.linear.adjoint(cotangent, rho), cotangent)

    def _plain(self, found: Adjoint, cotangent: Cotangent) -> Adjoint:
        """With the multipliers that were linearized, where they are others."""
        _, solution = self.forward.measure
        if solution is self.forward.solution:
            return found
        return replace(found, plain=solution.y[cotangent.rows])

    def line(self, cotangent: Cotangent, rho: float, ends: int = 2) -> Adjoint | None:
        program, engine = self.forward.program, self.forward.engine
        if Ability.ADJOINT not in program.abilities or self.samples is not None:
            return None
        warm = engine.capabilities.warm[ends - 1 : ends]
        if not rho and any(some.holds(program) for some in warm):
            return None
        found = self.forward.linear.line(cotangent, rho)
        found = None if found is None else self._plain(found, cotangent)
        if found is not None and found.reach is not None:  # rough solutions hide their active set
            found.reach[self.forward.accuracy[cotangent.rows] > ROUGH] = 0.0
        return found
