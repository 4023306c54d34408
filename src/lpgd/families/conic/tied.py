"""Factors of the rows of a cone: which of them are free.

A cone allows one factor, as a rule. A positive semidefinite matrix allows one for each row and
column, S' = D S D: entry (i, j) has the factor d_i d_j, and the logarithms are sums. So they are
for x y >= |z|^2: x, y and z have the factors k^2, l^2 and k l; and for u^a v^(1 - a) >= |w|: u, v
and w have the factors k, l and k^a l^(1 - a).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from lpgd.core.pattern import Totals
from lpgd.core.solution import FloatArray, IntArray
from lpgd.families.conic.cones import order_of, triangle
from lpgd.families.quadratic.structure import Structure

_FIRST, _SECOND = np.array([0, 1, 0]), np.array([0, 1, 1])  # unknowns of x, y and z


@final
@dataclass(frozen=True, eq=False)
class Tied:
    """Weighted sums of two unknown logarithms, one for each group of rows with one factor.

    Attributes
    ----------
    first, second : (k,) int
        The unknowns of each group; the same one twice where there is one only.
    one, two : (k,) float64
        Their weights.
    size : int
        Number of unknowns.
    """

    first: IntArray
    second: IntArray
    one: FloatArray
    two: FloatArray
    size: int

    @classmethod
    def of(cls, conic: Structure, group: IntArray, rotated: IntArray) -> Tied:
        """Of a program whose rows are grouped; ``rotated`` are the first rows of such products."""
        k = int(group.max(initial=-1)) + 1
        first, second, size = np.zeros(k, dtype=np.intp), np.zeros(k, dtype=np.intp), 0
        one, two = np.ones(k), np.zeros(k)
        products, powers = set(rotated.tolist()), iter(conic.cones.power)
        for kind, start, stop in conic.cones.blocks():
            own: IntArray = np.unique(group[start:stop])
            if kind == "psd":
                rows, cols, _ = triangle(order := order_of(stop - start))
                first[own], second[own], two[own] = size + rows, size + cols, 1.0
                size += order
            elif kind == "soc" and start in products:
                first[own], second[own], two[own] = size + _FIRST, size + _SECOND, 1.0
                size += 2
            elif kind == "power":
                power = next(powers)
                first[own], second[own] = size + _FIRST, size + _SECOND
                one[own], two[own] = (1.0, 1.0, power), (0.0, 0.0, 1.0 - power)
                size += 2
            else:
                first[own] = second[own] = size + np.arange(len(own))
                size += len(own)
        return cls(first, second, one, two, size)

    @cached_property
    def plain(self) -> bool:
        """Whether every group is an unknown of its own."""
        return not self.two.any()

    @cached_property
    def share(self) -> FloatArray:
        """What each unknown adds to the whole that all groups rise by, (size,)."""
        share = np.ones(self.size)
        share[self.first] = 1 / (self.one + self.two)
        share[self.second] = share[self.first]
        return share

    @cached_property
    def _sums(self) -> tuple[Totals, Totals]:
        return Totals(self.first, self.size), Totals(self.second, self.size)

    def factors(self, unknowns: FloatArray) -> FloatArray:
        """Logarithms of the groups (N, k) from the unknowns (N, size)."""
        if self.plain:
            return unknowns
        return self.one * unknowns[:, self.first] + self.two * unknowns[:, self.second]

    def pulled(self, groups: FloatArray) -> FloatArray:
        """The transposed map, (N, k) to (N, size)."""
        if self.plain:
            return groups
        first, second = self._sums
        return first(self.one * groups) + second(self.two * groups)

    def squares(self, groups: FloatArray) -> FloatArray:
        """The same with the squares of its coefficients."""
        if self.plain:
            return groups
        same, (first, second) = self.first == self.second, self._sums
        both = np.where(same, (self.one + self.two) ** 2, self.one**2)
        return first(both * groups) + second(np.where(same, 0.0, self.two**2) * groups)
