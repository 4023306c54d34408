"""Units of cone programs in which their data have sizes near 1.

Tolerances are then relative to what they should be. Units are a factor for each variable, one for
each row or cone, one for the costs, all powers of two, so that nothing is rounded:

    x = D x',   s = E^-1 s',   y = E y' / c,   P' = c D P D,  q' = c D q,  A' = E A D,  b' = E b.

Data that are fair on the whole stay as they are. The third row of a power cone (u, v, w) has the
factor k^a l^(1 - a), which is no power of two.

The exponential cone has one more symmetry, (u, v, w) -> (u + v log k, v, k w). It serves where v is
a constant, as in log(x): w has a unit of its own then, and log k moves from b_v to b_u. A product
x y >= |z|^2, written (x + y, x - y, 2 z), has (k x, y / k, z), see ``rotated``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import numpy as np

from lpgd.core.params import Param, Params, batched
from lpgd.core.scaling import Exponents, exponents, exponents_of
from lpgd.core.solution import BoolArray, FloatArray, Rows, Solution
from lpgd.families.conic.balance import Graph, balanced
from lpgd.families.conic.rotated import turned
from lpgd.families.quadratic.products import Values
from lpgd.families.quadratic.structure import Structure

THIN = 960  # powers of two below 1 where numbers soon lose digits


@final
@dataclass(frozen=True)
class Units(Rows):
    """Factors of N elements, as exponents of 2: sums of these are safe where factors overflow.

    Attributes
    ----------
    rows : (N, m) int
        E.
    cols : (N, n) int
        D.
    costs : (N, 1) int
        c.
    sides : (N, 1) int
        A further factor of b, and of all variables; none where there is a P.
    shift : (N, m) float64
        log k in the first row of each exponential cone, else zero.
    skew : (N, m) int
        Binary logarithm of k in the first row of each product, else zero.
    rest : (N, m) float64
        Further factors of rows: 1 but in the third row of each power cone.
    """

    rows: Exponents
    cols: Exponents
    costs: Exponents
    sides: Exponents
    shift: FloatArray
    skew: Exponents
    rest: FloatArray

    @classmethod
    def of(cls, conic: Structure, params: Params) -> Units:
        """Units in which the data are fair."""
        graph = Graph.of(conic)
        curve = Values(conic, params).diagonal() if conic.quadratic else None
        sides, cols = balanced(graph, params, curve)
        unit, cols = np.rint(sides).astype(np.intc), cols.astype(np.intc)
        rest = np.exp2(sides - unit)[:, graph.group]
        rows, skew = graph.rotated.units(unit[:, graph.group], params["A"])
        none = np.zeros((len(unit), 1), dtype=np.intc)
        shift, first = np.zeros(rows.shape), graph.first
        if len(first):
            shift[:, first] = np.log(2.0) * (rows[:, first + 2] - rows[:, first])
        if curve is None:
            return cls(rows, cols, none, none, shift, skew, rest).fitted(params)
        costs = np.maximum(_top(params["q"].full(), cols), _top(curve, 2 * cols))
        return cls(rows, cols, exponents_of(costs), none, shift, skew, rest)

    def fitted(self, params: Params) -> Units:
        """With factors of linear costs and of the right-hand sides for these linear terms."""
        q, b = params["q"].full(), params["b"].full()
        if not (self.rows.any() or self.cols.any() or self.skew.any()):
            tops = [np.maximum.reduce(np.abs(part), axis=1, initial=0.0) for part in (q, b)]
            costs, sides = exponents(np.array(tops))[..., None]
            return replace(self, costs=costs, sides=sides)
        bare = replace(self, costs=np.zeros_like(self.costs), sides=np.zeros_like(self.sides))
        sides = exponents_of(_top(bare.linear(params)["b"].full(), 0))
        costs = exponents_of(_top(params["q"].full(), self.cols))
        return replace(self, costs=costs, sides=sides)

    @property
    def moved(self) -> BoolArray:
        """Elements that are others in these units, (N,)."""
        parts = self.rows, self.cols, self.costs, self.sides, self.skew
        return np.logical_or.reduce([part.any(axis=1) for part in parts])

    @cached_property
    def idle(self) -> bool:
        """Whether nothing changes."""
        return not self.moved.any()

    @property
    def thin(self) -> BoolArray:
        """Elements whose solution may be too small for the caller's units to hold it, (N,)."""
        least = (self.cols - self.sides).min(axis=1, initial=0)
        least = np.minimum(least, (self.rows - self.costs).min(axis=1, initial=0))
        return least < -THIN

    @property
    def bend(self) -> FloatArray:
        """What the identity, as a P, is in these units: a diagonal, (N, n)."""
        return np.ldexp(1.0, self.costs + 2 * self.cols - self.sides)

    def matrices(self, conic: Structure, params: Params) -> Params:
        """The data with P and A in these units."""
        if self.idle:
            return params
        scaled: dict[str, Param] = {}
        for name in params.keys() & {"A", "P"}:
            left, rest = self.cols + self.costs, np.ones(self.cols.shape)
            if name == "A":
                left, rest = self.rows, self.rest
            pattern, values = conic.patterns.get(name), params[name].full()
            if pattern is None:
                power, rest = left[:, :, None] + self.cols[:, None, :], rest[:, :, None]
            else:
                power = left[:, pattern.rows] + self.cols[:, pattern.cols]
                rest = rest[:, pattern.rows]
            scaled[name] = batched(np.ldexp(values, power) * rest)
        if self.skew.any():
            rotated = Graph.of(conic).rotated
            power = self.skew[:, rotated.first[rotated.cone]]
            values = turned(scaled["A"].values, (rotated.one, rotated.two), power)
            scaled["A"] = batched(values)
        return {**params, **scaled}

    def lifted(self, q: FloatArray, b: FloatArray) -> Units:
        """With a further factor of costs and sides, which brings these linear terms near 1."""
        powers = (q, self.cols + self.costs), (b, self.rows + self.sides)
        sizes = [np.where(part == 0, -np.inf, np.frexp(part)[1] + power) for part, power in powers]
        most = np.concatenate(sizes, axis=1).max(axis=1, initial=-np.inf, keepdims=True)
        lift = -np.where(np.isfinite(most), most, 0.0).astype(np.intc)
        return replace(self, costs=self.costs + lift, sides=self.sides + lift)

    def linear(self, params: Params) -> Params:
        """The data with q and b in these units."""
        if self.idle:
            return params
        q, b = self.terms(params["q"].full(), params["b"].full())
        return {**params, "q": batched(q), "b": batched(b)}

    def terms(self, q: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Linear terms in these units."""
        b = np.ldexp(b, self.rows + self.sides) * self.rest
        b[:, :-1] += self.shift[:, :-1] * b[:, 1:]
        b = self._turned(b)
        return np.ldexp(q, self.cols + self.costs), b

    def enter(self, point: Solution) -> Solution:
        """A point in these units."""
        if self.idle:
            return point
        y = np.ldexp(point.y, self.costs - self.rows) / self.rest
        y[:, 1:] -= self.shift[:, :-1] * y[:, :-1]
        y = self._turned(y, -1)
        return Solution(np.ldexp(point.x, self.sides - self.cols), y, point.status)

    def leave(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Points and rays in the caller's units."""
        if self.idle:
            return x, y
        y = self._turned(y.copy())
        y[:, 1:] += self.shift[:, :-1] * y[:, :-1]
        return np.ldexp(x, self.cols - self.sides), np.ldexp(y * self.rest, self.rows - self.costs)

    def _turned(self, rows: FloatArray, sign: int = 1) -> FloatArray:
        """Values of rows, (N, m), with the two factors of products in other units."""
        first = np.flatnonzero(np.logical_or.reduce(self.skew != 0, axis=0))
        return turned(rows, (first, first + 1), sign * self.skew[:, first])


def _top(values: FloatArray, power: Exponents | int) -> FloatArray:
    """Binary logarithm of the largest entry of each row with its factor; -inf for nothing."""
    with np.errstate(divide="ignore"):
        logs = np.log2(np.abs(values)) + power
    return logs.max(axis=1, initial=-np.inf, keepdims=True)
