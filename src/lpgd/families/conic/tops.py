"""Variables that occur in one curved cone alone, as t in (t, x) of t >= f(x): Newton's method on
programs with many of them needs them in no matrix.

Where the boundary of the cone is smooth, one turned row holds, c t + e'x = r. It gives t, and the
equation of t in turn its multiplier u, with h the curvature along t and g that along t and x:

    t = (r_e - e'x) / c,    u = (r_t - h t - g'x) / c.

What is left is a system in x, with back = -e / c and H + back'g + g'back + h back'back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, final

import numpy as np

from lpgd.core.solution import BoolArray, FloatArray, IntArray, Rows
from lpgd.families.conic.cones import Cones
from lpgd.families.quadratic.structure import Structure

FEWEST = 8  # such variables that pay
SOUND = 1e-3  # of the largest entry of a row that holds: a pivot
SINGLE = ("soc", "exp", "power")


class Layout(NamedTuple):
    """Cones of a dense program, and its ``tops`` (k, 2): variables, and first rows of their cones.

    The first row of a smooth cone, turned, is the one that holds.
    """

    cones: Cones
    tops: IntArray = np.zeros((0, 2), dtype=np.intp)


def tops(conic: Structure, cones: Cones, kept: IntArray, rest: IntArray) -> IntArray:
    """Of a program of these variables and rows; one a cone, none where they are few."""
    none = Layout(cones).tops
    if "A" not in conic.patterns or (conic.quadratic and "P" not in conic.patterns):
        return none
    firsts = np.full(conic.m, -1)
    for kind, start, stop in cones.blocks():
        if kind in SINGLE:
            firsts[rest[start:stop]] = start
    A = conic.patterns["A"]
    least, most = np.full(conic.n, conic.m), np.full(conic.n, -1)
    np.minimum.at(least, A.cols, firsts[A.rows])
    np.maximum.at(most, A.cols, firsts[A.rows])
    alone = (least == most) & (most >= 0)
    if conic.quadratic:
        alone[conic.patterns["P"].rows] = False
    places = np.flatnonzero(alone[kept])
    cone, first = np.unique(most[kept[places]], return_index=True)
    return np.stack([places[first], cone], axis=1) if len(cone) >= FEWEST else none


@final
@dataclass(frozen=True)
class Tops(Rows):
    """What N programs need to leave k such variables out; zeros where one stays.

    Attributes
    ----------
    out : (N, k) bool
    pivot : (N, k) float64
        c; 1 for those that stay.
    bend : (N, k) float64
        h.
    back, cross : (N, k, n) float64
        -e / c, and g.
    """

    out: BoolArray
    pivot: FloatArray
    bend: FloatArray
    back: FloatArray
    cross: FloatArray

    @classmethod
    def of(cls, tops: IntArray, held: BoolArray, turned: FloatArray, hessian: FloatArray) -> Tops:
        """Of programs with these rows that hold, turned rows and curvature."""
        at, rows, every = tops[:, 0], tops[:, 1], np.arange(len(tops))
        equations = turned.take(rows, axis=1)
        pivot = equations[:, every, at]
        sizes = np.abs(equations).max(axis=2, initial=0.0)
        # rows that hold come first in a cone: of a smooth one no other does
        out = held[:, rows] & ~held[:, rows + 1] & (np.abs(pivot) > SOUND * sizes)
        pivot, cross = np.where(out, pivot, 1.0), hessian.take(at, axis=1)
        bend = np.where(out, cross[:, every, at], 0.0)
        equations[:, every, at] = cross[:, every, at] = 0.0
        back = np.where(out[..., None], -equations / pivot[..., None], 0.0)
        return cls(out, pivot, bend, back, np.where(out[..., None], cross, 0.0))

    def without(self, rows: IntArray) -> Tops:
        """The same, in some programs with none left out."""
        kept = self.put(rows, replace(self.take(rows), pivot=np.ones_like(self.pivot[rows])))
        for part in (kept.out, kept.bend, kept.back, kept.cross):
            part[rows] = 0
        return kept

    def left(self, hessian: FloatArray) -> FloatArray:
        """The curvature in what is left."""
        half = self.cross + (0.5 * self.bend)[..., None] * self.back
        more = np.ascontiguousarray(self.back.swapaxes(1, 2)) @ half
        return hessian + more + more.swapaxes(1, 2)

    def enter(
        self, tops: IntArray, slope: FloatArray, load: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The right-hand side (N, n) of what is left; t at x = 0, and r_t - h t (N, k)."""
        start = np.where(self.out, load[:, tops[:, 1]] / self.pivot, 0.0)
        rest = np.where(self.out, slope[:, tops[:, 0]] - self.bend * start, 0.0)
        moved = (rest[:, None] @ self.back)[:, 0] - (start[:, None] @ self.cross)[:, 0]
        return slope + moved, start, rest

    def leave(
        self, tops: IntArray, dx: FloatArray, u: FloatArray, begun: tuple[FloatArray, FloatArray]
    ) -> None:
        """Enter t into dx (N, n) and its multiplier into u (N, m)."""
        (start, rest), at, rows = begun, tops[:, 0], tops[:, 1]
        way = (self.back @ dx[..., None])[..., 0]
        pull = (self.cross @ dx[..., None])[..., 0]
        dx[:, at] = np.where(self.out, start + way, dx[:, at])
        u[:, rows] = np.where(self.out, (rest - self.bend * way - pull) / self.pivot, u[:, rows])
