"""Linear terms of a cone program with a linear objective, in units of fair size.

A solver's tolerances are absolute where data are small, and it takes data that are very large for
a certificate of infeasibility. Cones have no unit: x and y scale with b and q, by powers of two, so
that nothing is rounded and the matrices stay. Beside a P one factor would have to serve both; that
tripled the error of a gradient (box and ball, data of 1e-3), so such programs stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from lpgd.core.params import Params, batched
from lpgd.core.scaling import factors
from lpgd.core.solution import BoolArray, FloatArray, Rows, Solution


@final
@dataclass(frozen=True)
class ConeUnits(Rows):
    """Factors of q and y, and of b and x.

    Attributes
    ----------
    costs, sides : (B, 1) float
        Powers of two.
    """

    costs: FloatArray
    sides: FloatArray

    @classmethod
    def of(cls, params: Params) -> ConeUnits:
        """Units in which the largest entries of q and b are near 1, or fair as they are."""
        sizes = [
            np.abs(params[name].full()).max(axis=1, initial=0.0, keepdims=True) for name in "qb"
        ]
        return cls(*(factors(size) for size in sizes))

    @property
    def larger(self) -> ConeUnits:
        """Those that enlarge: they only tighten a solver's absolute tolerances."""
        return ConeUnits(np.maximum(self.costs, 1.0), np.maximum(self.sides, 1.0))

    @property
    def shrunk(self) -> BoolArray:
        """Elements with a factor below one."""
        return ((self.costs < 1) | (self.sides < 1))[:, 0]

    def enter(self, params: Params) -> Params:
        """The data in these units."""
        if self._idle:
            return params
        scaled = {"q": batched(params["q"].full() * self.costs)}
        return {**params, **scaled, "b": batched(params["b"].full() * self.sides)}

    def inside(self, point: Solution | None) -> Solution | None:
        """A point in these units."""
        if point is None or self._idle:
            return point
        return Solution(point.x * self.sides, point.y * self.costs, point.status)

    def leave(self, found: Solution) -> Solution:
        """A solution in the caller's units."""
        if self._idle:
            return found
        return Solution(found.x / self.sides, found.y / self.costs, found.status)

    @property
    def _idle(self) -> bool:
        return bool((self.costs == 1).all() and (self.sides == 1).all())
