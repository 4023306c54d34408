"""Points that rounding moved beyond a bound end on it.

A bound is a row of inequality with a single entry, be it given as ``lb``, ``ub`` or as a row of a
matrix. What follows in a user's model, log(w) of w >= 0 say, relies on them.
"""

from dataclasses import replace

import numpy as np

from lpgd.core.params import taken
from lpgd.core.pattern import Pattern
from lpgd.core.solution import FloatArray, IntArray, Solution
from lpgd.families.quadratic.products import Values, unit

NEAR = 1e-7  # violation, relative to the largest of x, the bound, and ``unit``, that is rounding


def inside(
    values: Values, point: Solution, sides: FloatArray, slacks: FloatArray, near: float = NEAR
) -> Solution:
    """The points, with entries that are beyond a bound by rounding on it.

    ``near`` is the violation that is rounding; of an infinite one all entries end within.
    """
    first = values.of.cones.zero
    elements, rows = np.nonzero(slacks[:, first : first + values.of.cones.nonneg] < 0)
    rows = rows + first
    x = point.x
    for name, block in values.of.blocks.items() if len(rows) else ():
        chosen = np.flatnonzero((rows >= block.start) & (rows < block.stop))
        if not len(chosen):
            continue
        at, row = elements[chosen], rows[chosen]
        alone, cols, entries = _single(values, name, at, row - block.start)
        if not len(alone):
            continue
        at, row = at[alone], row[alone]
        bound = sides[at, row] / entries + 0.0  # no -0.0
        reach = np.maximum(np.abs(point.x[at]).max(axis=1), np.abs(bound))
        gaps = np.abs(x[at, cols] - bound)
        small = gaps <= near * reach
        if not small.all():
            small = gaps <= near * np.maximum(reach, _unit(values, sides, at))
        x = x.copy() if x is point.x else x
        bound = _within(bound, entries, sides[at, row])
        for end, side in ((np.minimum, entries > 0), (np.maximum, entries < 0)):
            mine = np.flatnonzero(small & side)  # of several bounds the tightest
            end.at(x, (at[mine], cols[mine]), bound[mine])
    if x is not point.x:
        x = _kept(values, point.x, x, sides)
    return point if x is point.x or (x == point.x).all() else replace(point, x=x)


def _kept(values: Values, before: FloatArray, x: FloatArray, sides: FloatArray) -> FloatArray:
    """The points, within bounds that they were within: by rounding, rows may contradict these."""
    for name, sign in (("lb", -1.0), ("ub", 1.0)):
        if name in values.of.blocks:
            bound = sides[:, values.of.blocks[name]]
            out = (sign * x > bound) & (sign * before <= bound)
            x = np.where(out, sign * bound, x)
    return x


def _unit(values: Values, sides: FloatArray, elements: IntArray) -> FloatArray:
    """The size of x that the data of some elements suggest, where x itself says nothing."""
    once, back = np.unique(elements, return_inverse=True)  # an element may break many bounds
    sizes = Values(values.of, taken(values.params, once)).absolute()
    return unit(sizes.distances(sides[once]), sizes.bend())[back]


def _within(bound: FloatArray, entries: FloatArray, sides: FloatArray) -> FloatArray:
    """Bounds, a step further inside where rounding says that they are outside."""
    further = np.nextafter(bound, -np.sign(entries) * np.inf)
    return np.where(entries * bound > sides, further, bound)


def _single(
    values: Values, name: str, elements: IntArray, rows: IntArray
) -> tuple[IntArray, IntArray, FloatArray]:
    """Which of some rows of a block have a single entry; its columns and values."""
    if name not in ("A", "G"):
        return np.arange(len(rows)), rows, np.full(len(rows), -1.0 if name == "lb" else 1.0)
    matrix = values[name]
    if name in values.of.patterns:
        return _stored(values.of.patterns[name], matrix, elements, rows)
    # a look at two columns sorts most rows out
    ends = (matrix[elements, rows, 0] == 0) | (matrix[elements, rows, -1] == 0)
    few = np.flatnonzero(ends | (values.of.n == 1))
    entries = matrix[elements[few], rows[few]]
    alone = np.flatnonzero(np.count_nonzero(entries, axis=1) == 1)
    cols = np.abs(entries[alone]).argmax(axis=1)
    return few[alone], cols, entries[alone, cols]


def _stored(
    pattern: Pattern, matrix: FloatArray, elements: IntArray, rows: IntArray
) -> tuple[IntArray, IntArray, FloatArray]:
    """The same on a pattern, which may hold entries that are zero."""
    order = np.argsort(pattern.rows, kind="stable")
    first, behind = (np.searchsorted(pattern.rows[order], rows, side) for side in ("left", "right"))
    width = behind - first
    owner = np.repeat(np.arange(len(rows)), width)
    place = order[np.arange(len(owner)) + np.repeat(behind - np.cumsum(width), width)]
    entries = matrix[elements[owner], place]
    there = np.flatnonzero(entries)
    there = there[np.bincount(owner[there], minlength=len(rows))[owner[there]] == 1]
    return owner[there], pattern.cols[place[there]], entries[there]
