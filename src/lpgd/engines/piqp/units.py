"""Units in which the tolerances of solvers mean something: powers of two, so nothing is rounded."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lpgd.core.scaling import factors
from lpgd.core.solution import FloatArray
from lpgd.families.qp.sparse_kkt import Element


@dataclass(frozen=True)
class Units:
    """x is ``reach`` times what a solver sees, and costs are multiplied by ``money``."""

    reach: float
    money: float

    @classmethod
    def of(cls, element: Element) -> Units:
        """Units for an element whose sizes are far from 1.

        Right-hand sides tell the size of the variables, or where they are all zero the costs.
        """
        sides = (element.r, element.lb, element.ub)
        largest = max(float(np.abs(s[np.isfinite(s)]).max(initial=0.0)) for s in sides)
        linear, curved = (float(np.abs(c).max(initial=0.0)) for c in (element.q, element.P.data))
        if not largest and curved:
            largest = linear / curved
        reach = 1 / _factor(largest)
        return cls(reach, _factor(max(linear * reach, curved * reach**2)))

    def enter(self, element: Element) -> Element:
        """The element in these units."""
        if self.reach == self.money == 1:
            return element
        lift = self.money * self.reach
        return replace(
            element, P=element.P * (lift * self.reach), q=element.q * lift,
            r=element.r / self.reach, lb=element.lb / self.reach, ub=element.ub / self.reach,
        )  # fmt: skip

    def leave(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Points and rays in the user's units."""
        return x * self.reach, y / (self.money * self.reach)


def _factor(size: float) -> float:
    return float(factors(np.array([size]))[0])
