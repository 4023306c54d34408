"""The rows of A, then of G, as HiGHS takes them: one sparse matrix an element, row after row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpgd.core.params import Param, Params, distinct
from lpgd.core.pattern import BLOCK
from lpgd.core.scaling import fair
from lpgd.core.solution import FloatArray, IntArray
from lpgd.families.qp.qp import QP

Exponents = NDArray[np.int32]


def exponents(sizes: FloatArray) -> Exponents:
    """Powers of two that bring unfair sizes into [1/2, 1); 0 for fair ones."""
    return np.where(fair(sizes), 0, -np.frexp(sizes)[1])


@dataclass(frozen=True)
class Units:
    """Row i is multiplied by 2^rows[i], and x_j by 2^columns[j]; one row for each matrix.

    HiGHS drops entries below 1e-12, refuses large ones and has absolute tolerances, so badly scaled
    rows and columns are brought to a size of 1. Powers of two round nothing.
    """

    rows: Exponents  # (D, M)
    columns: Exponents  # (D, n)


@dataclass(frozen=True)
class Matrix:
    """Matrices of a batch with one layout; a dense matrix has all its entries."""

    parts: list[Param]
    order: IntArray  # of the entries of all parts
    shape: tuple[int, int]
    rows: IntArray  # (nnz,)
    starts: Any  # (M + 1,) int32
    cols: Any  # (nnz,) int32
    group: IntArray  # (N,) elements of a group have one matrix
    first: IntArray  # an element of each group

    @classmethod
    def of(cls, problem: QP, params: Params) -> Matrix:
        """Lay out the rows."""
        names = [name for name in ("A", "G") if name in params]
        rows, cols, top = [np.zeros(0, np.intp)], [np.zeros(0, np.intp)], 0
        for name in names:
            if name in problem.patterns:
                pattern = problem.patterns[name]
                places, height = (pattern.rows, pattern.cols), pattern.shape[0]
            else:
                height = params[name].values.shape[1]
                places = np.divmod(np.arange(height * problem.n), max(problem.n, 1))
            rows.append(places[0] + top)
            cols.append(places[1])
            top += height
        row, col = np.concatenate(rows), np.concatenate(cols)
        order = np.argsort(row, kind="stable")
        starts = np.searchsorted(row[order], np.arange(top + 1)).astype(np.int32)
        parts, shape = [params[name] for name in names], (top, problem.n)
        group, first = distinct(params, ("A", "G"))
        return cls(
            parts, order, shape, row[order], starts, col[order].astype(np.int32), group, first
        )

    def values(self, row: int) -> FloatArray:
        """Entries of one element's matrix."""
        parts = [param.values[param.index[row]].ravel() for param in self.parts]
        return np.concatenate([np.zeros(0), *parts])[self.order]

    def scaled(self, row: int, units: Units | None) -> FloatArray:
        """Entries of one element's matrix in other units."""
        if units is None:
            return self.values(row)
        group = self.group[row]
        shift = units.rows[group][self.rows] - units.columns[group][self.cols]
        return np.ldexp(self.values(row), shift)

    def units(self) -> Units | None:
        """Units in which rows and columns have a size of 1; None where all are fair."""
        if not len(self.first):
            return None
        step = max(1, BLOCK // max(1, len(self.order)))
        parts = [self.first[at : at + step] for at in range(0, len(self.first), step)]
        rows, columns = (np.concatenate(side) for side in zip(*map(self._fair, parts), strict=True))
        return Units(rows, columns) if rows.any() or columns.any() else None

    def _fair(self, chosen: IntArray) -> tuple[Exponents, Exponents]:
        whole = [param.take(chosen).full().reshape(len(chosen), -1) for param in self.parts]
        values = np.abs(np.concatenate([np.zeros((len(chosen), 0)), *whole], axis=1))
        if (np.diff(self.order) != 1).any():
            values = values[:, self.order]
        rows = exponents(self._largest(values, self.rows, 0))
        if rows.any():
            values = np.ldexp(values, rows[:, self.rows])
        columns = exponents(self._largest(values, self.cols, 1))
        if columns.any():  # the rows are what they were, but for the columns
            rows += exponents(self._largest(np.ldexp(values, columns[:, self.cols]), self.rows, 0))
        return rows, -columns

    def _largest(self, values: FloatArray, places: IntArray, axis: int) -> FloatArray:
        """Largest entries of rows (axis 0) or columns (axis 1)."""
        if len(places) == self.shape[0] * self.shape[1] > 0:  # all entries, row by row
            return values.reshape(len(values), *self.shape).max(axis=2 - axis)
        found = np.zeros((len(values), self.shape[axis]))
        if len(places):
            order = np.argsort(places, kind="stable") if axis else np.arange(len(places))
            heads = np.flatnonzero(np.diff(places[order], prepend=-1))
            found[:, places[order][heads]] = np.maximum.reduceat(values[:, order], heads, axis=1)
        return found
