"""Cone programs without constraints that are too far away to matter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import numpy as np

from lpgd.core.params import Params, taken
from lpgd.core.solution import BoolArray, IntArray, Solution
from lpgd.engines.cones.rescaled import Fair, Rescaled
from lpgd.engines.cones.solver import Found, Request
from lpgd.families.conic.far import ALL, nearer, slack

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
        steps = np.zeros(len(far), dtype=np.intp)
        return Moved(self.solver, conic, request, params, loaded, inside, far, steps)


@final
@dataclass
class Moved:
    """A solver of programs whose far constraints are moved.

    Attributes
    ----------
    given, inside : mapping from argument to Param
        The programs as they are, and as they are solved.
    far : (B, m) bool
        Rows that are moved.
    steps : (B,) int
        How often the solution of an element met them, so that they are moved less.
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
        rest = np.flatnonzero(self._settled(inside, found, far))
        if not len(rest):
            return found
        part, before = taken(params, rest), found.take(rest)
        begin = None if start is None else start.take(rest)
        loaded = self.solver.load(self.conic, part, self._later(before))
        again = loaded.solve(part, np.arange(len(rest)), begin)
        return found.put(rest, _both(before, again))

    def _forward(self, rows: IntArray, start: Solution | None) -> Found:
        """The programs themselves; tilted ones follow what these have met."""
        found = self.loaded.solve(self.inside, rows, start)
        while True:
            met = self._settled(self.inside, found, self.far)
            if not met.any():
                return found
            self.steps[met] += np.where(found.solved[met], 1, ALL)
            self.inside, self.far = nearer(self.conic, self.given, self.steps)
            request = replace(self._later(found), keep=self.request.keep)
            self.loaded = self.solver.load(self.conic, self.inside, request)
            found = _both(found, self.loaded.solve(self.inside, rows, start))

    def _settled(self, inside: Params, found: Found, far: BoolArray) -> BoolArray:
        """Elements that meet a moved constraint; in others it has no multipliers."""
        if not far.any():
            return np.zeros(len(far), dtype=np.bool_)
        right = found.solved & slack(self.conic, inside, found.x, far)
        found.y[far & right[:, None]] = 0.0
        return far.any(axis=1) & ~right

    def _later(self, before: Found) -> Request:
        """What is asked once more."""
        seconds = self.request.seconds - before.seconds.max(initial=0.0)
        return replace(self.request, seconds=seconds, keep=False)


def _both(before: Found, after: Found) -> Found:
    """The later answers, and the costs of both."""
    seconds, set_ups = before.seconds + after.seconds, before.set_ups + after.set_ups
    return replace(after, seconds=seconds, set_ups=set_ups)
