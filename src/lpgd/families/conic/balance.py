"""Factors of rows and variables that bring the data of cone programs near 1.

The binary logarithms of the factors make those of the entries of A and b least in the sense of
least squares (Curtis and Reid, 1972, "On the automatic scaling of matrices for Gaussian
elimination"), so that a program in other units becomes the same one. The squares are minimized
over rows and variables in turn. What A leaves open is a factor for each part of the program that
hangs together, by A or P: there b decides, or, where b is zero, the size q / P of an unconstrained
solution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from lpgd.core.params import Params
from lpgd.core.pattern import Totals
from lpgd.core.solution import BoolArray, FloatArray, IntArray, Rows
from lpgd.families.quadratic.structure import Structure

FAIR = 6.0  # binary logarithm of mean sizes that are left alone
MOST = 300.0  # binary logarithm of the largest factor
SWEEPS = 6
STRAY = 60.0  # of an entry times the largest, beside the largest ones of its row and column
NOTHING = 2.0**-500  # share of the largest entry that no unit explains


def balanced(
    graph: Graph, params: Params, curve: FloatArray | None
) -> tuple[FloatArray, FloatArray]:
    """Binary logarithms of the factors of groups of rows (N, k), and of variables (N, n).

    ``curve`` (N, n) is the diagonal of P, if there is one. Data that are fair get zeros.
    """
    size, k, n = len(params["q"].index), graph.sides.size, graph.by_col.size
    rows, cols = np.zeros((size, k)), np.zeros((size, n))
    if not k or not n:
        return rows, cols
    A, index = params["A"].values.reshape(len(params["A"].values), -1), params["A"].index
    logs, weights = _logs(A)
    fair = np.ones(len(logs), dtype=np.bool_)
    for sums in (graph.by_row, graph.by_col):
        fair &= np.logical_and.reduce(np.abs(_mean(sums(logs), sums(weights))) <= FAIR, axis=1)
    known, there = _logs(params["b"].full())
    b = _Level(graph.sides(known), graph.sides(there), _free(params, curve))
    close: BoolArray = np.logical_and.reduce(np.abs(graph.level(b, rows, cols)) <= FAIR, axis=1)
    fair = fair[index] & close
    far = np.flatnonzero(~fair)
    if len(far):
        logs, weights = logs[index[far]], weights[index[far]]
        rows[far], cols[far] = graph.balanced(logs, weights, b.take(far))
    return rows, cols


@dataclass(frozen=True)
class _Level(Rows):
    """What tells the unit of the variables: sums of the logarithms of b, and q / P."""

    logs: FloatArray  # (N, k) of each group
    weights: FloatArray
    free: FloatArray  # (N, n) logarithm of q / P, NaN for none


@dataclass(frozen=True)
class Graph:
    """Groups of rows and columns, joined by the entries of A and of P; structure only.

    Attributes
    ----------
    group : (m,) int
        Which rows have one factor.
    first : (exp,) int
        First rows of the exponential cones.
    """

    group: IntArray
    first: IntArray
    rows: IntArray
    cols: IntArray
    by_row: Totals
    by_col: Totals
    sides: Totals
    parts: tuple[Totals, Totals]

    @classmethod
    def of(cls, conic: Structure) -> Graph:
        """Of a program, computed once."""
        if cls not in conic.derived:
            conic.derived[cls] = cls._of(conic)
        return conic.derived[cls]

    @classmethod
    def _of(cls, conic: Structure) -> Graph:
        stop = conic.m - 3 * len(conic.cones.power)
        first = np.arange(stop - 3 * conic.cones.exp, stop, 3)
        group, A, n = _groups(conic, first), conic.patterns.get("A"), conic.n
        k = int(group.max(initial=-1)) + 1
        rows, cols = np.divmod(np.arange(conic.m * n), n) if A is None else (A.rows, A.cols)
        rows, bends = group[rows], _bends(conic)
        ends = np.concatenate([rows, k + bends[0]]), np.concatenate([cols, bends[1]]) + k
        joined: Any = sparse.coo_array((np.ones(len(ends[0])), ends), shape=(k + n, k + n))
        count, part = connected_components(joined, directed=False)
        part = part.astype(np.intp)
        parts = Totals(part[:k], count), Totals(part[k:], count)
        sums = Totals(rows, k), Totals(cols, n), Totals(group, k)
        return cls(group, first, rows, cols, *sums, parts)

    def means(
        self, logs: FloatArray, weights: FloatArray, cols: FloatArray, rows: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Mean logarithms of the entries of each row with these columns, and of each column."""
        of_rows = self.by_row(logs + weights * cols[:, self.cols])
        of_cols = self.by_col(logs + weights * rows[:, self.rows])
        return _mean(of_rows, self.by_row(weights)), _mean(of_cols, self.by_col(weights))

    def level(self, b: _Level, rows: FloatArray, cols: FloatArray) -> FloatArray:
        """By how much the variables of each part are too small, (N, parts)."""
        weights = self.parts[0](b.weights)
        held = _mean(self.parts[0](b.logs + b.weights * rows), weights)
        known = np.isfinite(b.free)
        gap = np.where(known, b.free - cols, 0.0)
        free = _mean(self.parts[1](gap), self.parts[1](known.astype(np.float64)))
        return np.where(weights > 0, held, free)

    def _plain(self, logs: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Without entries that no units bring near the largest ones of their row and column."""
        sizes = np.where(weights > 0, logs, -np.inf)
        if not (sizes.max(axis=1) - logs.min(axis=1) > STRAY).any():
            return logs, weights
        of_rows, of_cols = (
            np.full((len(logs), total.size), -np.inf) for total in (self.by_row, self.by_col)
        )
        np.maximum.at(of_rows.T, self.rows, sizes.T)
        np.maximum.at(of_cols.T, self.cols, sizes.T)
        least = of_rows[:, self.rows] + of_cols[:, self.cols] - sizes.max(axis=1)[:, None] - STRAY
        kept: FloatArray = np.where(sizes >= least, 1.0, 0.0)
        return logs * kept, weights * kept

    def balanced(
        self, logs: FloatArray, weights: FloatArray, b: _Level
    ) -> tuple[FloatArray, FloatArray]:
        """Factors of rows and columns, as integers."""
        rows, cols = np.zeros(b.logs.shape), np.zeros(b.free.shape)
        logs, weights = self._plain(logs, weights)
        for _ in range(SWEEPS):
            of_rows = self.means(logs, weights, cols, rows)[0]
            with_b = 0.5 * (of_rows + _mean(b.logs, b.weights))
            rows = -np.where(b.weights > 0, with_b, of_rows)
            cols = -self.means(logs, weights, cols, rows)[1]
            level = self.level(b, rows, cols)
            rows = rows - level[:, self.parts[0].places]
            cols = cols + level[:, self.parts[1].places]
        # columns without entries, joined to others by P, follow these
        there: FloatArray = np.where(self.by_col(weights) > 0, 1.0, 0.0)
        part = _mean(self.parts[1](cols * there), self.parts[1](there))
        cols = np.where(there > 0, cols, part[:, self.parts[1].places])
        found: list[FloatArray] = [np.round(np.clip(side, -MOST, MOST)) for side in (rows, cols)]
        return found[0], found[1]


def _groups(conic: Structure, first: IntArray) -> IntArray:
    """Which rows have one factor, (m,): those of a cone, where it is no half-line.

    The third row of an exponential cone has its own where nothing stands in the second.
    """
    begins = np.zeros(conic.m, dtype=np.intp)
    begins[[a for _, a, b in conic.cones.blocks() if b > a]] = 1
    begins[: conic.cones.zero + conic.cones.nonneg] = 1
    if "A" in conic.patterns:
        used = np.bincount(conic.patterns["A"].rows, minlength=conic.m) > 0
        begins[first[~used[first + 1]] + 2] = 1
    return np.cumsum(begins) - 1


def _bends(conic: Structure) -> tuple[IntArray, IntArray]:
    """Variables that P joins, pairs of one with another."""
    if "P" in conic.patterns:
        return conic.patterns["P"].rows, conic.patterns["P"].cols
    every = np.arange(conic.n if conic.quadratic else 0)
    return np.zeros_like(every), every


def _free(params: Params, curve: FloatArray | None) -> FloatArray:
    """Binary logarithm of q / P, (N, n); NaN where one of them is zero."""
    q = params["q"].full()
    if curve is None:
        return np.full(q.shape, np.nan)
    (top, top_known), (bottom, known) = _logs(q), _logs(curve)
    return np.where((top_known > 0) & (known > 0), top - bottom, np.nan)


def diagonal(conic: Structure, params: Params) -> FloatArray:
    """Diagonal of P, (N, n)."""
    P, pattern = params["P"], conic.patterns.get("P")
    if pattern is None:
        return np.diagonal(P.values, axis1=1, axis2=2)[P.index]
    found, on = np.zeros((len(P.values), conic.n)), np.flatnonzero(pattern.rows == pattern.cols)
    found[:, pattern.rows[on]] = P.values[:, on]
    return found[P.index]


def _logs(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """About the binary logarithms, and ones; zero for zeros and for what is next to nothing."""
    sizes = np.abs(values)
    known = sizes > NOTHING * sizes.max(axis=1, initial=0.0, keepdims=True)
    return np.where(known, np.frexp(values)[1], 0).astype(np.float64), known.astype(np.float64)


def _mean(sums: FloatArray, weights: FloatArray) -> FloatArray:
    return sums / np.where(weights > 0, weights, 1.0)
