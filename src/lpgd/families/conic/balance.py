"""Factors of rows and variables that bring the data of cone programs near 1.

The binary logarithms of the factors make those of the entries of A and b least in the sense of
least squares (Curtis and Reid, 1972, "On the automatic scaling of matrices for Gaussian
elimination"), so that a program in other units becomes the same one. What A leaves open is a factor
for each part of the program that hangs together, by A or P: there b decides, or, where b is zero,
the size q / P of an unconstrained solution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from lpgd.core.params import Params
from lpgd.core.pattern import Totals
from lpgd.core.scaling import LOST
from lpgd.core.solution import BoolArray, FloatArray, IntArray, Rows
from lpgd.families.quadratic.structure import Structure

FAIR = 6.0  # binary logarithm of mean sizes that are left alone
MOST = 2000.0  # binary logarithm of the largest factor: what takes any number to any other
STEPS = 50
ROUNDS = 3
CLOSE = 0.1  # binary logarithm of a factor that makes no difference
STRAY = 60.0  # of an entry times the largest, beside the largest ones of its row and column
NOTHING = 500.0  # the same where data may be fair without it


def balanced(
    graph: Graph, params: Params, curve: FloatArray | None
) -> tuple[FloatArray, FloatArray]:
    """Binary logarithms of the factors of groups of rows (N, k), and of variables (N, n).

    ``curve`` (N, n) is the diagonal of P, if there is one. Data that are fair get zeros.
    """
    size, k, n = len(params["q"].index), graph.sides.size, graph.by_col.size
    rows, cols = np.zeros((size, k)), np.zeros((size, n))
    if not k or not n or _plainly_fair(params, curve):
        return rows, cols
    A, index = params["A"].values.reshape(len(params["A"].values), -1), params["A"].index
    logs, weights = graph.plain(*graph.entries(A), NOTHING)
    sizes = np.abs(_mean(graph.both(logs), graph.both(weights)))
    fair: BoolArray = np.logical_and.reduce(sizes <= FAIR, axis=1)
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

    def both(self, values: FloatArray) -> FloatArray:
        """Sums over rows and over columns, (N, k + n)."""
        return np.concatenate([self.by_row(values), self.by_col(values)], axis=1)

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

    def level(self, b: _Level, rows: FloatArray, cols: FloatArray) -> FloatArray:
        """By how much the variables of each part are too small, (N, parts)."""
        weights = self.parts[0](b.weights)
        held = _mean(self.parts[0](b.logs + b.weights * rows), weights)
        known = np.isfinite(b.free)
        gap = np.where(known, b.free - cols, 0.0)
        free = _mean(self.parts[1](gap), self.parts[1](known.astype(np.float64)))
        return np.where(weights > 0, held, free)

    def entries(self, A: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Logarithms and weights of entries; those that lost digits count in rows of nothing else.

        No unit of a variable brings them near 1 but one in which it may overflow.
        """
        logs, weights = _logs(A)
        faint = (A != 0) & (weights == 0)
        if faint.any():
            known = (self.by_row(weights) > 0)[:, self.rows]
            faint &= ~known
            logs, weights = np.where(faint, np.frexp(A)[1], logs), np.where(faint, 1.0, weights)
        return logs, weights

    def plain(
        self, logs: FloatArray, weights: FloatArray, stray: float
    ) -> tuple[FloatArray, FloatArray]:
        """Without entries that no units bring near the largest ones of their row and column."""
        sizes = np.where(weights > 0, logs, -np.inf)
        if not (sizes.max(axis=1, initial=-np.inf) - logs.min(axis=1, initial=0.0) > stray).any():
            return logs, weights
        of_rows, of_cols = (
            np.full((len(logs), total.size), -np.inf) for total in (self.by_row, self.by_col)
        )
        np.maximum.at(of_rows.T, self.rows, sizes.T)
        np.maximum.at(of_cols.T, self.cols, sizes.T)
        least = of_rows[:, self.rows] + of_cols[:, self.cols] - sizes.max(axis=1)[:, None] - stray
        kept: FloatArray = np.where(sizes >= least, 1.0, 0.0)
        return logs * kept, weights * kept

    def balanced(
        self, logs: FloatArray, weights: FloatArray, b: _Level
    ) -> tuple[FloatArray, FloatArray]:
        """Factors of rows and columns, as integers."""
        logs, weights = self.plain(logs, weights, STRAY)
        rows, cols = self._fitted(logs, weights, b)
        level = self.level(b, rows, cols)
        rows = rows - level[:, self.parts[0].places]
        cols = cols + level[:, self.parts[1].places]
        # columns without entries, joined to others by P, follow these
        there: FloatArray = np.where(self.by_col(weights) > 0, 1.0, 0.0)
        part = _mean(self.parts[1](cols * there), self.parts[1](there))
        cols = np.where(there > 0, cols, part[:, self.parts[1].places])
        found: list[FloatArray] = [np.round(np.clip(side, -MOST, MOST)) for side in (rows, cols)]
        return found[0], found[1]

    def _fitted(
        self, logs: FloatArray, weights: FloatArray, b: _Level
    ) -> tuple[FloatArray, FloatArray]:
        """The least squares, without entries that they bring nowhere near 1."""
        rows, cols = self._least(logs, weights, b)
        for _ in range(ROUNDS):
            off = weights * np.abs(logs + rows[:, self.rows] + cols[:, self.cols])
            worst = off.max(axis=1, initial=0.0)
            odd = np.flatnonzero(worst > STRAY)
            if not len(odd):
                break
            kept = np.ones_like(weights)
            kept[odd] = off[odd] <= 0.5 * worst[odd, None]
            logs, weights = logs * kept, weights * kept
            rows[odd], cols[odd] = self._least(logs[odd], weights[odd], b.take(odd))
        return rows, cols

    def _least(
        self, logs: FloatArray, weights: FloatArray, b: _Level
    ) -> tuple[FloatArray, FloatArray]:
        """The minimum of the squares, b counting as much as its row, by conjugate gradients.

        Each element ends for itself, where none of its factors would change by more than CLOSE.
        """
        k = b.logs.shape[1]
        both = self.both(weights)
        held = np.where(b.weights > 0, np.maximum(both[:, :k], 1.0), 0.0)
        sizes = both + np.pad(held, ((0, 0), (0, both.shape[1] - k)))
        sizes = np.where(sizes > 0, sizes, 1.0)
        left = -self.both(logs)
        left[:, :k] -= held * _mean(b.logs, b.weights)
        found, way = np.zeros_like(left), np.zeros_like(left)
        before = np.ones((len(left), 1))
        for _ in range(STEPS):
            step = left / sizes
            going = np.abs(step).max(axis=1, initial=0.0, keepdims=True) > CLOSE
            if not going.any():
                break
            now = (left * step).sum(axis=1, keepdims=True)
            way = step + now / before * way
            ends = weights * (way[:, :k][:, self.rows] + way[:, k:][:, self.cols])
            curve = self.both(ends)
            curve[:, :k] += held * way[:, :k]
            bend = (curve * way).sum(axis=1, keepdims=True)
            share = np.where(going & (bend > 0), now / np.where(bend > 0, bend, 1.0), 0.0)
            found, left = found + share * way, left - share * curve
            before = np.where(going, now, 1.0)
        return found[:, :k], found[:, k:]


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


