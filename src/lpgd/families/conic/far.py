"""Constraints that are much further away than anything else, moved nearer.

x <= 1e20 stands for no bound at all, but beside its slack all other slacks and multipliers are
rounding: solvers and linear systems work with what is left of the digits. A solution with such a
constraint moved nearer, and still slack, is one of the program.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lpgd.core.params import Params, batched, taken
from lpgd.core.scaling import least, top
from lpgd.core.solution import BoolArray, FloatArray, IntArray
from lpgd.families.quadratic.products import Values
from lpgd.families.quadratic.structure import QUIET, Structure

GAP = 1e5  # times as far as the furthest before it: what lies beyond is far away
NEAR = 1e3  # times as far as all the others, to where it is moved
FURTHER = 1e6  # times as far, where it was met: variables have units of their own
SLACK = 1e-3  # share of its right-hand side that it must keep


@dataclass(frozen=True)
class Parts:
    """Rows of one unit: each of the zero and nonnegative ones, and each other cone.

    Attributes
    ----------
    first : (k,) int
        Their first rows.
    part : (m,) int
        The part of each row.
    loose : (k,) bool
        Those which a larger first side makes larger.
    """

    first: IntArray
    part: IntArray
    loose: BoolArray

    @classmethod
    def of(cls, conic: Structure) -> Parts:
        """Of a program, computed once."""
        if cls not in conic.derived:
            cones = conic.cones
            wide = [(kind, a) for kind, a, _ in cones.blocks()[2:]]
            single = np.arange(cones.zero + cones.nonneg)
            first = np.concatenate([single, np.array([a for _, a in wide], dtype=np.intp)])
            loose = [single >= cones.zero, np.array([kind == "soc" for kind, _ in wide], np.bool_)]
            part = np.repeat(np.arange(len(first)), np.diff(first, append=conic.m))
            conic.derived[cls] = cls(first, part, np.concatenate(loose))
        return conic.derived[cls]

    def tops(self, values: FloatArray) -> FloatArray:
        """The largest of each part, (N, m) to (N, k)."""
        return np.maximum.reduceat(values, self.first, axis=1)


@QUIET
def nearer(
    conic: Structure, params: Params, steps: IntArray | None = None
) -> tuple[Params, BoolArray]:
    """The programs with far constraints moved, and which rows (N, m) are theirs.

    The data are those that were given where none is far. Each of the ``steps`` (N,) moves them
    less.
    """
    parts, sides = Parts.of(conic), params["b"].full()
    none = np.zeros(sides.shape, dtype=np.bool_)
    heads = sides[:, parts.first[parts.loose]]
    sizes = np.abs(sides)
    nearest = least(np.where(sizes > 0, sizes, np.inf))
    suspicious = top(np.maximum(heads, 0.0)) > np.minimum(GAP, NEAR) * nearest
    suspicious |= np.add.reduce(sizes > 0, axis=1) == 1  # beside which nothing is of any size
    some = np.flatnonzero(suspicious)
    if not len(some) or not heads.size:
        return params, none
    values = Values(conic, taken(params, some)).absolute()
    lengths = parts.tops(values.product(np.ones((1, conic.n))))  # within a factor n
    away = parts.tops(sizes[some]) / lengths
    away = np.where((away > 0) & (away < np.inf), away, np.nan)
    movable = parts.loose & (sides[some][:, parts.first] > 0)
    size = _size(away, movable, values.bend())[:, None]
    if steps is not None:
        size = size * FURTHER ** steps[some, None].astype(np.float64)
    far = movable & (away > GAP * size)
    if not far.any():
        return params, none
    moved = np.array(sides)
    at = np.ix_(some, parts.first)
    moved[at] = np.where(far, NEAR * size * lengths, sides[at])
    none[some] = far[:, parts.part]
    return {**params, "b": batched(moved)}, none


def around(conic: Structure, params: Params, x: FloatArray) -> Params:
    """The programs with far constraints moved to where they are slack at points x (N, n), too."""
    steps = np.zeros(len(x), dtype=np.intp)
    while True:
        inside, far = nearer(conic, params, steps)
        met = ~slack(conic, inside, x, far)
        if not met.any():
            return inside
        steps[met] += 1


def _size(away: FloatArray, movable: BoolArray, bend: FloatArray) -> FloatArray:
    """The furthest of distances before a gap, (N,); at least that of all that stay; else NaN."""
    firm = np.fmax.reduce(np.where(movable, np.nan, away), axis=1, initial=np.nan)
    firm = np.fmax(firm, np.where(bend > 0, bend, np.nan))
    every = np.sort(np.concatenate([away, firm[:, None]], axis=1), axis=1)  # NaN comes last
    gap = every[:, 1:] > GAP * every[:, :-1]
    last = np.where(gap.any(axis=1), gap.argmax(axis=1), 0)[:, None]
    found = np.where(gap.any(axis=1), np.take_along_axis(every, last, axis=1)[:, 0], np.inf)
    return np.fmax(found, firm)


@QUIET
def slack(conic: Structure, params: Params, x: FloatArray, far: BoolArray) -> BoolArray:
    """Elements whose moved constraints are slack at x by far, (N,)."""
    parts, sides = Parts.of(conic), params["b"].full()
    room = sides - conic.product(params, x)
    tail = np.where(np.isin(np.arange(conic.m), parts.first), 0.0, np.abs(room))
    gap = room[:, parts.first] - np.add.reduceat(tail, parts.first, axis=1)
    enough = gap >= SLACK * sides[:, parts.first]
    return np.logical_and.reduce(~far[:, parts.first] | enough, axis=1)
