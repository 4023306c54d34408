"""The places of a sparse matrix whose values are data."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast, final

import numpy as np
from scipy import sparse

from lpgd.core.errors import StructureError
from lpgd.core.solution import FloatArray, IntArray

BLOCK = 2**18  # numbers that an intermediate array may hold: it stays in the cache


def totals(places: IntArray, values: FloatArray, size: int) -> FloatArray:
    """Sums (size,) of the values (nnz,) that share a place."""
    return np.bincount(places, values, size).astype(np.float64, copy=False)  # of none, integers


@final
@dataclass(frozen=True, eq=False)
class Totals:
    """Sums over the entries that share a place, in their order, of one row as of many; their tops.

    Attributes
    ----------
    places : (nnz,) int
        Of each entry.
    size : int
    """

    places: IntArray
    size: int

    def __call__(self, values: FloatArray) -> FloatArray:
        """The sums (N, size) of values (N, nnz)."""
        if len(values) == 1:
            return totals(self.places, values[0], self.size)[None]
        # scipy answers column by column; sums over a row would then depend on the number of rows
        return np.ascontiguousarray((self._matrix @ values.T).T)

    def largest(self, values: FloatArray, least: float = 0.0) -> FloatArray:
        """The tops (N, size) of values (N, nnz), ``least`` where there are none or smaller ones."""
        found = np.full((len(values), self.size), least)
        order, starts, taken = self._runs
        if len(taken):
            tops = np.maximum.reduceat(values[:, order], starts, axis=1)
            found[:, taken] = np.maximum(tops, least)
        return found

    @cached_property
    def _runs(self) -> tuple[IntArray, IntArray, IntArray]:
        """The entries in the order of their places, where each of these starts, and which are."""
        order = np.argsort(self.places, kind="stable")
        ordered = self.places[order]
        starts = np.flatnonzero(np.diff(ordered, prepend=-1))
        return order, starts, ordered[starts]

    @cached_property
    def _matrix(self) -> Any:
        ones, every = np.ones(len(self.places)), np.arange(len(self.places))
        return sparse.csr_array((ones, (self.places, every)), shape=(self.size, len(every)))


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
        """The matrix with these values (nnz,), stored zeros kept and duplicates added up."""
        if self._compressed is None:
            return sparse.csr_matrix((values, (self.rows, self.cols)), shape=self.shape)
        order, columns, starts = self._compressed
        return sparse.csr_matrix((values[order], columns, starts), shape=self.shape)

    @property
    def ones(self) -> Any:
        """The matrix with ones for values."""
        return self.matrix(np.ones(len(self.rows)))

    @classmethod
    def of(cls, matrix: Any) -> "Pattern":
        """Of what a sparse matrix stores, zeros excepted."""
        rows, cols = matrix.nonzero()
        return cls(rows.astype(np.intp), cols.astype(np.intp), matrix.shape)

    @classmethod
    def stored(cls, matrix: Any) -> "Pattern":
        """Of all that a scipy CSR or CSC matrix stores, zeros included.

        Raises
        ------
        StructureError
            It is none, or holds duplicates.
        """
        if not (cast(bool, sparse.issparse(matrix)) and matrix.format in ("csr", "csc")):
            raise StructureError(
                f"pattern must be a scipy CSR or CSC matrix, got {type(matrix).__name__}"
            )
        places = matrix.tocoo()
        rows, cols = places.row.astype(np.intp), places.col.astype(np.intp)
        if len(np.unique(rows * matrix.shape[1] + cols)) != len(rows):
            raise StructureError("pattern holds duplicate entries; call sum_duplicates() first")
        return cls(rows, cols, (int(matrix.shape[0]), int(matrix.shape[1])))

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

    @cached_property
    def mirror(self) -> IntArray:
        """Where the mirror image of each place is among the places (symmetric ones)."""
        mirror = np.empty(len(self.rows), dtype=np.intp)
        mirror[np.lexsort((self.cols, self.rows))] = np.lexsort((self.rows, self.cols))
        return mirror

    def select(self, chosen: IntArray) -> "Pattern":
        """Some of the places."""
        return Pattern(self.rows[chosen], self.cols[chosen], self.shape)

    def dense(self, values: FloatArray) -> FloatArray:
        """The matrices with these values, (D, nnz) to (D, rows, cols); may be a view of them."""
        if self._flat is None:
            return values.reshape(len(values), *self.shape)
        full = np.zeros((len(values), *self.shape))
        full[:, self.rows, self.cols] = values
        return full

    def product(self, values: FloatArray, x: FloatArray) -> FloatArray:
        """Every matrix times its vector, (N, nnz) and (N, cols) to (N, rows)."""
        return self._sums[0](values * x[:, self.cols])

    def transposed_product(self, values: FloatArray, y: FloatArray) -> FloatArray:
        """Every transposed matrix times its vector, (N, nnz) and (N, rows) to (N, cols)."""
        return self._sums[1](values * y[:, self.rows])

    def tops_of_rows(self, sizes: FloatArray) -> FloatArray:
        """The largest of each row, (N, nnz) to (N, rows); zero where none is stored."""
        return self._sums[0].largest(sizes)

    def tops_of_cols(self, sizes: FloatArray) -> FloatArray:
        """The largest of each column, (N, nnz) to (N, cols); zero where none is stored."""
        return self._sums[1].largest(sizes)

    def outer(self, left: FloatArray, right: FloatArray) -> FloatArray:
        """Sum over s of left_s right_s' on the pattern; (R, S, m) and (R, S, n) give (R, nnz)."""
        count = len(left)
        step = max(1, BLOCK // max(1, (1 if self.full else left.shape[1]) * len(self.rows)))
        if step >= count:
            return self._outer(left, right)
        parts = [slice(first, first + step) for first in range(0, count, step)]
        return np.concatenate([self._outer(left[part], right[part]) for part in parts])

    def _outer(self, left: FloatArray, right: FloatArray) -> FloatArray:
        if self.full:  # a product of matrices costs less than to gather their factors
            whole = (left.swapaxes(1, 2) @ right).reshape(len(left), self.shape[0] * self.shape[1])
            return whole if self._flat is None else np.take(whole, self._flat, axis=1)
        total = np.zeros((len(left), len(self.rows)))
        step = max(1, BLOCK // max(1, len(self.rows)))
        for first in range(0, left.shape[1], step):
            part = slice(first, first + step)
            a, b = left[:, part].take(self.rows, axis=2), right[:, part].take(self.cols, axis=2)
            total += np.einsum("rsk,rsk->rk", a, b)
        return total

    @cached_property
    def compact(self) -> "Pattern":
        """The same entries of the matrix without its empty rows and columns (symmetric ones)."""
        used, places = np.unique(np.concatenate([self.rows, self.cols]), return_inverse=True)
        rows, cols = np.split(places, 2)
        return Pattern(rows, cols, (len(used), len(used)))

    @cached_property
    def full(self) -> bool:
        """Whether at least a quarter of the matrix is stored."""
        return 4 * len(self.rows) >= self.shape[0] * self.shape[1]

    @cached_property
    def _flat(self) -> IntArray | None:
        """Place of each entry in the whole matrix, row by row; None where it is just that."""
        flat = self._places
        whole = len(flat) == self.shape[0] * self.shape[1]
        return None if whole and np.array_equal(flat, np.arange(len(flat))) else flat

    @cached_property
    def _places(self) -> IntArray:
        """Where each entry is in the whole matrix, row by row."""
        return self.rows * self.shape[1] + self.cols

    @cached_property
    def _compressed(self) -> tuple[IntArray, Any, Any] | None:
        """Order of the entries in compressed rows, their columns, starts; None of duplicates."""
        every = np.arange(len(self.rows))
        if (np.diff(self._places) > 0).all():  # they are in order
            starts = np.searchsorted(self.rows, np.arange(self.shape[0] + 1))
            places = sparse.csr_matrix((every, self.cols, starts), shape=self.shape)
        else:
            places = sparse.csr_matrix((every, (self.rows, self.cols)), shape=self.shape)
        order = places.data
        if len(order) < len(every):
            return None
        shared = places.indices, places.indptr
        for part in shared:
            part.flags.writeable = False
        return order, *shared

    @cached_property
    def _sums(self) -> tuple[Totals, Totals]:
        """Sums over the entries of each row, and of each column."""
        return Totals(self.rows, self.shape[0]), Totals(self.cols, self.shape[1])
