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
from lpgd.families.conic.cones import Cones
from lpgd.families.conic.equations import Dense, Gap, Point, residual
from lpgd.families.conic.projections import Derivative, curved, derive
from lpgd.families.conic.singular import Singular, assembled

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
    """

    at: Derivative
    turned: FloatArray
    factors: list[Any]
    sound: BoolArray

    @classmethod
    def of(cls, cones: Cones, data: Dense, point: Point) -> Model:
        """Factorize at these points."""
        at = derive(cones, point.v, point.y - point.v)
        turned, held = at.turned(data.A), at.share > 1 - HELD
        bent = curved(cones)
        curve = np.where(held, 0.0, at.share / np.where(held, 1.0, 1 - at.share))[:, bent, None]
        rows = turned.take(bent, axis=1)
        hessian = data.P + np.ascontiguousarray(rows.swapaxes(1, 2)) @ (curve * rows)
        sizes = hessian.shape[1] + held.sum(axis=1)
        spans = sizes**2 + sizes % 2  # some kernels of LAPACK round by whether 16 divides addresses
        starts = np.cumsum(spans) - spans
        room = np.zeros(spans.sum())  # one block of memory
        factors: list[Any] = []
        for i, (start, size) in enumerate(zip(starts.tolist(), sizes.tolist(), strict=True)):
            rows = turned[i, held[i]]
            K = assembled(hessian[i], rows, room[start:], len(hessian[i]), size)
            factors.append(cast(Any, lapack.dgetrf)(K.T, overwrite_a=True)[:2])
        sound = _regular(factors, sizes)
        for i in np.flatnonzero(~sound):
            factors[i] = Singular(hessian[i], turned[i, held[i]])
        return cls(at, turned, factors, sound)

    @cached_property
    def held(self) -> BoolArray:
        """Rows of E, (N, m)."""
        return self.at.share > 1 - HELD

    def step(self, gap: Gap, *, least: bool = False) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Steps of x, v and y that cancel both sides of the equations to first order.

        ``least`` asks for the least-squares solution of minimum norm where the matrix is singular;
        else these steps are zero.
        """
        at, held, load = self.at, self.held, -self.at.turned(gap[1][..., None])[..., 0]
        rest = np.where(held, 1.0, 1 - at.share)
        weighed = np.where(held, 0.0, at.share) / rest * load
        slope = (weighed[:, None] @ self.turned)[:, 0] - gap[0]
        dx, multipliers = self._solve(slope, load, least=least)
        moved = (self.turned @ dx[..., None])[..., 0]
        u = (moved - load) / rest
        u[held] = multipliers
        both = at.turned_back(np.stack([u, at.share * u], axis=2))
        return dx, both[..., 0], both[..., 1]

    def _solve(
        self, slope: FloatArray, load: FloatArray, *, least: bool
    ) -> tuple[FloatArray, FloatArray]:
        """x (N, n), and the multipliers of all programs' held rows, one after the other."""
        held, n = self.held, int(slope.shape[1])
        more: IntArray = held.sum(axis=1)
        ends = np.cumsum(n + more)
        upper = (ends - more - n)[:, None] + np.arange(n)
        lower = np.ones(ends.max(initial=0), dtype=np.bool_)
        lower[upper] = False
        both = np.empty(len(lower))
        both[upper], both[lower] = slope, load[held]
        for i, (size, end) in enumerate(zip((n + more).tolist(), ends.tolist(), strict=True)):
            part = both[end - size : end]
            if self.sound[i]:
                part[:], _ = cast(Any, lapack.dgetrs)(*self.factors[i], part)
            else:
                part[:] = self.factors[i].solve(part) if least else 0.0
        return both[upper], both[lower]

    def take(self, rows: IntArray) -> Model:
        """Some of the models."""
        factors = [self.factors[i] for i in rows]
        return Model(self.at.take(rows), self.turned[rows], factors, self.sound[rows])


def _regular(factors: list[tuple[Any, Any]], sizes: IntArray) -> BoolArray:
    """Matrices whose pivots are of comparable size."""
    if not factors:
        return np.zeros(0, dtype=np.bool_)
    pivots = np.abs(np.concatenate([lu.diagonal() for lu, _ in factors]))
    first = np.cumsum(sizes) - sizes
    return np.minimum.reduceat(pivots, first) > SINGULAR * np.maximum.reduceat(pivots, first)


def solve(
    cones: Cones,
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
    best = start if model is None else _iterate(cones, data, start, model, STEPS, share)
    rest = np.flatnonzero(~(best.error <= FINE)) if model is not None else np.arange(len(start))
    if not len(rest):
        return best
    return best.put(rest, _iterate(cones, data.take(rest), best.take(rest), None, steps, share))


def _iterate(
    cones: Cones, data: Dense, start: Point, model: Model | None, steps: int, share: float
) -> Point:
    # the error of the start was that of other data
    best = Point(start.x, start.v, start.y, np.full(len(start.x), np.inf))
    here, rows = start, np.arange(len(start.x))
    last, going = best.error, np.ones(len(start.x), dtype=np.bool_)
    first, enough = last, last
    for step in range(steps + 1):
        gap, error, y = residual(cones, data, here)
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
        used = Model.of(cones, data, here) if model is None else model
        dx, dv, dy = used.step(gap, least=True)
        here = Point(here.x + dx, here.v + dv, y + dy, error)
    return best
