"""Factors of the rows of a cone: which of them are free.

A cone allows one factor, as a rule. A positive semidefinite matrix allows one for each row and
column, S' = D S D: entry (i, j) has the factor d_i d_j, and the logarithms are sums. So they are
for x y >= |z|^2: x, y and z have the factors k^2, l^2 and k l.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from lpgd.core.pattern import Totals
from lpgd.core.solution import BoolArray, FloatArray, IntArray
from lpgd.families.conic.cones import order_of, triangle
from lpgd.families.quadratic.structure import Structure

_FIRST, _SECOND = np.array([0, 1, 0]), np.array([0, 1, 1])  # unknowns of x, y and z


@final
@dataclass(frozen=True, eq=False)
class Tied:
    """Sums of unknown logarithms, one for each group of rows with one factor.

    Attributes
    ----------
    first, second : (k,) int
        The unknowns of each group; ``second`` is -1 where there is one only.
    size : int
        Number of unknowns.
    """

    first: IntArray
    second: IntArray
    size: int

    @classmethod
    def of(cls, conic: Structure, group: IntArray, rotated: IntArray) -> Tied:
        """Of a program whose rows are grouped; ``rotated`` are the first rows of such products."""
        k = int(group.max(initial=-1)) + 1
        first, second, size = np.zeros(k, dtype=np.intp), np.full(k, -1), 0
        products = set(rotated.tolist())
        for kind, start, stop in conic.cones.blocks():
            own: IntArray = np.unique(group[start:stop])
            if kind == "psd":
                rows, cols, _ = triangle(order := order_of(stop - start))
                first[own], second[own] = size + rows, size + cols
                size += order
            elif kind == "soc" and start in products:
                first[own], second[own] = size + _FIRST, size + _SECOND
                size += 2
            else:
                first[own] = size + np.arange(len(own))
                size += len(own)
        return cls(first, second, size)

    @cached_property
    def double(self) -> BoolArray:
        """Groups that are a sum of two unknowns."""
        return self.second >= 0

    @cached_property
    def plain(self) -> bool:
        """Whether every group is an unknown of its own."""
        return not self.double.any()

    @cached_property
    def share(self) -> FloatArray:
        """What each unknown adds to the whole that all groups rise by, (size,)."""
        share = np.ones(self.size)
        share[self.first[self.double]] = share[self.second[self.double]] = 0.5
        return share

    @cached_property
    def _sums(self) -> tuple[Totals, Totals]:
        return Totals(self.first, self.size), Totals(self.second[self.double], self.size)

    def factors(self, unknowns: FloatArray) -> FloatArray:
        """Logarithms of the groups (N, k) from the unknowns (N, size)."""
        if self.plain:
            return unknowns
        return unknowns[:, self.first] + np.where(self.double, unknowns[:, self.second], 0.0)

    def pulled(self, groups: FloatArray) -> FloatArray:
        """The transposed map, (N, k) to (N, size)."""
        if self.plain:
            return groups
        one, two = self._sums
        return one(groups) + two(groups[:, self.double])

    def squares(self, groups: FloatArray) -> FloatArray:
        """The same with the squares of its coefficients: 4 where both unknowns are one."""
        if self.plain:
            return groups
        same = np.where(self.first == self.second, 2.0, 1.0)
        return self.pulled(groups * same)
