"""Programs handed to engines without costs out of all proportion, and what does not allow that.

A cost of 1e9 that means "never" makes rounding of all the others; see ``Easing``. Programs in which
the variables with such costs are not held at a bound after all are solved as they are.
"""

from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from lpgd.core.abilities import Easing, easing
from lpgd.core.answers import ordered
from lpgd.core.engine import Answer, Engine, Restoring, Workspace
from lpgd.core.params import Params, taken
from lpgd.core.problem import Problem
from lpgd.core.scaling import GAP, top
from lpgd.core.solution import BoolArray, IntArray, Solution, Status, among
from lpgd.core.tilt import Tilt
from lpgd.map.attempt import together

NONE = 1e-9  # of a direction: entries that are none
DIGITS = 1e12  # times as much: beside it what is left is no rounding


@dataclass(frozen=True)
class Ask:
    """How an engine is asked.

    Attributes
    ----------
    engine : Engine
    threads : int or None
    """

    engine: Engine
    threads: int | None

    def solve(
        self, problem: Problem, params: Params, start: Solution | None, *, keep: bool = False
    ) -> Answer:
        """Solve programs, with costs eased where that is allowed; see ``Engine.solve``."""
        family = easing(problem)
        eased, moved = (params, None) if family is None else family.eased(params)
        if family is None or moved is None:
            return self._asked(problem, params, start, keep=keep)
        answer = self._asked(problem, eased, start, keep=keep)
        answer = self.finished(family, params, (eased, moved), answer, start)
        if answer.workspace is None:
            return answer
        kept = Eased(self, family, params, eased, moved, answer.solution, answer.workspace)
        return replace(answer, workspace=kept, factors=None)

    def restored(self, problem: Problem, params: Params, solution: Solution) -> Workspace:
        """The workspace of a forward pass, from its data and its solution."""
        family = easing(problem)
        if not self.engine.capabilities.restores:
            return Afresh(self, problem, params, solution)
        engine = cast(Restoring, self.engine)
        eased, moved = (params, None) if family is None else family.eased(params)
        if family is None or moved is None:
            return engine.restore(problem, params, solution, self.threads)
        start = family.unpaid(params, eased, solution)
        kept = engine.restore(problem, eased, start, self.threads)
        return Eased(self, family, params, eased, moved, solution, kept)

    def finished(
        self,
        family: Easing,
        params: Params,
        data: tuple[Params, BoolArray],
        answer: Answer,
        start: Solution | None,
    ) -> Answer:
        """The answer for the programs as given; those without a hold keep more of their costs."""
        eased, moved = data
        loose = _loose(family, params, data, answer, self.engine.capabilities.tolerance)
        done = replace(answer, solution=_paid(family, params, eased, answer.solution, loose))
        rest = np.flatnonzero(loose.any(axis=1))
        if not len(rest):
            return done
        part, begin = taken(params, rest), None if start is None else start.take(rest)
        firm = ~moved[rest] | _cheapest(part, loose[rest])
        again = self._firm(family, part, firm, begin)
        return _put(done, rest, again)

    def _firm(
        self, family: Easing, params: Params, firm: BoolArray, start: Solution | None
    ) -> Answer:
        eased, moved = family.eased(params, firm)
        answer = self._asked(family, eased, start)
        if moved is None:
            return answer
        return self.finished(family, params, (eased, moved), answer, start)

    def _asked(
        self, problem: Problem, params: Params, start: Solution | None, *, keep: bool = False
    ) -> Answer:
        return self.engine.solve(problem, params, start=start, keep=keep, threads=self.threads)


@dataclass(frozen=True)
class Afresh:
    """The workspace of an engine that keeps nothing: tilted data, solved from the solution."""

    ask: Ask
    problem: Problem
    params: Params
    solution: Solution

    def resolve(self, tilt: Tilt) -> Answer:
        """See ``Workspace.resolve``."""
        problem, params = self.problem.tilt(self.params, tilt)
        return self.ask.solve(problem, params, self.solution.take(tilt.rows))


@dataclass(frozen=True)
class Eased:
    """A workspace of eased programs; what cannot be eased is solved afresh.

    Attributes
    ----------
    ask : Ask
    family : Easing
    given, eased : mapping from argument to Param
    moved : (B, n) bool
        Variables with other costs.
    solution : Solution
    workspace : Workspace
    """

    ask: Ask
    family: Easing
    given: Params
    eased: Params
    moved: BoolArray
    solution: Solution
    workspace: Workspace

    def resolve(self, tilt: Tilt) -> Answer:
        """See ``Workspace.resolve``."""
        answer, start = self.workspace.resolve(tilt), self.solution.take(tilt.rows)
        problem, given = self.family.tilt(self.given, tilt)
        _, eased = self.family.tilt(self.eased, tilt)
        family = easing(problem)
        assert family is not None
        return self.ask.finished(family, given, (eased, self.moved[tilt.rows]), answer, start)


def _cheapest(params: Params, loose: BoolArray) -> BoolArray:
    """Those of some variables (N, n) that cost about as little as the cheapest of them."""
    costs = np.where(loose, np.abs(params["q"].full()), np.inf)
    return costs / GAP <= costs.min(axis=1, keepdims=True)


def _loose(
    family: Easing,
    given: Params,
    data: tuple[Params, BoolArray],
    answer: Answer,
    tolerance: float,
) -> BoolArray:
    """Variables (N, n) with other costs that are not held, of elements that may yet be solved.

    So are all those of solutions that are known to be none to the tolerance of the engine.
    """
    (eased, moved), found = data, answer.solution
    solved = found.solved
    if answer.accuracy is not None:
        solved = solved & (answer.accuracy <= tolerance)
    held = family.held(given, eased, found) & solved[:, None]
    held |= among(found.status, Status.INFEASIBLE, Status.TIME_LIMIT)[:, None]
    if answer.ray is not None:  # what is unbounded in other variables is so whatever these cost
        falls = (found.status == Status.UNBOUNDED)[:, None]
        # unless beside these the other costs are rounding
        falls = falls & (np.abs(given["q"].full()) / DIGITS <= np.abs(eased["q"].full()))
        held |= falls & (np.abs(answer.ray.x) <= NONE * top(answer.ray.x)[:, None])
    return moved & ~held


def _paid(
    family: Easing, given: Params, eased: Params, solution: Solution, loose: BoolArray
) -> Solution:
    """Solutions with multipliers for the costs that were left out, where all is held."""
    rows = np.flatnonzero(solution.solved & ~loose.any(axis=1))
    if not len(rows):
        return solution
    paid = family.paid(taken(given, rows), taken(eased, rows), solution.take(rows))
    return solution.put(rows, paid)


def _put(answer: Answer, rows: IntArray, again: Answer) -> Answer:
    """The answer with other ones for some rows."""
    others = np.setdiff1d(np.arange(len(answer.solution)), rows)
    notes = {int(np.searchsorted(others, i)): why for i, why in answer.notes.items() if i in others}
    first = replace(ordered(answer, others), notes=notes, workspace=None)
    both = together([(others, first), (rows, again)])
    both = ordered(both, np.argsort(np.concatenate([others, rows])))
    return replace(both, workspace=answer.workspace)
