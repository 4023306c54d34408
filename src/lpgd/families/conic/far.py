"""Constraints that are much further away than anything else, moved nearer.

x <= 1e20 stands for no bound at all, but beside its slack all other slacks and multipliers are
rounding: solvers and linear systems work with what is left of the digits. If b is in a cone K, and
c <= 1, then c b - Ax in K implies b - Ax in K: a solution that leaves the constraint with c b slack
is one of the program.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lpgd.core.params import Params, batched, taken
from lpgd.core.scaling import GAP, LOST, before_gap
from lpgd.core.solution import BoolArray, FloatArray, IntArray
from lpgd.families.conic.projections import margins
from lpgd.families.conic.units import Units
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
            loose = np.concatenate([single >= cones.zero, round_])
            part = np.repeat(np.arange(len(first)), np.diff(first, append=conic.m))
            conic.derived[cls] = cls(first, part, loose)
        return conic.derived[cls]

    def tops(self, values: FloatArray) -> FloatArray:
        """The largest of each part, (N, m) to (N, k)."""
        return np.maximum.reduceat(values, self.first, axis=1)

    def reach(self, values: Values, sides: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Distances of all parts, NaN for none, and what brings these to sides, (N, k)."""
        lengths = self.tops(values.product(np.ones((1, values.of.n))))  # within a factor n
        away = self.tops(np.abs(sides)) / lengths
        return np.where((away > 0) & (away < np.inf), away, np.nan), lengths


@QUIET
def nearer(
    conic: Structure, params: Params, steps: IntArray | None = None
) -> tuple[Params, BoolArray]:
    """The programs with far constraints moved, and which parts (N, k) these are.

    The data are those that were given where none is far. Each of the ``steps`` (N, k) moves a part
    less.
    """
    parts, sides = Parts.of(conic), params["b"].full()
    none = np.zeros((len(sides), len(parts.first)), dtype=np.bool_)
    if not parts.loose.any():
        return params, none
    values = Values(conic, params).absolute()
    away, lengths = parts.reach(values, sides)
    movable = parts.loose & (sides[:, parts.first] > 0)
    bend = values.bend()[:, None]  # a distance of its own, and nothing can move it
    every = np.concatenate([away, np.where(bend > 0, bend, np.nan)], axis=1)
    can = np.concatenate([movable, bend < 0], axis=1)
    most = GAP * before_gap(every, can)[:, None]
    if steps is not None:
        most = most * FURTHER ** steps.astype(np.float64)
    some = np.flatnonzero((movable & (away > most)).any(axis=1))
    if not len(some):
        return params, none
    none[some] = far = movable[some] & (margins(conic.cones, sides[some]) > (most * lengths)[some])
    if not far.any():
        return params, none
    moved, less = np.array(sides), (np.zeros(far.shape, int) if steps is None else steps[some])
    moved[some] = _closer(conic, taken(params, some), far, less)
    return {**params, "b": batched(moved)}, none


def _closer(conic: Structure, params: Params, far: BoolArray, steps: IntArray) -> FloatArray:
    """Sides (N, m) whose far parts are near, in units in which the others are fair.

    In those of the user, variables may be as far apart as the parts are. No factor may be as small
    as such sides are: parts are brought to depth 1 first.
    """
    parts, sides = Parts.of(conic), params["b"].full()
    every = far[:, parts.part]
    depth = margins(conic.cones, sides)
    level = np.where(every, sides / np.where(far, depth, 1.0)[:, parts.part], sides)
    units = Units.of(conic, {**params, "b": batched(np.where(every, 0.0, sides))})
    inside = units.matrices(conic, units.linear({**params, "b": batched(level)}))
    values, changed = Values(conic, inside).absolute(), inside["b"].full()
    away, lengths = parts.reach(values, changed)
    size = np.fmax(np.fmax.reduce(np.where(far, np.nan, away), axis=1), values.bend())[:, None]
    near = NEAR * np.where(size > 0, size, 1.0) * FURTHER ** steps.astype(np.float64)
    aim = near * lengths / margins(conic.cones, changed)  # depths in the units of the user
    closer = far & (aim < depth) & (aim > LOST)
    return np.where(closer[:, parts.part], level * np.where(closer, aim, 1.0)[:, parts.part], sides)


def around(conic: Structure, params: Params, x: FloatArray) -> Params:
    """The programs with far constraints moved to where they are slack at points x (N, n), too."""
    inside, far = nearer(conic, params)
    steps = np.zeros(far.shape, dtype=np.intp)
    lost: BoolArray = ~np.logical_and.reduce(np.isfinite(x), axis=1)
    while inside is not params:
        met = meets(conic, inside, x, far)
        if not met.any():
            break
        steps += np.where(lost[:, None], ALL * far, met)
        inside, far = further(conic, params, steps, far)
    return inside


def further(
    conic: Structure, params: Params, steps: IntArray, far: BoolArray
) -> tuple[Params, BoolArray]:
    """The same as ``nearer`` after more ``steps``, which count anew beside what is ``far`` no more.

    That is nearer than the others, and they are measured by it.
    """
    inside, now = nearer(conic, params, steps)
    joined = np.logical_or.reduce(far & ~now, axis=1)
    again = now & (steps > 0) & joined[:, None]
    if not again.any():
        return inside, now
    steps[again] = 0
    return nearer(conic, params, steps)


@QUIET
def meets(conic: Structure, params: Params, x: FloatArray, far: BoolArray) -> BoolArray:
    """Which far parts are not slack by far at x, (N, k)."""
    sides = params["b"].full()
    room = margins(conic.cones, sides - conic.product(params, x))
    return far & ~(room >= SLACK * margins(conic.cones, sides))
