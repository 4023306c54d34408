"""Factors of rows and variables that bring the data of cone programs near 1.

The binary logarithms of the factors make those of the entries of A and b least in the sense of
least squares (Curtis and Reid, 1972, "On the automatic scaling of matrices for Gaussian
elimination"), so that a program in other units becomes the same one. What A leaves open is a factor
for each part of the program that hangs together, by A or P: there b decides, or, where b is zero,
the size q / P of an unconstrained solution.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from lpgd.core.params import Params, flat
from lpgd.core.pattern import Totals
from lpgd.core.solution import BoolArray, FloatArray, IntArray
from lpgd.families.conic.level import NOTHING, SLIGHT, Level, free, logarithms, mean
from lpgd.families.conic.rotated import Rotated
from lpgd.families.conic.tied import Tied
from lpgd.families.quadratic.structure import Structure

FAIR = 6.0  # binary logarithm of mean sizes that are left alone
MOST = 2000.0  # binary logarithm of the largest factor: what takes any number to any other
STEPS = 50
ROUNDS = 3
WEIGHT = 0.03  # of costs, which decide nothing that A and b do
CLOSE = 0.1  # binary logarithm of a factor that makes no difference
OFF = 9.0  # binary logarithm of numbers that units should have brought nearer to 1
STRAY = 60.0  # the same of entries that no units bring there


def balanced(
    graph: Graph, params: Params, curve: FloatArray | None
) -> tuple[FloatArray, FloatArray]:
    """Binary logarithms of the factors of groups of rows (N, k), and of variables (N, n).

    ``curve`` (N, n) is the diagonal of P, if there is one. Data that are fair get zeros.
    """
    size, k, n = len(params["q"].index), graph.sides.size, graph.by_col.size
    rows, cols = np.zeros((size, k)), np.zeros((size, n))
    plain = _plainly_fair(params, curve)
    if not k or not n or plain.all():
        return rows, cols
    A, index = params["A"].values.reshape(len(params["A"].values), -1), params["A"].index
    logs, weights = graph.plain(*graph.entries(graph.rotated.parted(A)))
    sizes = np.abs(mean(graph.pulled(graph.both(logs)), graph.pulled(graph.both(weights))))
    fair: BoolArray = np.logical_and.reduce(sizes <= FAIR, axis=1)
    b = Level.of(params, curve, *graph.right(graph.rotated.parted_sides(params["b"].full())))
    close: BoolArray = np.logical_and.reduce(
        np.abs(b.missing(graph.parts, rows, cols)) <= FAIR, axis=1
    )
    loose = b.open(graph.parts) | graph.loose
    odd = (b.spread() > FAIR) | np.logical_or.reduce(np.abs(mean(b.logs, b.weights)) > FAIR, axis=1)
    far = np.flatnonzero(~plain & (~(fair[index] & close) | (loose & odd)))
    if len(far):
        logs, weights = logs[index[far]], weights[index[far]]
        found = graph.balanced(logs, weights, b.take(far), loose[far])
        # factors that are fair themselves would cost more than they mend
        most = np.maximum(*(np.abs(side).max(axis=1, initial=0.0) for side in found))[:, None]
        rows[far], cols[far] = (np.where(most > FAIR, side, 0.0) for side in found)
    return rows, cols


@dataclass(frozen=True)
class Graph:
    """Groups of rows and columns, joined by the entries of A and of P; structure only.

    Attributes
    ----------
    group : (m,) int
        Which rows have one factor.
    rotated : Rotated
        Second-order cones that are products.
    tied : Tied
        What the factors of the groups are made of.
    first : (exp,) int
        First rows of the exponential cones.
    parts : (Totals, Totals, Totals)
        Groups, columns and unknowns of the parts that hang together.
    by_cone : Totals
        Groups of each cone.
    """

    group: IntArray
    rotated: Rotated
    tied: Tied
    first: IntArray
    rows: IntArray
    cols: IntArray
    by_row: Totals
    by_col: Totals
    sides: Totals
    parts: tuple[Totals, Totals, Totals]
    by_cone: Totals

    def both(self, values: FloatArray) -> FloatArray:
        """Sums over rows and over columns, (N, k + n)."""
        return np.concatenate([self.by_row(values), self.by_col(values)], axis=1)

    def pulled(self, both: FloatArray) -> FloatArray:
        """Sums over the unknowns and over columns, (N, size + n)."""
        k = len(self.tied.first)
        return np.concatenate([self.tied.pulled(both[:, :k]), both[:, k:]], axis=1)

    @cached_property
    def loose(self) -> bool:
        """Whether cones have symmetries that may leave A and b as they are."""
        first = self.first
        return not self.tied.plain or bool((self.group[first + 2] > self.group[first]).any())

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
        rotated, A, n = Rotated.of(conic), conic.patterns.get("A"), conic.n
        group = _groups(conic, first, rotated.first)
        k = int(group.max(initial=-1)) + 1
        rows, cols = np.divmod(np.arange(conic.m * n), n) if A is None else (A.rows, A.cols)
        rows, bends, tied = group[rows], _bends(conic), Tied.of(conic, group, rotated.first)
        size = k + n + tied.size
        begin = np.concatenate([rows, k + bends[0], np.arange(k), np.arange(k)])
        end = np.concatenate([k + cols, k + bends[1], k + n + tied.first, k + n + tied.second])
        joined: Any = sparse.coo_array((np.ones(len(end)), (begin, end)), shape=(size, size))
        count, part = connected_components(joined, directed=False)
        split = np.split(part.astype(np.intp), [k, k + n])
        parts = Totals(split[0], count), Totals(split[1], count), Totals(split[2], count)
        sums = Totals(rows, k), Totals(cols, n), Totals(group, k)
        cone = np.zeros(k, dtype=np.intp)
        cone[group] = np.cumsum(_begins(conic)) - 1
        by_cone = Totals(cone, int(cone.max(initial=-1)) + 1)
        return cls(group, rotated, tied, first, rows, cols, *sums, parts, by_cone)

    def entries(self, A: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Logarithms and weights of entries; those that lost digits count in cones of nothing else.

        No unit of a variable brings them near 1 but one in which it may overflow.
        """
        logs, weights = logarithms(A)
        faint = (A != 0) & (weights == 0)
        if faint.any():
            known = (self.by_cone(self.by_row(weights)) > 0)[:, self.by_cone.places[self.rows]]
            faint &= ~known
            logs, weights = np.where(faint, np.frexp(A)[1], logs), np.where(faint, 1.0, weights)
        return logs, weights

    def right(self, b: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Sums of logarithms and of weights of sides, of each group: one unit, so no rounding."""
        logs, weights = logarithms(b)
        tops = self.sides.largest(np.where(weights > 0, logs, -np.inf), -np.inf)
        weights = np.where(logs >= tops[:, self.group] - SLIGHT, weights, 0.0)
        return self.sides(logs * weights), self.sides(weights)

    def plain(self, logs: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Without entries that no units bring near the largest ones of their row and column."""
        sizes = np.where(weights > 0, logs, -np.inf)
        if not (sizes.max(axis=1, initial=-np.inf) - logs.min(axis=1, initial=0.0) > NOTHING).any():
            return logs, weights
        of_rows, of_cols = (by.largest(sizes, -np.inf) for by in (self.by_row, self.by_col))
        least = of_rows[:, self.rows] + of_cols[:, self.cols] - sizes.max(axis=1)[:, None] - NOTHING
        kept: FloatArray = np.where(sizes >= least, 1.0, 0.0)
        return logs * kept, weights * kept

    def balanced(
        self, logs: FloatArray, weights: FloatArray, b: Level, loose: BoolArray
    ) -> tuple[FloatArray, FloatArray]:
        """Factors of rows and columns; where ``loose``, costs have a say.

        Unknowns are integers, and so are all factors but those of the third rows of power cones.
        """
        say: FloatArray = np.where(loose, WEIGHT, 0.0)
        free, cols, b = self._blunt(logs, weights, b, say)
        level = b.missing(self.parts, self.tied.factors(free), cols)
        free = free - level[:, self.parts[2].places] * self.tied.share
        cols = cols + level[:, self.parts[1].places]
        # columns without entries, joined to others by P, follow these
        there: FloatArray = np.where(self.by_col(weights) > 0, 1.0, 0.0)
        part = mean(self.parts[1](cols * there), self.parts[1](there))
        cols = np.where(there > 0, cols, part[:, self.parts[1].places])
        found: list[FloatArray] = [np.round(np.clip(side, -MOST, MOST)) for side in (free, cols)]
        return self.tied.factors(found[0]), found[1]

    def _blunt(
        self, logs: FloatArray, weights: FloatArray, b: Level, say: FloatArray
    ) -> tuple[FloatArray, FloatArray, Level]:
        """The least squares, and the sides that counted.

        A few small numbers among large ones are their rounding: cos(pi / 2), or a sum that should
        be zero. Where something is far off, those that are small as they were given count no more,
        unless the others, or they, then are further off.
        """
        found, whole = self._fitted(logs, weights, b, say), (weights, b)
        off = self._furthest(logs, whole, whole, found)
        odd = np.flatnonzero(off > OFF)
        if not len(odd):
            return *found, b
        logs, whole = logs[odd], (weights[odd], b.take(odd))
        part = self._larger(logs, whole[0]), whole[1].larger()
        again = self._fitted(logs * part[0], *part, say[odd])
        better = np.flatnonzero(self._furthest(logs, whole, part, again) < off[odd])
        for side, other in zip(found, again, strict=True):
            side[odd[better]] = other[better]
        return *found, b.put(odd[better], part[1].take(better))

    def _larger(self, logs: FloatArray, weights: FloatArray) -> FloatArray:
        """Weights without entries that are small beside others of their row and of their column."""
        sizes = np.where(weights > 0, logs, -np.inf)
        rows, cols = self.by_row.largest(sizes, -np.inf), self.by_col.largest(sizes, -np.inf)
        least = np.minimum(rows[:, self.rows], cols[:, self.cols]) - SLIGHT
        return np.where(sizes >= least, weights, 0.0)

    def _furthest(
        self,
        logs: FloatArray,
        whole: tuple[FloatArray, Level],
        part: tuple[FloatArray, Level],
        found: tuple[FloatArray, FloatArray],
    ) -> FloatArray:
        """How far the entry or side that is furthest from 1 is from it, (N,).

        Those that are in the whole only, and not in the part that counts, may be small.
        """
        rows, cols = self.tied.factors(found[0]), found[1]
        off = logs + rows[:, self.rows] + cols[:, self.cols]
        level = part[1].missing(self.parts, rows, cols)[:, self.parts[0].places]
        side = mean(whole[1].logs, whole[1].weights) + rows + level
        every, there, counted = (
            np.concatenate(pair, axis=1)
            for pair in (
                (off, side), (whole[0], whole[1].weights), (part[0], part[1].weights),
            )
        )  # fmt: skip
        every = np.where(counted > 0, np.abs(every), every)
        return np.where(there > 0, every, 0.0).max(axis=1, initial=0.0)

    def _fitted(
        self, logs: FloatArray, weights: FloatArray, b: Level, say: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """The least squares, without entries that they bring nowhere near 1."""
        free, cols = self._least(logs, weights, b, say)
        for _ in range(ROUNDS):
            rows = self.tied.factors(free)
            off = weights * np.abs(logs + rows[:, self.rows] + cols[:, self.cols])
            worst = off.max(axis=1, initial=0.0)
            odd = np.flatnonzero(worst > STRAY)
            if not len(odd):
                break
            kept = np.ones_like(weights)
            kept[odd] = off[odd] <= 0.5 * worst[odd, None]
            logs, weights = logs * kept, weights * kept
            free[odd], cols[odd] = self._least(logs[odd], weights[odd], b.take(odd), say[odd])
        return free, cols

    def _least(
        self, logs: FloatArray, weights: FloatArray, b: Level, say: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """The minimum of the squares, b counting as much as its row, by conjugate gradients.

        Each element ends for itself, where none of its factors would change by more than CLOSE.
        """
        k, own = b.logs.shape[1], self.tied.size
        both = self.both(weights)
        held = np.where(b.weights > 0, np.maximum(both[:, :k], 1.0), 0.0)
        costs = _Costs(say[:, None] * b.costs.weights, say[:, None] * b.bends.weights)
        sizes = np.concatenate([self.tied.squares(both[:, :k] + held), both[:, k:]], axis=1)
        sizes = costs.join(sizes, *costs.squares)
        sizes = np.where(sizes > 0, sizes, 1.0)
        drawn = self.both(logs)
        drawn[:, :k] += held * mean(b.logs, b.weights)
        left = -costs.join(self.pulled(drawn), *costs.pulled(b.costs.logs, b.bends.logs))
        found, way = np.zeros_like(left), np.zeros_like(left)
        before = np.ones((len(left), 1))
        close = CLOSE * np.where(say > 0, say, 1.0)[:, None]
        for _ in range(STEPS):
            step = left / sizes
            going = np.abs(step).max(axis=1, initial=0.0, keepdims=True) > close
            if not going.any():
                break
            now = (left * step).sum(axis=1, keepdims=True)
            way = step + now / before * way
            rows, cols, level = self.tied.factors(way[:, :own]), way[:, own:-1], way[:, -1:]
            curve = self.both(weights * (rows[:, self.rows] + cols[:, self.cols]))
            curve[:, :k] += held * rows
            ends = costs.pulled(cols + level, 2 * cols + level)
            curve = costs.join(self.pulled(curve), *ends)
            bend = (curve * way).sum(axis=1, keepdims=True)
            share = np.where(going & (bend > 0), now / np.where(bend > 0, bend, 1.0), 0.0)
            found, left = found + share * way, left - share * curve
            before = np.where(going, now, 1.0)
        return found[:, :own], found[:, own:-1]


@dataclass(frozen=True)
class _Costs:
    """Weights (N, n) of q d and P d^2, which are to have one size, d being factors of variables."""

    q: FloatArray
    P: FloatArray

    def pulled(self, q: FloatArray, P: FloatArray) -> tuple[FloatArray, FloatArray]:
        """What distances of their logarithms pull at: variables (N, n), and that size (N, 1)."""
        one, two = self.q * q, self.P * P
        return one + 2 * two, (one + two).sum(axis=1, keepdims=True)

    @property
    def squares(self) -> tuple[FloatArray, FloatArray]:
        """The diagonal of what ``pulled`` does to logarithms of d."""
        return self.q + 4 * self.P, (self.q + self.P).sum(axis=1, keepdims=True)

    def join(self, others: FloatArray, cols: FloatArray, level: FloatArray) -> FloatArray:
        """All unknowns: ``others`` (N, size + n) and what ``cols`` adds, and the size of costs."""
        n = cols.shape[1]
        others = others.copy()
        others[:, others.shape[1] - n :] += cols
        return np.concatenate([others, level], axis=1)


def _groups(conic: Structure, first: IntArray, rotated: IntArray) -> IntArray:
    """Which rows have one factor, (m,): those of a cone, where it is no half-line.

    Entries of a semidefinite matrix, and the factors of products, have their own, which ``Tied``
    joins. The third row of an exponential cone has its own where nothing stands in the second.
    """
    begins = _begins(conic)
    for kind, start, stop in conic.cones.blocks():
        if kind in ("psd", "power"):
            begins[start:stop] = 1
    begins[rotated + 1] = begins[rotated + 2] = 1
    if "A" in conic.patterns:
        used = np.bincount(conic.patterns["A"].rows, minlength=conic.m) > 0
        begins[first[~used[first + 1]] + 2] = 1
    return np.cumsum(begins) - 1


def _begins(conic: Structure) -> IntArray:
    """One in the first row of each cone, (m,)."""
    begins = np.zeros(conic.m, dtype=np.intp)
    begins[[a for _, a, b in conic.cones.blocks() if b > a]] = 1
    begins[: conic.cones.zero + conic.cones.nonneg] = 1
    return begins


def _bends(conic: Structure) -> tuple[IntArray, IntArray]:
    """Variables that P joins, pairs of one with another."""
    if "P" in conic.patterns:
        return conic.patterns["P"].rows, conic.patterns["P"].cols
    every = np.arange(conic.n if conic.quadratic else 0)
    return np.zeros_like(every), every


def _plainly_fair(params: Params, curve: FloatArray | None) -> BoolArray:
    """Elements none of whose entries is far from 1, and so no mean of them, (N,)."""
    sizes = np.abs(free(params, curve))
    fair: BoolArray = ~np.logical_or.reduce(sizes > FAIR, axis=1)  # NaN is fair
    for name in ("A", "b"):
        far = np.abs(np.frexp(flat(params[name].values))[1]) > FAIR
        fair &= ~np.logical_or.reduce(far, axis=1)[params[name].index]
    least, most = np.full(len(fair), np.inf), np.full(len(fair), -np.inf)
    for part in (params["q"].full(), curve):
        if part is not None:
            logs, there = np.frexp(part)[1], part != 0
            least = np.minimum(least, np.where(there, logs, np.inf).min(axis=1, initial=np.inf))
            most = np.maximum(most, np.where(there, logs, -np.inf).max(axis=1, initial=-np.inf))
    return fair & (most - least <= 2 * FAIR)
