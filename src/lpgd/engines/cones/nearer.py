"""Cone programs without constraints that are too far away to matter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import numpy as np

from lpgd.core.params import Params, taken
from lpgd.core.solution import BoolArray, IntArray, Solution, Status, among
from lpgd.engines.cones.rescaled import Fair, Rescaled
from lpgd.engines.cones.solver import Found, Request
from lpgd.families.conic.far import ALL, Parts, further, meets, nearer

if TYPE_CHECKING:
    from lpgd.families.conic.conic import Conic
    from lpgd.families.conic.units import Units


@final
@dataclass(frozen=True)
class Nearer:
    """Hands programs on with far constraints moved; what meets them there is solved as it is."""

    solver: Rescaled

    def load(self, conic: Conic, params: Params, request: Request) -> Moved:
        """See ``Solver.load``."""
        inside, far = nearer(conic, params)
        loaded = self.solver.load(conic, inside, request)
        steps = np.zeros(far.shape, dtype=np.intp)
        return Moved(self.solver, conic, request, params, loaded, inside, far, steps)


@final
@dataclass
class Moved:
    """A solver of programs whose far constraints are moved.

    Attributes
    ----------
    given, inside : mapping from argument to Param
        The programs as they are, and as they are solved.
    far : (B, k) bool
        Parts that are moved.
    steps : (B, k) int
        How often the solution of an element met each, so that it is moved less.
    """

    solver: Rescaled
    conic: Conic
    request: Request
    given: Params
    loaded: Fair
    inside: Params
    far: BoolArray
    steps: IntArray

    @property
    def units(self) -> Units | None:
        """Those in which the data are fair; None where some are moved, who knows how far."""
        return None if self.far.any() or self.steps.any() else self.loaded.units

    def solve(self, params: Params, rows: IntArray, start: Solution | None) -> Found:
        """See ``Loaded.solve``."""
        if params is self.given:
            return self._forward(rows, start)
        inside, far = nearer(self.conic, params, self.steps[rows])
        found = self.loaded.solve(inside, rows, start)
        rest = np.flatnonzero(self._met(inside, found, far).any(axis=1))
        if not len(rest):
            return found
        part, before = taken(params, rest), found.take(rest)
        begin = None if start is None else start.take(rest)
        loaded = self.solver.load(self.conic, part, self.request.after(before))
        again = loaded.solve(part, np.arange(len(rest)), begin)
        return found.put(rest, _both(before, again))

    def _forward(self, rows: IntArray, start: Solution | None) -> Found:
        """The programs themselves; tilted ones follow what these have met."""
        found = self.loaded.solve(self.inside, rows, start)
        while True:
            met = self._met(self.inside, found, self.far)
            if not met.any():
                return self.loaded.plainly(found, rows, start)
            claimed = among(found.status, Status.INFEASIBLE, Status.UNBOUNDED)
            stumbled = ~(found.solved | claimed | self.steps.any(axis=1))
            self.steps += np.where(found.solved | stumbled, 1, ALL)[:, None] * met
            self.inside, self.far = further(self.conic, self.given, self.steps, self.far)
            request = replace(self.request.after(found), keep=self.request.keep)
            self.loaded = self.solver.load(self.conic, self.inside, request)
            found = _both(found, self.loaded.solve(self.inside, rows, start))

    def _met(self, inside: Params, found: Found, far: BoolArray) -> BoolArray:
        """Moved parts that a solution meets, (N, k), all where there is none.

        In solutions that meet none of them, they have no multipliers.
        """
        if not far.any():
            return far
        met = meets(self.conic, inside, found.x, far) | (far & ~found.solved[:, None])
        free = far & ~met.any(axis=1, keepdims=True)
        found.y[free[:, Parts.of(self.conic).part]] = 0.0
        return met


def _both(before: Found, after: Found) -> Found:
    """The later answers, and the costs of both."""
    seconds, set_ups = before.seconds + after.seconds, before.set_ups + after.set_ups
    return replace(after, seconds=seconds, set_ups=set_ups)
