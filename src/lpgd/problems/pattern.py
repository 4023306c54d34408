"""The places of a sparse matrix whose values are data."""

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy import sparse

from lpgd.solution import FloatArray, IntArray


@final
@dataclass(frozen=True, eq=False)
class Pattern:
    """Stored entries of a matrix, in the order of its value array.

    Attributes
    ----------
    rows, cols : (nnz,) int
    shape : (int, int)
    """

    rows: IntArray
    cols: IntArray
    shape: tuple[int, int]

    def matrix(self, values: FloatArray) -> "sparse.csr_matrix":
        """The matrix with these values (nnz,), stored zeros kept."""
        return sparse.csr_matrix((values, (self.rows, self.cols)), shape=self.shape)

    @classmethod
    def empty(cls, n: int) -> "Pattern":
        """An (n, n) matrix without stored entries."""
        none = np.zeros(0, dtype=np.intp)
        return cls(none, none, (n, n))

    @property
    def symmetric(self) -> bool:
        """Whether the mirror image of every place is a place as well."""
        width = max(self.shape)
        return bool(
            self.shape[0] == self.shape[1]
            and np.array_equal(
                np.sort(self.rows * width + self.cols), np.sort(self.cols * width + self.rows)
            )
        )

    def dense(self, values: FloatArray) -> FloatArray:
        """The matrices with these values, (D, nnz) to (D, rows, cols)."""
        full = np.zeros((len(values), *self.shape))
        full[:, self.rows, self.cols] = values
        return full

    def product(self, values: FloatArray, x: FloatArray) -> FloatArray:
        """Every matrix times its vector, (N, nnz) and (N, cols) to (N, rows)."""
        return _scatter(values * x[:, self.cols], self.rows, self.shape[0])

    def transposed_product(self, values: FloatArray, y: FloatArray) -> FloatArray:
        """Every transposed matrix times its vector, (N, nnz) and (N, rows) to (N, cols)."""
        return _scatter(values * y[:, self.rows], self.cols, self.shape[1])

    def outer(self, left: FloatArray, right: FloatArray) -> FloatArray:
        """Sum over s of left_s right_s' on the pattern; (S, m) and (S, n) give (nnz,)."""
        total = np.zeros(len(self.rows))
        for a, b in zip(left, right, strict=True):
            total += a[self.rows] * b[self.cols]
        return total


def _scatter(values: FloatArray, places: IntArray, size: int) -> FloatArray:
    """Sum the columns of (N, nnz) values that share a place, shape (N, size)."""
    selection = sparse.csr_matrix(
        (np.ones(len(places)), (np.arange(len(places)), places)), shape=(len(places), size)
    )
    return np.asarray(values @ selection)