def _plainly_fair(params: Params, curve: FloatArray | None) -> bool:
    """Whether no entry of any element is far from 1, and so no mean of them."""
    if any((np.abs(np.frexp(params[name].values)[1]) > FAIR).any() for name in ("A", "b")):
        return False
    return not (np.abs(_free(params, curve)) > FAIR).any()


def _free(params: Params, curve: FloatArray | None) -> FloatArray:
    """Binary logarithm of q / P, (N, n); NaN where one of them is zero."""
    q = params["q"].full()
    if curve is None:
        return np.full(q.shape, np.nan)
    (top, top_known), (bottom, known) = _logs(q), _logs(curve)
    return np.where((top_known > 0) & (known > 0), top - bottom, np.nan)


def _logs(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """About the binary logarithms, and ones; zero for zeros and for what has lost digits."""
    sizes, logs = np.abs(values), np.frexp(values)[1]
    nothing = np.exp2(-NOTHING) * sizes.max(axis=1, initial=0.0, keepdims=True)
    known = sizes > np.minimum(nothing, LOST)
    return np.where(known, logs, 0).astype(np.float64), known.astype(np.float64)


def _mean(sums: FloatArray, weights: FloatArray) -> FloatArray:
    return sums / np.where(weights > 0, weights, 1.0)
