"""Units in which the tolerances of solvers mean something: powers of two, so nothing is rounded."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lpgd.core.scaling import factors
from lpgd.core.solution import FloatArray
from lpgd.families.qp.sparse_kkt import Element


@dataclass(frozen=True)
class Units:
    """x is ``reach`` times what a solver sees, and slopes of costs are multiplied by ``lift``.

    Costs themselves would be by ``lift / reach``, which may be no number.
    """

    reach: float
    lift: float

    @classmethod
    def of(cls, element: Element) -> Units:
        """Units for an element whose data are all small or all large.

        Right-hand sides tell the size of the variables, or where they are all zero the costs.
        """
        reach = _size(element.r, element.lb, element.ub)
        if not reach:
            linear, curved = (np.abs(c).max(initial=0.0) for c in (element.q, element.P.data))
            reach = float(linear / curved) if curved else 1.0
        reach = 1 / _factor(reach)
        with np.errstate(over="ignore"):  # of threads, each of which has a state of its own
            return cls(reach, _factor(_size(element.q, element.P.data * reach)))

    def enter(self, element: Element) -> Element:
        """The element in these units."""
        if self.reach == self.lift == 1:
            return element
        return replace(
            element, P=element.P * self.lift * self.reach, q=element.q * self.lift,
            r=element.r / self.reach, lb=element.lb / self.reach, ub=element.ub / self.reach,
        )  # fmt: skip

    def leave(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Points and rays in the user's units."""
        return x * self.reach, y / self.lift


def _size(*parts: FloatArray) -> float:
    """The largest size where all are small, the smallest where all are large; 0 without any.

    Finer units than needed find the same solution, coarser ones a wrong one.
    """
    sizes = np.abs(np.concatenate(parts))
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    if not len(sizes):
        return 0.0
    return float(min(sizes.max(), max(1.0, sizes.min())))


def _factor(size: float) -> float:
    return float(factors(np.array([size]))[0])
