"""Units of cone programs in which their data have sizes near 1.

Tolerances are then relative to what they should be. Units are a factor for each variable, one for
each row or cone, one for the costs, all powers of two, so that nothing is rounded:

    x = D x',   s = E^-1 s',   y = E y' / c,   P' = c D P D,  q' = c D q,  A' = E A D,  b' = E b.

Data that are fair on the whole stay as they are.

The exponential cone has one more symmetry, (u, v, w) -> (u + v log k, v, k w). It serves where v is
a constant, as in log(x): w has a unit of its own then, and log k moves from b_v to b_u.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import numpy as np

from lpgd.core.params import Param, Params, batched
from lpgd.core.scaling import factors
from lpgd.core.solution import FloatArray, Rows, Solution
from lpgd.families.conic.balance import Graph, balanced, diagonal
from lpgd.families.quadratic.structure import Structure


@final
@dataclass(frozen=True)
class Units(Rows):
    """Factors of N elements.

    Attributes
    ----------
    rows : (N, m) float64
        E.
    cols : (N, n) float64
        D.
    costs : (N, 1) float64
        c.
    sides : (N, 1) float64
        A further factor of b, and of all variables; 1 where there is a P.
    shift : (N, m) float64
        log k in the first row of each exponential cone, else zero.
    """

    rows: FloatArray
    cols: FloatArray
    costs: FloatArray
    sides: FloatArray
    shift: FloatArray

    @classmethod
    def of(cls, conic: Structure, params: Params) -> Units:
        """Units in which the data are fair."""
        graph, curve = Graph.of(conic), diagonal(conic, params) if conic.quadratic else None
        unit, cols = balanced(graph, params, curve)
        rows, cols = np.exp2(unit[:, graph.group]), np.exp2(cols)
        shift, first, one = np.zeros_like(rows), graph.first, np.ones((len(rows), 1))
        shift[:, first] = np.log(rows[:, first + 2] / rows[:, first])
        if curve is None:
            return cls(rows, cols, one, one, shift).fitted(params)
        costs = np.maximum(_top(params["q"].full() * cols), _top(curve * cols**2))
        return cls(rows, cols, factors(costs), one, shift)

    def fitted(self, params: Params) -> Units:
        """With factors of linear costs and of the right-hand sides for these linear terms."""
        one = np.ones_like(self.sides)
        sides = factors(_top(replace(self, sides=one).linear(params)["b"].full()))
        return replace(self, costs=factors(_top(params["q"].full() * self.cols)), sides=sides)

    @cached_property
    def idle(self) -> bool:
        """Whether nothing changes."""
        return bool(
            (self.rows == 1).all() and (self.cols == 1).all()
            and (self.costs == 1).all() and (self.sides == 1).all()
        )  # fmt: skip

    @property
    def bend(self) -> FloatArray:
        """What the identity, as a P, is in these units: a diagonal, (N, n)."""
        return self.costs * self.cols**2 / self.sides

    def matrices(self, conic: Structure, params: Params) -> Params:
        """The data with P and A in these units."""
        if self.idle:
            return params
        scaled: dict[str, Param] = {}
        for name in params.keys() & {"A", "P"}:
            left = self.rows if name == "A" else self.cols * self.costs
            pattern, values = conic.patterns.get(name), params[name].full()
            if pattern is None:
                values = left[:, :, None] * values * self.cols[:, None, :]
            else:
                values = left[:, pattern.rows] * values * self.cols[:, pattern.cols]
            scaled[name] = batched(values)
        return {**params, **scaled}

    def linear(self, params: Params) -> Params:
        """The data with q and b in these units."""
        if self.idle:
            return params
        q, b = self.terms(params["q"].full(), params["b"].full())
        return {**params, "q": batched(q), "b": batched(b)}

    def terms(self, q: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Linear terms in these units."""
        b = b * self.rows * self.sides
        b[:, :-1] += self.shift[:, :-1] * b[:, 1:]
        return q * self.cols * self.costs, b

    def enter(self, point: Solution) -> Solution:
        """A point in these units."""
        if self.idle:
            return point
        y = point.y * self.costs / self.rows
        y[:, 1:] -= self.shift[:, :-1] * y[:, :-1]
        return Solution(point.x * self.sides / self.cols, y, point.status)

    def leave(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Points and rays in the caller's units."""
        if self.idle:
            return x, y
        y = y.copy()
        y[:, 1:] += self.shift[:, :-1] * y[:, :-1]
        return x * self.cols / self.sides, y * self.rows / self.costs


def _top(values: FloatArray) -> FloatArray:
    return np.abs(values).max(axis=1, initial=0.0, keepdims=True)
