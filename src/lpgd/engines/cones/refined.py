"""Newton's method behind a solver of cone programs: rough solutions become sharp ones.

A solution by an interior-point or splitting method is off by about the square root of its tolerance
and gets the dearer the finer that is. Small programs are therefore solved to a coarse accuracy, and
Newton's method carries on to rounding. Its factorized matrices then serve the tilted problems,
which start at the forward solution: few cheap steps where the tilt is small. What Newton's method
does not solve, near or far, goes to the solver.

See ``families/conic/newton.py`` for the method and ``reduction.py`` for its data.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, final

import numpy as np

from lpgd.core.params import Params, taken
from lpgd.core.solution import BoolArray, IntArray, Rows, Solution, Status
from lpgd.engines.cones.solver import Found, Loaded, Request, Solver
from lpgd.families.conic import newton
from lpgd.families.conic.equations import Point
from lpgd.families.conic.newton import Model
from lpgd.families.conic.reduction import Linear, Matrices, linear_terms

if TYPE_CHECKING:
    from lpgd.families.conic.conic import Conic

# Usual size of a Newton matrix up to which Newton's method follows: it grows with the cube, a
# millisecond for an element at 200 (dense, whatever the patterns).
REACH = 250
# Steps of which each has a new matrix, where the first one does not serve.
RESCUE = 3
# Part of the residual that a tilt makes which may stay.
KEEN = 1e-10


def reaches(conic: Conic) -> bool:
    """Whether a program is small enough for Newton's method."""
    return conic.usual <= REACH


@final
@dataclass(frozen=True)
class Refined:
    """Asks a solver for ``coarse`` accuracy where Newton's method can follow."""

    solver: Solver
    coarse: float

    def load(self, conic: Conic, params: Params, request: Request) -> Loaded:
        """See ``Solver.load``."""
        if not reaches(conic):
            return self.solver.load(conic, params, request)
        return _Loaded(self, conic, params, request)


@dataclass(frozen=True)
class Anchor(Rows):
    """Where Newton's method starts: data, equations to first order, and a point."""

    matrices: Matrices
    model: Model
    point: Point

    def __len__(self) -> int:
        return len(self.point)

    def take(self, rows: IntArray | BoolArray) -> Anchor:
        """Some of the rows; the record itself where these are all of them."""
        if np.array_equal(rows, np.arange(len(self))):
            return self
        rows = np.arange(len(self))[rows]
        return Anchor(self.matrices.take(rows), self.model.take(rows), self.point.take(rows))


@final
class _Loaded:
    def __init__(self, wrapper: Refined, conic: Conic, params: Params, request: Request) -> None:
        self.wrapper, self.conic, self.params, self.request = wrapper, conic, params, request
        self.plan = conic.reduction
        self.anchor: Anchor | None = None  # of the elements in ``place``
        self.place = np.full(len(params["q"].index), -1)
        self.keep = request.keep

    @cached_property
    def coarse(self) -> Loaded:
        """The solver, set up when it is needed."""
        accuracy = max(self.request.accuracy, self.wrapper.coarse)
        request = replace(self.request, accuracy=accuracy, keep=False)
        return self.wrapper.solver.load(self.conic, self.params, request)

    def solve(self, params: Params, rows: IntArray, start: Solution | None) -> Found:
        """See ``Loaded.solve``. By Newton's method alone from a start that is near enough."""
        if start is None:
            return self._solved(params, rows, None)
        found = self._near(params, rows, start)
        rest = np.flatnonzero(~found.solved)
        if not len(rest):
            return found
        part, begin = (params, start) if len(rest) == len(rows) else (
            taken(params, rest), start.take(rest))  # fmt: skip
        return found.put(rest, self._solved(part, rows[rest], begin))

    def _solved(self, params: Params, rows: IntArray, start: Solution | None) -> Found:
        """By the solver and Newton's method; where that fails, more finely first."""
        found = self._sharp(params, self.coarse.solve(params, rows, start))
        rough = np.flatnonzero(found.solved & ~(found.error <= newton.FINE))
        if not len(rough) or self.request.accuracy >= self.wrapper.coarse:
            return found
        part, before = taken(params, rough), found.take(rough)
        fine = self.wrapper.solver.load(self.conic, part, self.request.after(before))
        again = fine.solve(part, np.arange(len(rough)), before.points)
        again = replace(
            again,
            seconds=before.seconds + again.seconds,
            set_ups=before.set_ups + again.set_ups,
        )
        return found.put(rough, self._sharp(part, again))

    def _sharp(self, params: Params, found: Found) -> Found:
        """Refine what a solver found, and keep the equations of the forward solve."""
        solved = np.flatnonzero(found.solved)
        keep, self.keep = self.keep, False
        if not len(solved):
            return found
        some = len(solved) < len(found)
        params, start = (taken(params, solved), found.take(solved)) if some else (params, found)
        at = self._at(params, start.points)
        data = self.plan.data(at.matrices, linear_terms(params))
        point = newton.solve(self.plan.layout, data, at.point, at.model, RESCUE)
        fine = np.flatnonzero(point.error <= newton.FINE)
        if keep:
            every = np.arange(len(point))
            self.anchor = replace(at, point=point.take(every))  # others change what is found
            self.place[solved[fine]] = fine
        return self._put(found, solved, params, at.matrices, point)

    def _near(self, params: Params, rows: IntArray, start: Solution) -> Found:
        """Start Newton's method at the forward solutions; what it does not solve is open."""
        found = Found.nothing(len(rows), self.conic)
        known = self.place[rows] >= 0
        for mine in (np.flatnonzero(known), np.flatnonzero(~known)):
            if not len(mine):
                continue
            part, begin = (params, start) if len(mine) == len(rows) else (
                taken(params, mine), start.take(mine))  # fmt: skip
            anchor = self.anchor if known[mine[0]] else None
            at = self._at(part, begin) if anchor is None else anchor.take(self.place[rows[mine]])
            data = self.plan.data(at.matrices, linear_terms(part))
            point = newton.solve(self.plan.layout, data, at.point, at.model, share=KEEN)
            found = self._put(found, mine, part, at.matrices, point)
        return found

    def _at(self, params: Params, start: Solution) -> Anchor:
        plan, slacks = self.plan, self.conic.slacks(params, start.x)
        matrices = plan.balanced(plan.matrices(params), params, start.y, slacks)
        data = plan.data(matrices, linear_terms(params))
        point = plan.enter(matrices, start, slacks)
        return Anchor(matrices, Model.of(plan.layout, data, point), point)

    def _put(
        self, found: Found, rows: IntArray, params: Params, matrices: Matrices, point: Point
    ) -> Found:
        """``found`` with those points that Newton's method has solved."""
        fine = np.flatnonzero(point.error <= newton.FINE)
        if not len(fine):
            return found
        linear: Linear = linear_terms(params)
        if len(fine) < len(point):
            matrices, point = matrices.take(fine), point.take(fine)
            linear = linear[0][fine], linear[1][fine]
        x, y = self.plan.leave(matrices, linear, point.x, point.y)
        sharp, whole = Found.of(x, y, np.full(len(x), Status.OPTIMAL, dtype=np.int8)), rows[fine]
        costs = found.seconds[whole], found.set_ups[whole]
        sharp = Found(sharp.x, sharp.y, sharp.status, point.error, *costs)
        return sharp if len(whole) == len(found) else found.put(whole, sharp)
