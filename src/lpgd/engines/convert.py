"""Changes of form that the adapters of several solvers share."""

from copy import copy
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
        rows, cols = _places(pattern, shape)
        order = np.lexsort((cols, rows))
        return cls(order, np.searchsorted(rows[order], np.arange(shape[0] + 1)), cols[order])

    def values(self, param: Param) -> FloatArray:
        """Entries of every distinct value in compressed order, shape (D, nnz)."""
        return param.values.reshape(len(param.values), len(self.order))[:, self.order]

    def matrix(self, values: FloatArray, shape: tuple[int, int]) -> sparse.csr_array:
        """One matrix from its compressed values (nnz,); stored zeros are kept."""
        return sparse.csr_array((values, self.places, self.starts), shape=shape)


@final
class Columns:
    """Matrices with one pattern as scipy has them, by columns.

    Parameters
    ----------
    pattern : Pattern or None
        None for dense matrices.
    shape : (int, int)
    upper : bool
        Whether the upper triangle is all that is wanted.
    """

    def __init__(
        self, pattern: Pattern | None, shape: tuple[int, int], *, upper: bool = False
    ) -> None:
        rows, cols = _places(pattern, shape)
        order = np.lexsort((rows, cols))
        self.order = order[rows[order] <= cols[order]] if upper else order
        starts = np.searchsorted(cols[self.order], np.arange(shape[1] + 1)).astype(np.int32)
        form = np.zeros(len(self.order)), rows[self.order].astype(np.int32), starts
        self._empty = sparse.csc_matrix(form, shape=shape)

    def matrix(self, values: FloatArray) -> sparse.csc_matrix:
        """The matrix with the values of an argument; stored zeros are kept."""
        made = copy(self._empty)  # its constructor takes longer than small programs to solve
        made.data = values.reshape(-1)[self.order]
        return made


def _places(pattern: Pattern | None, shape: tuple[int, int]) -> tuple[IntArray, IntArray]:
    """Rows and columns of the entries of a pattern, or of a dense matrix of this shape."""
    if pattern is not None:
        return pattern.rows, pattern.cols
    rows, cols = np.divmod(np.arange(shape[0] * shape[1]), max(shape[1], 1))
    return rows, cols
