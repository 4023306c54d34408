"""Points that rounding moved beyond a bound end on it.

A bound is a row of inequality with a single entry, be it given as ``lb``, ``ub`` or as a row of a
matrix. What follows in a user's model, log(w) of w >= 0 say, relies on them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lpgd.core.params import Param, Params
from lpgd.core.pattern import Pattern
from lpgd.core.solution import FloatArray, IntArray, Solution
from lpgd.families.quadratic.rows import Rows

NEAR = 1e-7  # violation, relative to the largest of x and to the bound, that is rounding


def inside(of: Rows, params: Params, point: Solution, slacks: FloatArray) -> Solution:
    """The points, with entries that are beyond a bound by rounding on it."""
    ours = slice(of.cones.zero, of.cones.zero + of.cones.nonneg)
    elements, rows = np.nonzero(slacks[:, ours] < 0)
    if not len(rows):
        return point
    rows = rows + of.cones.zero
    x, sides = point.x.copy(), of.sides(params)
    reach = np.abs(point.x).max(axis=1, initial=0.0)
    for name, block in of.blocks.items():
        chosen = np.flatnonzero((rows >= block.start) & (rows < block.stop))
        at, row = elements[chosen], rows[chosen]
        cols, entries = _single(of, params, name, at, row - block.start)
        alone = np.flatnonzero(entries != 0)
        if not len(alone):
            continue
        at, row, cols, entries = at[alone], row[alone], cols[alone], entries[alone]
        bound = sides[at, row] / entries + 0.0  # no -0.0
        near = np.abs(x[at, cols] - bound) <= NEAR * np.maximum(reach[at], np.abs(bound))
        x[at[near], cols[near]] = _within(bound[near], entries[near], sides[at, row][near])
    return replace(point, x=x) if (x != point.x).any() else point


def _within(bound: FloatArray, entries: FloatArray, sides: FloatArray) -> FloatArray:
    """Bounds, a step further inside where rounding says that they are outside."""
    further = np.nextafter(bound, -np.sign(entries) * np.inf)
    return np.where(entries * bound > sides, further, bound)


def _single(
    of: Rows, params: Params, name: str, elements: IntArray, rows: IntArray
) -> tuple[IntArray, FloatArray]:
    """Column and value of the only entry of some rows of a block; 0 where it is not alone."""
    if name not in ("A", "G"):
        return rows, np.full(len(rows), -1.0 if name == "lb" else 1.0)
    param = params[name]
    if name in of.patterns:
        return _stored(of.patterns[name], param, elements, rows)
    values = param.values[param.index[elements], rows]
    cols, entries = np.zeros_like(rows), np.zeros(len(rows))
    alone = np.flatnonzero(np.count_nonzero(values, axis=1) == 1)
    if len(alone):
        cols[alone] = np.abs(values[alone]).argmax(axis=1)
        entries[alone] = values[alone, cols[alone]]
    return cols, entries


def _stored(
    pattern: Pattern, param: Param, elements: IntArray, rows: IntArray
) -> tuple[IntArray, FloatArray]:
    order = np.argsort(pattern.rows, kind="stable")
    first, behind = (np.searchsorted(pattern.rows[order], rows, side) for side in ("left", "right"))
    alone = behind - first == 1
    entry = order[np.where(alone, first, 0)]
    return pattern.cols[entry], np.where(alone, param.values[param.index[elements], entry], 0.0)
