"""Solvers of which each takes what those before it did not solve, or could not prove."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import numpy as np

from lpgd.core.params import Params, taken
from lpgd.core.solution import IntArray, Solution, Status, among
from lpgd.engines.cones.solver import Found, Loaded, Request, Solver

if TYPE_CHECKING:
    from lpgd.families.conic.conic import Conic

PROOF = 1e-6  # relative violation of a certificate that is rounding
NOISE = 1e-7  # of the largest entry of a ray: what solvers leave where it is zero
SURE = 1e-9  # a residual that was measured, and below which it is not measured again
OPEN = (Status.NUMERICAL, Status.INACCURATE)  # what the next one may try


@final
@dataclass(frozen=True)
class Fallback:
    """Asks one solver after the other, and believes none of them.

    Optimal is what satisfies the optimality conditions to ``tolerance``, relative to the data;
    infeasible or unbounded what a certificate proves. Limits are the user's and end the search; a
    time limit is one budget for all solvers together.
    """

    solvers: tuple[Solver, ...]
    tolerance: float

    def load(self, conic: Conic, params: Params, request: Request) -> Loaded:
        """See ``Solver.load``."""
        first = self.solvers[0].load(conic, params, request)
        return _Loaded(self, conic, first, request)


@final
@dataclass(frozen=True)
class _Loaded:
    wrapper: Fallback
    conic: Conic
    first: Loaded
    request: Request

    def solve(self, params: Params, rows: IntArray, start: Solution | None) -> Found:
        """See ``Loaded.solve``."""
        found = self._judged(params, self.first.solve(params, rows, start))
        for solver in self.wrapper.solvers[1:] if found.status.any() else ():
            rest = np.flatnonzero(among(found.status, *OPEN))
            if not len(rest):
                break
            part, before = taken(params, rest), found.take(rest)
            loaded = solver.load(self.conic, part, self.request.after(before))
            answer = loaded.solve(part, np.arange(len(rest)), None)
            found = found.put(rest, better(before, self._judged(part, answer)))
        return found

    def _judged(self, params: Params, found: Found) -> Found:
        if not found.status.any() and (found.error <= SURE).all():
            return found
        status, error = found.status.copy(), found.error.copy()
        rough = np.flatnonzero(found.solved & ~(error <= SURE))
        if len(rough):
            part, points = taken(params, rough), found.take(rough).points
            error[rough] = self.conic.residual(part, points)
            status[rough[~(error[rough] <= self.wrapper.tolerance)]] = Status.INACCURATE
        claimed = np.flatnonzero(among(status, Status.INFEASIBLE, Status.UNBOUNDED))
        if not len(claimed):
            return replace(found, status=status, error=error)
        for noise in (0.0, NOISE):
            rays = _cleaned(found.take(claimed), noise)
            proven = self.conic.refuted(taken(params, claimed), rays.points) <= PROOF
            found = found.put(claimed[proven], rays.take(proven))
            claimed = claimed[~proven]
            if not len(claimed):
                return replace(found, status=status, error=error)
        status[claimed] = Status.NUMERICAL
        found.x[claimed], found.y[claimed] = 0.0, 0.0
        return replace(found, status=status, error=error)


def _cleaned(rays: Found, noise: float) -> Found:
    """Rays without entries that are rounding of a solver, relative to the largest."""
    x, y = (
        np.where(np.abs(part) > noise * np.abs(part).max(axis=1, initial=0.0)[:, None], part, 0.0)
        for part in (rays.x, rays.y)
    )
    return replace(rays, x=x, y=y)


def better(before: Found, after: Found) -> Found:
    """The later answers, but the more accurate one of two points; the costs of both."""
    worse = (before.status == Status.INACCURATE) & ~after.solved & ~(after.error < before.error)
    decided = among(after.status, Status.INFEASIBLE, Status.UNBOUNDED)
    rows = np.flatnonzero(worse & ~decided)
    best = after.put(rows, before.take(rows)) if len(rows) else after
    return replace(
        best,
        seconds=before.seconds + after.seconds,
        set_ups=before.set_ups + after.set_ups,
    )
