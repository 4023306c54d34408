"""The stored entries of scipy's matrices in compressed rows, as arrays."""

from typing import Any, cast

import numpy as np
from scipy import sparse

from lpgd.core.solution import FloatArray, IntArray


def rows_of(matrix: Any) -> IntArray:
    """The row of every entry."""
    counts = np.diff(cast(IntArray, matrix.indptr))
    return np.repeat(np.arange(len(counts)), counts)


def placed(matrix: Any, row: IntArray, column: IntArray) -> tuple[FloatArray, IntArray, IntArray]:
    """Values, new rows and columns of the entries whose rows and columns have one (not -1)."""
    rows, columns = row[rows_of(matrix)], column[matrix.indices]
    there = np.flatnonzero((rows >= 0) & (columns >= 0))
    return matrix.data[there], rows[there], columns[there]


def restricted(matrix: Any, rows: IntArray | None, columns: IntArray | None) -> Any:
    """Some rows and columns in ascending order, or all: scipy's own indexing takes its time."""
    row, column = (_numbered(*side) for side in zip(matrix.shape, (rows, columns), strict=True))
    values, i, j = placed(matrix, row, column)
    shape = int(row.max(initial=-1)) + 1, int(column.max(initial=-1)) + 1
    return sparse.csr_matrix((values, j, np.searchsorted(i, np.arange(shape[0] + 1))), shape=shape)


def _numbered(size: int, chosen: IntArray | None) -> IntArray:
    """The place of each among the chosen, -1 of the others."""
    if chosen is None:
        return np.arange(size)
    places = np.full(size, -1)
    places[chosen] = np.arange(len(chosen))
    return places
