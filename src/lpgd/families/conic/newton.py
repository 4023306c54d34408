"""Newton's method on the optimality conditions of dense cone programs.

In the coordinates of the derivative of Pi (see ``equations``; eigenvalues d, see ``projections``)
rows with d = 1 are equations for x, rows with d < 1 add the curvature d / (1 - d) of the cone's
boundary to P:

    [ P + B'WB   E' ] [dx]
    [    E       0  ] [u ]

B the turned rows of A, W the curvatures, E the rows of B with d = 1. The program is convex, so that
any solution of the equations is one of the program.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast, final

import numpy as np
from scipy.linalg import lapack

from lpgd.core.solution import BoolArray, FloatArray, IntArray
from lpgd.families.conic.equations import Dense, Gap, Point, residual
from lpgd.families.conic.projections import Derivative, curved, derive
from lpgd.families.conic.singular import Singular, assembled
from lpgd.families.conic.tops import Layout, Tops

HELD = 1e-9  # rows whose d is this close to 1 are equations
SINGULAR = 1e-11  # pivots below this, relative to the largest, count as zero
GOAL = 1e-12  # relative residual at which nothing is left to gain
STEPS = 12
PATIENCE = 2  # steps after which half of the residual must be gone
FINE = 1e-10  # relative residual of a solution
FAST = 0.1  # a step that leaves more of the residual than this asks for a new matrix


@final
@dataclass(frozen=True)
class Model:
    """The equations of N programs to first order, with factorized matrices.

    Attributes
    ----------
    at : Derivative
        Of the projections where each was taken.
    turned : (N, m, n) float64
        B.
    factors : list of (LU factors, pivots), or ``Singular``
    sound : (N,) bool
        Whether the matrix is regular.
    tops : (k, 2) int, and Tops
        Variables that are in no matrix; None where there are none.
    """

    at: Derivative
    turned: FloatArray
    factors: list[Any]
    sound: BoolArray
    tops: tuple[IntArray, Tops] | None = None

    @classmethod
    def of(cls, layout: Layout, data: Dense, point: Point) -> Model:
        """Factorize at these points."""
        at = derive(layout.cones, point.v, point.y - point.v)
        turned, held = at.turned(data.A), at.share > 1 - HELD
        bent = curved(layout.cones)
        curve = np.where(held, 0.0, at.share / np.where(held, 1.0, 1 - at.share))[:, bent, None]
        rows = turned.take(bent, axis=1)
        hessian = data.P + np.ascontiguousarray(rows.swapaxes(1, 2)) @ (curve * rows)
        tops, inner = None, np.ones(hessian.shape[:2], dtype=np.bool_)
        if len(layout.tops):
            tops = Tops.of(layout.tops, held, turned, hessian)
            mask = _masked(layout.tops, tops, inner, held)
            factors, sound = _factorized(tops.left(hessian), turned, mask)
            whole = np.flatnonzero(~sound)
            tops = tops.without(whole) if len(whole) else tops
            mask = inner[whole], held[whole]
            again, sound[whole] = _factorized(hessian[whole], turned[whole], mask)
            for i, factor in zip(whole, again, strict=True):
                factors[i] = factor
        else:
            factors, sound = _factorized(hessian, turned, (inner, held))
        for i in np.flatnonzero(~sound):
            factors[i] = Singular(hessian[i], turned[i, held[i]])
        return cls(at, turned, factors, sound, None if tops is None else (layout.tops, tops))

    @cached_property
    def held(self) -> BoolArray:
        """Rows of E, (N, m)."""
        return self.at.share > 1 - HELD

    @cached_property
    def mask(self) -> BoolArray:
        """Which variables and rows are in the matrices, (N, n + m)."""
        inner = np.ones((len(self.turned), self.turned.shape[2]), dtype=np.bool_)
        sides = inner, self.held
        return np.concatenate(_masked(*self.tops, *sides) if self.tops else sides, axis=1)

    def step(self, gap: Gap, *, least: bool = False) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Steps of x, v and y that cancel both sides of the equations to first order.

        ``least`` asks for the least-squares solution of minimum norm where the matrix is singular;
        else these steps are zero.
        """
        at, held, load = self.at, self.held, -self.at.turned(gap[1][..., None])[..., 0]
        rest = np.where(held, 1.0, 1 - at.share)
        weighed = np.where(held, 0.0, at.share) / rest * load
        slope = (weighed[:, None] @ self.turned)[:, 0] - gap[0]
        if self.tops is None:
            dx, u = self._solve(slope, load, least=least)
        else:
            left, *begun = self.tops[1].enter(self.tops[0], slope, load)
            dx, u = self._solve(left, load, least=least)
            self.tops[1].leave(self.tops[0], dx, u, (begun[0], begun[1]))
        moved = (self.turned @ dx[..., None])[..., 0]
        u = np.where(held, u, (moved - load) / rest)
        both = at.turned_back(np.stack([u, at.share * u], axis=2))
        return dx, both[..., 0], both[..., 1]

    def _solve(
        self, slope: FloatArray, load: FloatArray, *, least: bool
    ) -> tuple[FloatArray, FloatArray]:
        """x (N, n), and the multipliers (N, m) of rows that hold."""
        n, values = slope.shape[1], np.concatenate([slope, load], axis=1)
        sizes, flat = np.add.reduce(self.mask, axis=1), values[self.mask]
        for i, (size, end) in enumerate(zip(sizes.tolist(), sizes.cumsum().tolist(), strict=True)):
            part = flat[end - size : end]
            if self.sound[i]:
                part[:], _ = cast(Any, lapack.dgetrs)(*self.factors[i], part)
            else:
                part[:] = self.factors[i].solve(part) if least else 0.0
        found = np.zeros_like(values)
        found[self.mask] = flat
        return found[:, :n], found[:, n:]

    def take(self, rows: IntArray) -> Model:
        """Some of the models."""
        factors = [self.factors[i] for i in rows]
        tops = None if self.tops is None else (self.tops[0], self.tops[1].take(rows))
        return Model(self.at.take(rows), self.turned[rows], factors, self.sound[rows], tops)


