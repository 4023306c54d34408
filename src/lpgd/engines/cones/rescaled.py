"""Cone programs in fair units: the ones in which their data have sizes near 1."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import numpy as np

from lpgd.core.params import Params, flat, taken
from lpgd.core.solution import BoolArray, IntArray, Solution, Status, among
from lpgd.engines.cones.fallback import OPEN, better
from lpgd.engines.cones.solver import Found, Loaded, Request, Solver
from lpgd.families.conic.units import Units

if TYPE_CHECKING:
    from lpgd.families.conic.conic import Conic


@final
@dataclass(frozen=True)
class Rescaled:
    """Hands programs on in fair units; solutions have a residual up to ``tolerance`` in others.

    Tolerances of solvers are absolute where data are small, and solvers take data that are very
    large for a certificate.
    """

    solver: Solver
    tolerance: float

    def load(self, conic: Conic, params: Params, request: Request) -> Fair:
        """See ``Solver.load``."""
        units = Units.of(conic, params)
        inside = units.matrices(conic, units.linear(params))
        loaded = self.solver.load(conic, inside, request)
        return Fair(self, units, conic, loaded, params, inside, request)


@final
@dataclass(frozen=True)
class Fair:
    """A solver of programs in fair units."""

    wrapper: Rescaled
    units: Units
    conic: Conic
    loaded: Loaded
    given: Params
    inside: Params
    request: Request

    def solve(self, params: Params, rows: IntArray, start: Solution | None) -> Found:
        """See ``Loaded.solve``. Without a P, factors of q and b leave the matrices as they are."""
        units = self.units
        if params is not self.given:  # other linear terms, of some of the elements
            units = units.take(rows)
            units = units if self.conic.quadratic else units.fitted(params)
        if units.idle:
            return self.loaded.solve(params, rows, start)
        linear = units.linear(params)
        inside = {**taken(self.inside, rows), "q": linear["q"], "b": linear["b"]}
        begin = None if start is None else units.enter(start)
        found = self.loaded.solve(inside, rows, begin)
        x, y = units.leave(found.x, found.y)
        left = Found.of(x, y, found.status)  # what overflows is no solution
        found = replace(found, x=left.x, y=left.y, status=left.status)
        given = {**taken(self.given, rows), **params}
        return self._believed(found, found.solved & units.moved, given)

    def plainly(self, found: Found, rows: IntArray, start: Solution | None) -> Found:
        """The forward solutions, where nobody found one in these units once more in the user's."""
        units, params = self.units.take(rows), taken(self.given, rows)
        rest = np.flatnonzero(units.moved & among(found.status, *OPEN))
        if not len(rest):
            return found
        part, before = taken(params, rest), found.take(rest)
        begin = None if start is None else start.take(rest)
        loaded = self.wrapper.solver.load(self.conic, part, self.request.after(before))
        again = loaded.solve(part, np.arange(len(rest)), begin)
        again = self._believed(again, again.solved, part)
        fine = np.flatnonzero(again.solved)  # certificates are measured in fair units only
        return found.put(rest[fine], better(before.take(fine), again.take(fine)))

    def _believed(self, found: Found, rows: BoolArray, params: Params) -> Found:
        """Solutions are so in the user's units, too, in some of the rows.

        A multiplier that is rounding in fair units may be the largest force in these; without
        costs, all multipliers are.
        """
        solved = np.flatnonzero(rows)
        costs = [params[name] for name in params.keys() & {"q", "P"}]
        each: list[BoolArray] = [np.any(flat(p.values), axis=1)[p.index] for p in costs]
        costly = np.logical_or.reduce(each)
        found.y[solved[~costly[solved]]] = 0.0
        residual = self.conic.residual(taken(params, solved), found.points.take(solved))
        found.status[solved[~(residual <= self.wrapper.tolerance)]] = Status.INACCURATE
        found.error[solved] = np.fmax(found.error[solved], residual)
        return found
