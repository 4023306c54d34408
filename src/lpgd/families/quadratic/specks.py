"""Entries of matrices that are nothing beside others of their row and of their column.

Numbers next to the least that float64 holds have lost their digits, and products with them round
as the processor likes. Beside entries of another size they say nothing: they count as zero. A row
or column of nothing else is in another unit, and stays.
"""

import numpy as np

from lpgd.core.params import Param
from lpgd.core.pattern import Pattern, Totals
from lpgd.core.scaling import LOST
from lpgd.core.solution import BoolArray

LARGE = 1e-150  # of entries beside which those below LOST are nothing


def without(given: Param, pattern: Pattern | None) -> Param:
    """Matrices, dense or by their stored values, without such entries."""
    sizes = np.abs(given.values)
    if sizes.min(initial=np.inf) >= LOST:  # zeros are rare where matrices are dense
        return given
    faint: BoolArray = (sizes > 0) & (sizes < LOST)
    if not faint.any():
        return given
    faint &= _beside(sizes > LARGE, pattern)
    return Param(np.where(faint, 0.0, given.values), given.index)


def _beside(large: BoolArray, pattern: Pattern | None) -> BoolArray:
    """Entries with a large one in their row and in their column."""
    if pattern is None:
        rows, cols = (np.logical_or.reduce(large, axis=axis, keepdims=True) for axis in (2, 1))
        return rows & cols
    sides = (pattern.rows, pattern.shape[0]), (pattern.cols, pattern.shape[1])
    there = [Totals(places, size)(large.astype(np.float64)) for places, size in sides]
    return (there[0][:, pattern.rows] > 0) & (there[1][:, pattern.cols] > 0)