def _masked(
    places: IntArray, tops: Tops, inner: BoolArray, held: BoolArray
) -> tuple[BoolArray, BoolArray]:
    """Variables (N, n) and rows (N, m) that are in a matrix."""
    inner, held = inner.copy(), held.copy()
    inner[:, places[:, 0]] &= ~tops.out
    held[:, places[:, 1]] &= ~tops.out
    return inner, held


def _factorized(
    hessian: FloatArray, turned: FloatArray, mask: tuple[BoolArray, BoolArray]
) -> tuple[list[Any], BoolArray]:
    """The matrices of variables and rows in these masks, factorized; and which are regular."""
    inner, held = mask
    counts = np.add.reduce(inner, axis=1)
    sizes = counts + np.add.reduce(held, axis=1)
    spans = sizes**2 + sizes % 2  # some kernels of LAPACK round by whether 16 divides addresses
    starts = np.cumsum(spans) - spans
    room = np.zeros(spans.sum())  # one block of memory
    factors: list[Any] = []
    each = zip(counts.tolist(), starts.tolist(), sizes.tolist(), strict=True)
    for i, (count, start, size) in enumerate(each):
        curve, rows = hessian[i], turned[i, held[i]]
        if count < len(curve):
            chosen = np.flatnonzero(inner[i])
            curve, rows = curve[chosen[:, None], chosen], rows[:, chosen]
        K = assembled(curve, rows, room[start:], count, size)
        factors.append(cast(Any, lapack.dgetrf)(K.T, overwrite_a=True)[:2])
    return factors, _regular(factors, sizes)


def _regular(factors: list[tuple[Any, Any]], sizes: IntArray) -> BoolArray:
    """Matrices whose pivots are of comparable size."""
    if not factors:
        return np.zeros(0, dtype=np.bool_)
    pivots = np.abs(np.concatenate([lu.diagonal() for lu, _ in factors]))
    first = np.cumsum(sizes) - sizes
    return np.minimum.reduceat(pivots, first) > SINGULAR * np.maximum.reduceat(pivots, first)


def solve(
    layout: Layout,
    data: Dense,
    start: Point,
    model: Model | None = None,
    steps: int = STEPS,
    share: float = 0.0,
) -> Point:
    """Newton's method from a start, at most so many steps; returns the best points met.

    It ends at ``share`` of the first residual, or where nothing is left to gain. A given model
    serves as long as a step with it leaves little of the residual; then each step takes its own.
    Every program goes its own way: none depends on the others.
    """
    best = start if model is None else _iterate(layout, data, start, model, STEPS, share)
    rest = np.flatnonzero(~(best.error <= FINE)) if model is not None else np.arange(len(start))
    if not len(rest):
        return best
    return best.put(rest, _iterate(layout, data.take(rest), best.take(rest), None, steps, share))


def _iterate(
    layout: Layout, data: Dense, start: Point, model: Model | None, steps: int, share: float
) -> Point:
    # the error of the start was that of other data
    best = Point(start.x, start.v, start.y, np.full(len(start.x), np.inf))
    here, rows = start, np.arange(len(start.x))
    last, going = best.error, np.ones(len(start.x), dtype=np.bool_)
    first, enough = last, last
    for step in range(steps + 1):
        gap, error, y = residual(layout.cones, data, here)
        better = going & (error < best.error[rows])
        met = Point(here.x, here.v, y, error)
        if len(rows) == len(best.x) and better.all():
            best = met
        elif better.any():
            best = best.put(rows[better], met.take(better))
        if step == 0:
            first, enough = error, np.minimum(np.maximum(share * error, GOAL), FINE)
        going &= (error > enough) & np.isfinite(error)
        if model is not None:
            going &= error <= FAST * last
        else:
            going &= (error <= FAST * last) | (error > FINE)
            going &= (error <= 0.5 * first) | (step < PATIENCE)
        if step == steps or not going.any():
            return best
        if 2 * going.sum() < len(going):  # what has ended costs time only
            keep = np.flatnonzero(going)
            rows, data, here, y = rows[keep], data.take(keep), here.take(keep), y[keep]
            gap, error, going = (gap[0][keep], gap[1][keep]), error[keep], going[keep]
            first, enough = first[keep], enough[keep]
            model = None if model is None else model.take(keep)
        last = error
        here = Point(here.x, here.v, y, error)
        used = Model.of(layout, data, here) if model is None else model
        dx, dv, dy = used.step(gap, least=True)
        here = Point(here.x + dx, here.v + dv, y + dy, error)
    return best
