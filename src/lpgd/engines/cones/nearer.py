"""Cone programs without constraints that are too far away to matter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import numpy as np

from lpgd.core.params import Params, taken
from lpgd.core.solution import BoolArray, IntArray, Solution
from lpgd.engines.cones.rescaled import Fair, Rescaled
from lpgd.engines.cones.solver import Found, Request
from lpgd.families.conic.far import nearer, slack

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
        return Moved(self.solver, conic, replace(request, keep=False), loaded, params, inside, far)


@final
@dataclass(frozen=True)
class Moved:
    """A solver of programs whose far constraints are moved.

    Attributes
    ----------
    given, inside : mapping from argument to Param
        The programs as they are, and as they are solved.
    far : (N, m) bool
        Rows that were moved.
    """

    solver: Rescaled
    conic: Conic
    request: Request
    loaded: Fair
    given: Params
    inside: Params
    far: BoolArray

    @property
    def units(self) -> Units:
        """Those in which the data are fair."""
        return self.loaded.units

    def solve(self, params: Params, rows: IntArray, start: Solution | None) -> Found:
        """See ``Loaded.solve``."""
        same = params is self.given
        inside, far = (self.inside, self.far) if same else nearer(self.conic, params)
        found = self.loaded.solve(inside, rows, start)
        if not far.any():
            return found
        right = found.solved & slack(self.conic, inside, found.x, far)
        found.y[far & right[:, None]] = 0.0
        rest = np.flatnonzero(far.any(axis=1) & ~right)
        if not len(rest):
            return found
        part, before = taken(params, rest), found.take(rest)
        begin = None if start is None else start.take(rest)
        seconds = self.request.seconds - before.seconds.max()
        loaded = self.solver.load(self.conic, part, replace(self.request, seconds=seconds))
        again = loaded.solve(part, np.arange(len(rest)), begin)
        spent = before.seconds + again.seconds, before.set_ups + again.set_ups
        return found.put(rest, replace(again, seconds=spent[0], set_ups=spent[1]))
