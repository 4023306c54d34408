"""A function that minimises linear costs, as an engine.

It is asked afresh for every tilted batch. Where it raises, the map asks it again by halves of the
batch until the culprit is alone. What it answers to tilted costs is held against the forward
solution: <dx, x_t - x*> has the sign of -t, whatever the set, if both are optimal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from lpgd.core.engine import Answer, Capabilities
from lpgd.core.params import Params
from lpgd.core.solution import BoolArray, Flag, FloatArray, Solution, Status
from lpgd.core.tilt import Tilt
from lpgd.engines.oracle.ask import Ask, Direct
from lpgd.engines.oracle.points import read

if TYPE_CHECKING:
    from lpgd.core.problem import Problem

COST, INSTANCES = "q", "instances"
ROUNDING = 1e-9  # contradiction, relative to the terms of its sum, that is rounding


@final
@dataclass(frozen=True)
class OracleEngine:
    """Asks an oracle.

    Parameters
    ----------
    oracle : callable
        From costs (N, *shape) to minimisers; with per-instance inputs a list of N of them is its
        second argument. The costs are its own, to write to as it likes.
    ask : Ask or None
        The chain through which it is asked; None asks it directly.
    sign : {1, -1}
        -1 hands it the negated costs: it maximises.
    features : callable or None
        From a solution that is an object to its vector x.
    gap : float
        Suboptimality of its answers relative to the largest cost times the sum of |x|.
    """

    oracle: Callable[..., Any]
    ask: Ask | None = None
    sign: float = 1.0
    features: Callable[[Any], Any] | None = None
    gap: float = 0.0

    name: ClassVar[str] = "oracle"
    capabilities: ClassVar[Capabilities] = Capabilities(
        frozenset({"oracle"}), install="install what the oracle imports", restores=True
    )

    def solve(
        self,
        problem: Problem,
        params: Params,
        *,
        start: Solution | None = None,
        keep: bool = False,
        threads: int | None = None,
    ) -> Answer:
        """See ``Engine.solve``. A row of a wrong shape, not finite or infeasible has failed."""
        costs = np.array(params[COST].full(), order="C")
        if self.sign < 0:
            np.negative(costs, out=costs)
        shape: tuple[int, ...] = getattr(problem, "form", (problem.n,))
        inputs = list(params[INSTANCES].full()) if INSTANCES in params else None
        ask = self.ask or Direct(self.oracle)
        reply = ask(costs.reshape(len(costs), *shape), inputs)
        solution, notes = read(reply, (problem.n, shape), self.features)
        _outside(solution, getattr(self.oracle, "feasible", None), shape, notes)
        workspace = None
        if keep:
            workspace = Asking(self, problem, params, solution)
        counts = dict(reply.counts)
        if solution.flags is not None:
            counts["incumbents"] = int((solution.flags & Flag.INCUMBENT > 0).sum())
        return Answer(solution, len(costs), workspace, reply.cause, notes=notes, counts=counts)

    def restore(
        self, problem: Problem, params: Params, solution: Solution, threads: int | None
    ) -> Asking:
        """See ``Restoring.restore``."""
        return Asking(self, problem, params, solution)


@final
@dataclass(frozen=True)
class Asking:
    """The workspace of an oracle: its costs and solutions, against which tilted ones are held."""

    engine: OracleEngine
    problem: Problem
    params: Params
    solution: Solution

    def resolve(self, tilt: Tilt) -> Answer:
        """See ``Workspace.resolve``."""
        problem, params = self.problem.tilt(self.params, tilt)
        answer = self.engine.solve(problem, params)
        start = self.solution.take(tilt.rows)
        costs = params[COST].full()
        wrong = self._contradicts(tilt, costs, start, answer.solution)
        count = int(wrong.sum())
        if not count:
            return answer
        counts = {**answer.counts, "contradictions": count}
        return replace(answer, counts=counts, warning=_warning(self.engine.oracle, wrong, tilt))

    def _contradicts(
        self, tilt: Tilt, costs: FloatArray, start: Solution, end: Solution
    ) -> BoolArray:
        if np.isinf(self.engine.gap):  # it promises nothing
            return np.zeros(len(tilt), dtype=np.bool_)
        move = tilt.t * np.einsum("ni,ni->n", tilt.dx, end.x - start.x)
        spread = np.abs(start.x) + np.abs(end.x)
        terms = np.abs(costs) + np.abs(tilt.t[:, None] * tilt.dx)
        room = ROUNDING * np.einsum("ni,ni->n", terms, spread)
        if self.engine.gap:
            room += self.engine.gap * terms.max(axis=1, initial=0.0) * spread.sum(axis=1)
        return (move > room) & start.solved & end.solved


def _warning(oracle: Any, wrong: BoolArray, tilt: Tilt) -> str:
    named = ", ".join(map(str, np.unique(tilt.rows[wrong])[:5]))
    return (
        f"{oracle!r}: {int(wrong.sum())} of {len(wrong)} solutions for tilted costs contradict the "
        f"forward ones (elements {named} of the batch): a larger cost along dx must not enlarge "
        "<dx, x>. The oracle has another sense than the layer (see sense=), is inexact, answers at "
        "random or changes the costs; gradients are then unreliable. Counted in "
        "stats.contradictions; this warning is not repeated."
    )


def _outside(
    solution: Solution, feasible: Any, shape: tuple[int, ...], notes: dict[int, str]
) -> None:
    """Fail points that the oracle itself calls infeasible."""
    rows = np.flatnonzero(solution.solved)
    if feasible is None or not len(rows):
        return
    fine = np.asarray(feasible(solution.x[rows].reshape(len(rows), *shape)), dtype=np.bool_)
    for row in rows[~fine]:
        solution.status[row], solution.x[row] = Status.NUMERICAL, 0.0
        notes[int(row)] = "the oracle returned a point outside of its set"
