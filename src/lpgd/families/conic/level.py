"""What tells the unit of the variables of a part of a program, where A leaves it open.

A part hangs together by A, P or a cone. Its right-hand sides tell, or, where they are zero, the
sizes q / P of an unconstrained solution. What these leave open, too, costs decide: those of all
variables are to have one size, as in log(x) - c x or sqrt(x) - c x.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lpgd.core.params import Params
from lpgd.core.pattern import Totals
from lpgd.core.scaling import LOST
from lpgd.core.solution import BoolArray, FloatArray, IntArray, Rows

NOTHING = 500.0  # binary logarithm of what is nothing beside the largest entry
ROUNDING = 45.0  # the same of what may be its rounding
SLIGHT = 30.0  # the same of what is likely to be, where it stands in the way


@dataclass(frozen=True)
class Known(Rows):
    """Logarithms (N, n), and ones where they are known."""

    logs: FloatArray
    weights: FloatArray

    @classmethod
    def of(cls, values: FloatArray) -> Known:
        """Of numbers that are no rounding beside the largest."""
        logs, known = logarithms(values)
        most = np.where(known > 0, logs, -np.inf).max(axis=1, initial=-np.inf, keepdims=True)
        there = (known > 0) & (logs > most - ROUNDING)
        return cls(np.where(there, logs, 0.0), there.astype(np.float64))


@dataclass(frozen=True)
class Level:
    """Binary logarithms of N elements.

    Attributes
    ----------
    logs, weights : (N, k) float64
        Sums of those of b, and their numbers, of each group of rows.
    free : (N, n) float64
        Of q / P; NaN for none.
    costs, bends : Known
        Of q and of the diagonal of P.
    """

    logs: FloatArray
    weights: FloatArray
    free: FloatArray
    costs: Known
    bends: Known

    @classmethod
    def of(
        cls, params: Params, curve: FloatArray | None, logs: FloatArray, weights: FloatArray
    ) -> Level:
        """Of data whose P has the diagonal ``curve``."""
        q = params["q"].full()
        costs, bends = Known.of(q), Known.of(np.zeros_like(q) if curve is None else curve)
        return cls(logs, weights, free(params, curve), costs, bends)

    def take(self, rows: IntArray) -> Level:
        """Some of the elements."""
        parts = self.logs[rows], self.weights[rows], self.free[rows]
        return Level(*parts, self.costs.take(rows), self.bends.take(rows))

    def larger(self) -> Level:
        """Without groups of sides that are small beside those of others."""
        logs = mean(self.logs, self.weights)
        most = np.where(self.weights > 0, logs, -np.inf).max(axis=1, initial=-np.inf, keepdims=True)
        kept: FloatArray = np.where(logs >= most - SLIGHT, 1.0, 0.0)
        return replace(self, logs=self.logs * kept, weights=self.weights * kept)

    def put(self, rows: IntArray, other: Level) -> Level:
        """With sides of other elements in some rows."""
        logs, weights = self.logs.copy(), self.weights.copy()
        logs[rows], weights[rows] = other.logs, other.weights
        return replace(self, logs=logs, weights=weights)

    def missing(
        self, parts: tuple[Totals, Totals, Totals], rows: FloatArray, cols: FloatArray
    ) -> FloatArray:
        """By how much the variables of each part are too small, (N, parts)."""
        weights = parts[0](self.weights)
        held = mean(parts[0](self.logs + self.weights * rows), weights)
        known = np.isfinite(self.free)
        gap = np.where(known, self.free - cols, 0.0)
        return np.where(weights > 0, held, mean(parts[1](gap), parts[1](known.astype(np.float64))))

    def open(self, parts: tuple[Totals, Totals, Totals]) -> BoolArray:
        """Elements with a part of which neither b nor q / P tells, (N,)."""
        known = parts[1](np.isfinite(self.free).astype(np.float64))
        return np.logical_or.reduce((parts[0](self.weights) == 0) & (known == 0), axis=1)

    def spread(self) -> FloatArray:
        """The largest distance of costs from their mean, (N,)."""
        ends = [
            np.where(part.weights > 0, sign * part.logs, -np.inf).max(axis=1, initial=-np.inf)
            for part in (self.costs, self.bends)
            for sign in (1, -1)
        ]
        width = np.maximum(ends[0], ends[2]) + np.maximum(ends[1], ends[3])
        return np.where(np.isfinite(width), 0.5 * width, 0.0)


def free(params: Params, curve: FloatArray | None) -> FloatArray:
    """Binary logarithm of q / P, (N, n); NaN where one of them is zero."""
    q = params["q"].full()
    if curve is None:
        return np.full(q.shape, np.nan)
    (top, top_known), (bottom, known) = logarithms(q), logarithms(curve)
    return np.where((top_known > 0) & (known > 0), top - bottom, np.nan)


def logarithms(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """About the binary logarithms, and ones; zero for zeros and for what has lost digits."""
    sizes, logs = np.abs(values), np.frexp(values)[1]
    nothing = np.exp2(-NOTHING) * sizes.max(axis=1, initial=0.0, keepdims=True)
    known = sizes > np.minimum(nothing, LOST)
    return np.where(known, logs, 0).astype(np.float64), known.astype(np.float64)


def mean(sums: FloatArray, weights: FloatArray) -> FloatArray:
    """Means from sums and the numbers of their terms; zero of none."""
    return sums / np.where(weights > 0, weights, 1.0)
