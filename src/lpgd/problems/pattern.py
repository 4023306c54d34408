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

    def outer(self, left: FloatArray, right: FloatArray) -> FloatArray:
        """Sum over s of left_s right_s' on the pattern; (S, m) and (S, n) give (nnz,)."""
        total = np.zeros(len(self.rows))
        for a, b in zip(left, right, strict=True):
            total += a[self.rows] * b[self.cols]
        return total
