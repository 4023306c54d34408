"""Newton's method behind a solver of cone programs: refined solutions, and tilted ones from there.

See ``problems/conic_newton.py`` for the method and ``problems/reduction.py`` for its data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from lpgd.core.solution import IntArray, Solution, Status
from lpgd.families.conic import newton
from lpgd.families.conic.newton import Model, Point
from lpgd.families.conic.projections import project
from lpgd.families.conic.reduction import Linear, Matrices, Reduction, linear_terms

if TYPE_CHECKING:
    from lpgd.core.params import Params
    from lpgd.core.tilt import Tilt
    from lpgd.families.conic.conic import Conic

# Usual size of a Newton matrix up to which Newton's method follows: it grows with the cube, a
# millisecond for an element at 200 (dense, whatever the patterns).
REACH = 250
# Steps of which each has a new matrix, where the first one does not serve.
RESCUE = 3
# Part of the residual that a tilt makes which may stay.
KEEN = 1e-10


@final
@dataclass(frozen=True)
class Refined:
    """Solutions of a batch to rounding, with what it takes to go on from them.

    Attributes
    ----------
    place : (B,) int
        Where each element of the batch stands in the rest; -1 where its equations are not solved.
    """

    plan: Reduction
    matrices: Matrices
    model: Model
    point: Point
    place: IntArray

    @staticmethod
    def reaches(conic: Conic) -> bool:
        """Whether a program is small enough."""
        return conic.reduction.usual <= REACH

    @classmethod
    def of(cls, conic: Conic, params: Params, found: Solution) -> Refined:
        """Refine what a solver found."""
        plan = conic.reduction
        solved = np.flatnonzero(found.solved)
        if len(solved) < len(found):
            params = {name: param.take(solved) for name, param in params.items()}
        start = found.take(solved) if len(solved) < len(found) else found
        slacks = conic.slacks(params, start.x)
        matrices = plan.balanced(plan.matrices(params), params, start.y, slacks)
        data = plan.data(matrices, linear_terms(params))
        first = plan.enter(matrices, start, slacks)
        model = Model.of(plan.cones, data, first)
        point = newton.solve(plan.cones, data, first, model, RESCUE)
        place = np.full(len(found), -1)
        place[solved] = np.where(point.error <= newton.FINE, np.arange(len(solved)), -1)
        return cls(plan, matrices, model, point, place)

    def solution(self, params: Params, found: Solution) -> Solution:
        """The solver's solutions, refined ones in the place of theirs."""
        rows = np.flatnonzero(self.place >= 0)
        q, b = linear_terms(params)
        at = self._at(self.place[rows])
        return found.put(rows, self._leave(at[0], (q[rows], b[rows]), at[1]))

    def resolve(self, params: Params, tilt: Tilt) -> Solution:
        """Solve tilted problems; what Newton's method does not solve is ``NUMERICAL``."""
        conic, place = self.plan.conic, self.place[tilt.rows]
        answer = Solution.blank(len(tilt), conic.n, conic.m)
        answer.status[:] = Status.NUMERICAL
        rows = np.flatnonzero(place >= 0)
        q, b = linear_terms(params)
        linear = q[rows], b[rows]
        matrices, point, model = self._at(place[rows])
        if tilt.rho.any():
            matrices, model = matrices.augmented(tilt.rho[rows]), None
        data = self.plan.data(matrices, linear)
        moved = newton.solve(self.plan.cones, data, point, model, share=KEEN)
        done = np.flatnonzero(moved.error <= newton.FINE)
        if len(done) < len(rows):
            matrices, moved = matrices.take(done), moved.take(done)
            linear = linear[0][done], linear[1][done]
        return answer.put(rows[done], self._leave(matrices, linear, moved))

    def _at(self, places: IntArray) -> tuple[Matrices, Point, Model | None]:
        if np.array_equal(places, np.arange(len(self.point))):
            return self.matrices, self.point, self.model
        return self.matrices.take(places), self.point.take(places), self.model.take(places)

    def _leave(self, matrices: Matrices, linear: Linear, point: Point) -> Solution:
        y = project(self.plan.cones, point.v, point.s)
        x, y = self.plan.leave(matrices, linear, point.x, y)
        return Solution(x, y, np.full(len(x), Status.OPTIMAL, dtype=np.int8))
