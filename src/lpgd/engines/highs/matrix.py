"""The rows of A, then of G, as HiGHS takes them: one sparse matrix an element, row after row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lpgd.core.params import Param, Params, distinct
from lpgd.core.pattern import BLOCK
from lpgd.core.scaling import LOST, fair
from lpgd.core.solution import FloatArray, IntArray
from lpgd.families.qp.qp import QP

Exponents = NDArray[np.int32]


def exponents(sizes: FloatArray) -> Exponents:
    """Powers of two that bring unfair sizes into [1/2, 1); 0 for fair ones."""
    return np.where(fair(sizes), 0, -np.frexp(sizes)[1])


class Units(NamedTuple):
    """Row i is multiplied by 2^rows[i], and x_j by 2^columns[j]; one row for each matrix.

    HiGHS drops entries below 1e-12, refuses large ones and has absolute tolerances, so badly scaled
    rows and columns are brought to a size of 1. Powers of two round nothing.
    """

    rows: Exponents  # (D, M)
    columns: Exponents  # (D, n)


class Layout(NamedTuple):
    """Where the entries of all parts lie; a dense matrix has all its entries."""

    order: IntArray | None  # of the entries, row by row; None where they come so
    shape: tuple[int, int]
    rows: IntArray  # (nnz,)
    starts: Any  # (M + 1,) int32
    cols: Any  # (nnz,) int32

    @classmethod
    def of(cls, problem: QP) -> Layout:
        """Lay out the rows, once for each structure."""
        if cls not in problem.derived:
            problem.derived[cls] = cls._of(problem)
        return problem.derived[cls]

    @classmethod
    def _of(cls, problem: QP) -> Layout:
        rows, cols, top = [np.zeros(0, np.intp)], [np.zeros(0, np.intp)], 0
        for name in ("A", "G"):
            if name in problem.blocks:
                block, pattern = problem.blocks[name], problem.patterns.get(name)
                height = block.stop - block.start
                if pattern is None:
                    places = np.divmod(np.arange(height * problem.n), max(problem.n, 1))
                else:
                    places = pattern.rows, pattern.cols
                rows.append(places[0] + top)
                cols.append(places[1])
                top += height
        row, col = np.concatenate(rows), np.concatenate(cols)
        order = np.argsort(row, kind="stable")
        row, col = row[order], col[order].astype(np.int32)
        starts = np.searchsorted(row, np.arange(top + 1)).astype(np.int32)
        sorted_ = bool((np.diff(order) == 1).all())
        return cls(None if sorted_ else order, (top, problem.n), row, starts, col)


@dataclass(frozen=True)
class Matrix:
    """Matrices of a batch with one layout, and units in which rows and columns have a size of 1."""

    parts: list[Param]
    layout: Layout
    group: IntArray  # (N,) elements of a group have one matrix
    units: Units | None  # None where all are fair

    @classmethod
    def of(cls, problem: QP, params: Params) -> Matrix:
        """Of the data of a batch."""
        parts = [params[name] for name in ("A", "G") if name in params]
        group, first = distinct(params, ("A", "G"))
        layout = Layout.of(problem)
        return cls(parts, layout, group, _units(layout, parts, first))

    def take(self, rows: IntArray) -> Matrix:
        """Those of some elements."""
        return replace(self, parts=[p.take(rows) for p in self.parts], group=self.group[rows])

    def values(self, row: int) -> FloatArray:
        """Entries of one element's matrix."""
        parts = [param.values[param.index[row]].ravel() for param in self.parts]
        values = parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0), *parts])
        return values if self.layout.order is None else values[self.layout.order]

    def scaled(self, row: int) -> FloatArray:
        """Entries of one element's matrix in its units."""
        if self.units is None:
            return self.values(row)
        group, layout = self.group[row], self.layout
        shift = self.units.rows[group][layout.rows] - self.units.columns[group][layout.cols]
        return np.ldexp(self.values(row), shift)


def _units(layout: Layout, parts: list[Param], first: IntArray) -> Units | None:
    """Units of the elements ``first``, one of each group; None where all are fair."""
    if not len(first):
        return None
    step = max(1, BLOCK // max(1, len(layout.rows)))
    chosen = [first[at : at + step] for at in range(0, len(first), step)]
    each = [_fair(layout, [param.take(part) for param in parts], len(part)) for part in chosen]
    rows, columns = (np.concatenate(side) for side in zip(*each, strict=True))
    return Units(rows, columns) if rows.any() or columns.any() else None


def _fair(layout: Layout, parts: list[Param], size: int) -> tuple[Exponents, Exponents]:
    whole = [param.full().reshape(size, -1) for param in parts]
    values = np.abs(np.concatenate([np.zeros((size, 0)), *whole], axis=1))
    if layout.order is not None:
        values = values[:, layout.order]
    sizes = _largest(layout, values, 0)
    rows = exponents(sizes)
    if rows.any():
        values = np.ldexp(values, rows[:, layout.rows])
    tops = _largest(layout, values, 1)
    columns = exponents(np.where(tops > LOST, tops, 0.0))
    if columns.any():  # the rows are what they were, but for the columns
        rows += exponents(_largest(layout, np.ldexp(values, columns[:, layout.cols]), 0))
    if rows.any():  # rows without entries are in the unit of others: their sides hide no sizes
        most = np.take_along_axis(rows, np.abs(rows).argmax(axis=1)[:, None], axis=1)
        rows = np.where(sizes > 0, rows, most)
    return rows, -columns


def _largest(layout: Layout, values: FloatArray, axis: int) -> FloatArray:
    """Largest entries of rows (axis 0) or columns (axis 1)."""
    places, shape = (layout.rows, layout.cols)[axis], layout.shape
    if len(places) == shape[0] * shape[1] > 0:  # all entries, row by row
        return values.reshape(len(values), *shape).max(axis=2 - axis)
    found = np.zeros((len(values), shape[axis]))
    if len(places):
        order = np.argsort(places, kind="stable") if axis else np.arange(len(places))
        heads = np.flatnonzero(np.diff(places[order], prepend=-1))
        found[:, places[order][heads]] = np.maximum.reduceat(values[:, order], heads, axis=1)
    return found
