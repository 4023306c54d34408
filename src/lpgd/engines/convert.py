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
    """Compressed rows of a batch of matrices with one pattern.

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
        if pattern is None:
            rows, cols = np.divmod(np.arange(shape[0] * shape[1]), max(shape[1], 1))
        else:
            rows, cols = pattern.rows, pattern.cols
        order = np.lexsort((cols, rows))
        return cls(order, np.searchsorted(rows[order], np.arange(shape[0] + 1)), cols[order])

    def values(self, param: Param) -> FloatArray:
        """Entries of every distinct value in compressed order, shape (D, nnz)."""
        return param.values.reshape(len(param.values), len(self.order))[:, self.order]

    def matrix(self, values: FloatArray, shape: tuple[int, int]) -> sparse.csr_array:
        """One matrix from its compressed values (nnz,); stored zeros are kept."""
        return sparse.csr_array((values, self.places, self.starts), shape=shape)
