"""Second-order cones that are products of two variables: x y >= |z|^2.

CVXPY writes them as (x + y, x - y, 2 z). Beside its factor such a cone has one more symmetry,
x -> k x, y -> y / k. Where x and y have units far apart, nothing else shows the smaller one: it
drowns in x + y.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from lpgd.core.params import Param
from lpgd.core.scaling import Exponents
from lpgd.core.solution import BoolArray, FloatArray, IntArray
from lpgd.families.quadratic.structure import Structure

ROUNDING = 1e-12  # differences this small are none


@final
@dataclass(frozen=True, eq=False)
class Rotated:
    """Cones whose first two rows have entries in the same places; structure only.

    Attributes
    ----------
    first : (k,) int
        First rows.
    cone : (e,) int
        Of each pair of entries.
    one, two : (e,) int
        Places of these entries among the values of A.
    """

    first: IntArray
    cone: IntArray
    one: IntArray
    two: IntArray

    @classmethod
    def of(cls, conic: Structure) -> Rotated:
        """Of a program on a pattern; dense matrices show no such cones."""
        none = np.zeros(0, dtype=np.intp)
        pattern = conic.patterns.get("A")
        starts = [a for kind, a, b in conic.cones.blocks() if kind == "soc" and b > a + 2]
        if pattern is None or not starts:
            return cls(none, none, none, none)
        order = np.lexsort((pattern.cols, pattern.rows))
        begin = np.searchsorted(pattern.rows[order], np.arange(conic.m + 1))
        found: list[tuple[int, IntArray, IntArray]] = []
        for start in starts:
            one, two = (order[begin[row] : begin[row + 1]] for row in (start, start + 1))
            if len(one) and np.array_equal(pattern.cols[one], pattern.cols[two]):
                found.append((start, one, two))
        if not found:
            return cls(none, none, none, none)
        first, ones, twos = zip(*found, strict=True)
        cone = np.repeat(np.arange(len(found)), [len(one) for one in ones])
        return cls(np.array(first), cone, np.concatenate(ones), np.concatenate(twos))

    def __bool__(self) -> bool:
        return len(self.first) > 0

    def apart(self, A: FloatArray) -> BoolArray:
        """Cones whose product has no variable in both factors, (N, k)."""
        if not self:
            return np.zeros((len(A), 0), dtype=np.bool_)
        plus, minus = _split(A[:, self.one], A[:, self.two])
        mixed = np.zeros((len(A), len(self.first)), dtype=np.bool_)
        elements, pairs = np.nonzero((plus != 0) & (minus != 0))
        mixed[elements, self.cone[pairs]] = True
        return ~mixed

    def parted(self, A: FloatArray) -> FloatArray:
        """Values of A (N, nnz) with those of the two factors in the first two rows."""
        return _replaced(A, (self.one, self.two)) if self else A

    def parted_sides(self, b: FloatArray) -> FloatArray:
        """The same of b, (N, m)."""
        return _replaced(b, (self.first, self.first + 1)) if self else b

    def units(self, rows: Exponents, A: Param) -> tuple[Exponents, Exponents]:
        """One factor for the rows of each product (N, m), and logarithms of k in its first row.

        In ``rows`` the factors have factors of their own, whose mean is that of z. Where a variable
        is in both, k is 1.
        """
        skew = np.zeros_like(rows)
        if not self or not rows.any():
            return rows, skew
        first, rows = self.first, rows.copy()
        power = (rows[:, first] - rows[:, first + 1]) // 2
        skew[:, first] = np.where(self.apart(A.values)[A.index], power, 0)
        rows[:, first] = rows[:, first + 1] = rows[:, first + 2]
        return rows, skew


def turned(values: FloatArray, places: tuple[IntArray, IntArray], power: Exponents) -> FloatArray:
    """x 2^power and y 2^-power in the place of x and y, where x + y and x - y stand.

    Shapes (N, k) of values, (N, e) of the powers; ``places`` (e,) are those of the sums and the
    differences. Without a power, values stay as they are.
    """
    if not power.any():
        return values
    one, two = (values[:, place] for place in places)
    x, y = np.ldexp(one + two, power - 1), np.ldexp(one - two, -power - 1)
    values = values.copy()
    values[:, places[0]] = np.where(power != 0, x + y, one)
    values[:, places[1]] = np.where(power != 0, x - y, two)
    return values


def _split(one: FloatArray, two: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sums and differences, rounding left out."""
    least = ROUNDING * np.maximum(np.abs(one), np.abs(two))
    plus, minus = one + two, one - two
    return np.where(np.abs(plus) > least, plus, 0.0), np.where(np.abs(minus) > least, minus, 0.0)


def _replaced(values: FloatArray, places: tuple[IntArray, IntArray]) -> FloatArray:
    values = values.copy()
    plus, minus = _split(values[:, places[0]], values[:, places[1]])
    values[:, places[0]], values[:, places[1]] = plus, minus
    return values
