"""Changes of form that the adapters of several solvers share."""

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy import sparse

from lpgd.core.params import Param
from lpgd.core.pattern import Pattern
from lpgd.core.solution import FloatArray, IntArray


@final
@dataclass(frozen=True)
class Compressed:
    """Compressed rows, or columns, of a batch of matrices with one pattern.

    Attributes
    ----------
    order : (nnz,) int
        Place of each entry in the values of the argument.
    starts : (rows + 1,) int
    places : (nnz,) int
        Column of each entry.
    """

    order: IntArray
    starts: IntArray
    places: IntArray

    @classmethod
    def of(cls, pattern: Pattern | None, shape: tuple[int, int]) -> "Compressed":
        """Rows of a pattern, or of a dense matrix of this shape."""
        rows, cols = _places(pattern, shape)
        order = np.lexsort((cols, rows))
        return cls(order, np.searchsorted(rows[order], np.arange(shape[0] + 1)), cols[order])

    @classmethod
    def columns(
        cls, pattern: Pattern | None, shape: tuple[int, int], *, upper: bool = False
    ) -> "Compressed":
        """Columns, of the upper triangle alone where that is asked for."""
        rows, cols = _places(pattern, shape)
        order = np.lexsort((rows, cols))
        order = order[rows[order] <= cols[order]] if upper else order
        return cls(order, np.searchsorted(cols[order], np.arange(shape[1] + 1)), rows[order])

    def values(self, param: Param) -> FloatArray:
        """Entries of every distinct value in compressed order, shape (D, nnz)."""
        return param.values.reshape(len(param.values), len(self.order))[:, self.order]

    def matrix(self, values: FloatArray, shape: tuple[int, int]) -> sparse.csr_array:
        """One matrix from its compressed values (nnz,); stored zeros are kept."""
        return sparse.csr_array((values, self.places, self.starts), shape=shape)


def _places(pattern: Pattern | None, shape: tuple[int, int]) -> tuple[IntArray, IntArray]:
    """Rows and columns of the entries of a pattern, or of a dense matrix of this shape."""
    if pattern is not None:
        return pattern.rows, pattern.cols
    rows, cols = np.divmod(np.arange(shape[0] * shape[1]), max(shape[1], 1))
    return rows, cols
