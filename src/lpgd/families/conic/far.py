"""Constraints that are much further away than anything else, moved nearer.

x <= 1e20 stands for no bound at all, but beside its slack all other slacks and multipliers are
rounding: solvers and linear systems work with what is left of the digits. If b is in a cone K, and
c <= 1, then c b - Ax in K implies b - Ax in K: a solution that leaves the constraint with c b slack
is one of the program.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lpgd.core.params import Params, batched
from lpgd.core.scaling import GAP, before_gap
from lpgd.core.solution import BoolArray, FloatArray, IntArray
from lpgd.families.conic.projections import margins
from lpgd.families.quadratic.products import Values
from lpgd.families.quadratic.structure import QUIET, Structure

NEAR = 1e3  # times as far as all the others, to where it is moved
FURTHER = 1e6  # times as far, where it was met: variables have units of their own
ALL = 100  # steps after which nothing is moved any more
SLACK = 1e-3  # share of its margin that it must keep


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
        Those of kinds that are moved: half-lines, second-order and PSD cones.
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
            round_ = np.array([kind in ("soc", "psd") for kind, _ in wide], dtype=np.bool_)
            loose = [single >= cones.zero, round_]
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
    if not parts.loose.any():
        return params, none
    values = Values(conic, params).absolute()
    lengths = parts.tops(values.product(np.ones((1, conic.n))))  # within a factor n
    away = parts.tops(np.abs(sides)) / lengths
    away = np.where((away > 0) & (away < np.inf), away, np.nan)
    movable = parts.loose & (sides[:, parts.first] > 0)
    bend = values.bend()[:, None]  # a distance of its own, and nothing can move it
    every = np.concatenate([away, np.where(bend > 0, bend, np.nan)], axis=1)
    can = np.concatenate([movable, bend < 0], axis=1)
    size = before_gap(every, can)[:, None]
    if steps is not None:
        size = size * FURTHER ** steps[:, None].astype(np.float64)
    some = np.flatnonzero((movable & (away > GAP * size)).any(axis=1))
    if not len(some):
        return params, none
    reach = (size * lengths)[some]
    depth = margins(conic.cones, sides[some])
    far = movable[some] & (depth > GAP * reach)
    moved = np.array(sides)
    moved[some] *= np.where(far, NEAR * reach / depth, 1.0)[:, parts.part]
    none[some] = far[:, parts.part]
    return ({**params, "b": batched(moved)} if far.any() else params), none


def around(conic: Structure, params: Params, x: FloatArray) -> Params:
    """The programs with far constraints moved to where they are slack at points x (N, n), too."""
    steps = np.zeros(len(x), dtype=np.intp)
    inside, far = nearer(conic, params)
    while inside is not params:
        met = ~slack(conic, inside, x, far)
        if not met.any():
            break
        steps[met] += np.where(np.isfinite(x[met]).all(axis=1), 1, ALL)
        inside, far = nearer(conic, params, steps)
    return inside


@QUIET
def slack(conic: Structure, params: Params, x: FloatArray, far: BoolArray) -> BoolArray:
    """Elements whose moved constraints are slack at x by far, (N,)."""
    parts, sides = Parts.of(conic), params["b"].full()
    room = margins(conic.cones, sides - conic.product(params, x))
    enough = room >= SLACK * margins(conic.cones, sides)
    return np.logical_and.reduce(~far[:, parts.first] | enough, axis=1)
