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
from scipy.linalg import lapack, null_space

from lpgd.core.solution import BoolArray, FloatArray, IntArray
from lpgd.families.conic.cones import Cones
from lpgd.families.conic.equations import Dense, Gap, Point, residual
from lpgd.families.conic.projections import Derivative, curved, derive

HELD = 1e-9  # rows whose d is this close to 1 are equations
SINGULAR = 1e-11  # pivots or singular values below this, relative to the largest, count as zero
OFF = 1e-8  # relative residual of a singular system in which units decide
SWEEPS = 4  # that bring the entries of a matrix near 1
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
    hessians : list of (n, n) float64
        P + B'WB.
    factors : list of (LU factors, pivots)
    sound : (N,) bool
        Whether the matrix is regular.
    """

    at: Derivative
    turned: FloatArray
    hessians: list[FloatArray]
    factors: list[tuple[Any, Any]]
    sound: BoolArray

    @classmethod
    def of(cls, cones: Cones, data: Dense, point: Point) -> Model:
        """Factorize at these points."""
        at = derive(cones, point.v, point.s)
        turned, held = at.turned(data.A), at.share > 1 - HELD
        bent = curved(cones)
        curve = np.where(held, 0.0, at.share / np.where(held, 1.0, 1 - at.share))[:, bent, None]
        rows = turned.take(bent, axis=1)
        hessian = data.P + np.ascontiguousarray(rows.swapaxes(1, 2)) @ (curve * rows)
        sizes = hessian.shape[1] + held.sum(axis=1)
        spans = sizes**2 + sizes % 2  # some kernels of LAPACK round by whether 16 divides addresses
        starts = np.cumsum(spans) - spans
        room = np.zeros(spans.sum())  # one block of memory
        factors: list[tuple[Any, Any]] = []
        for i, start in enumerate(starts.tolist()):
            K = _assemble(hessian[i], turned[i, held[i]], room[start:])
            factors.append(cast(Any, lapack.dgetrf)(K.T, overwrite_a=True)[:2])
        return cls(at, turned, list(hessian), factors, _regular(factors, sizes))

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
            elif least:
                rows, room = self.turned[i, held[i]], np.zeros(len(part) ** 2)
                K = _assemble(self.hessians[i], rows, room)
                if not (np.isfinite(K).all() and np.isfinite(part).all()):  # LAPACK may not return
                    part[:] = np.nan
                    continue
                part[:] = _least(K, part)
            else:
                part[:] = 0
        return both[upper], both[lower]

    def null(self, row: int) -> FloatArray | None:
        """Ways (n, d) along which a singular program's x is free; None for dependent rows."""
        equations = self.turned[row, self.held[row]]
        if not np.isfinite(self.hessians[row]).all() or len(equations) > equations.shape[1]:
            return None
        sizes = np.linalg.svd(equations, compute_uv=False)
        if len(sizes) and sizes[-1] <= SINGULAR * sizes[0]:
            return None
        return null_space(np.concatenate([self.hessians[row], equations]), rcond=SINGULAR)

    def take(self, rows: IntArray) -> Model:
        """Some of the models."""
        return Model(
            self.at.take(rows), self.turned[rows], [self.hessians[i] for i in rows],
            [self.factors[i] for i in rows], self.sound[rows],
        )  # fmt: skip


def _least(K: FloatArray, rhs: FloatArray) -> FloatArray:
    """The least-squares solution of minimum norm, in units in which K solves best.

    Curvature may be so large that what else is in K looks like nothing beside it.
    """
    lstsq: Any = np.linalg.lstsq
    found = lstsq(K, rhs, rcond=SINGULAR)[0]
    if np.abs(K @ found - rhs).max(initial=0.0) <= OFF * np.abs(rhs).max(initial=0.0):
        return found
    unit = np.ones(len(K))
    for _ in range(SWEEPS):
        sizes = (np.abs(K) * unit).max(axis=1, initial=0.0) * unit
        unit = unit / np.sqrt(np.where(sizes > 0, sizes, 1.0))
    return unit * lstsq(unit[:, None] * K * unit, unit * rhs, rcond=SINGULAR)[0]


def _assemble(hessian: FloatArray, equations: FloatArray, room: FloatArray) -> FloatArray:
    """The symmetric matrix of a step, in place of zeros."""
    n, k = len(hessian), len(hessian) + len(equations)
    K = room[: k * k].reshape(k, k)
    K[:n, :n], K[n:, :n], K[:n, n:] = hessian, equations, equations.T
    return K


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
    best = Point(start.x, start.v, start.s, np.full(len(start.x), np.inf))
    here, rows = start, np.arange(len(start.x))
    last, going = best.error, np.ones(len(start.x), dtype=np.bool_)
    first, enough = last, last
    for step in range(steps + 1):
        gap, error, y = residual(cones, data, here)
        better = going & (error < best.error[rows])
        met = Point(here.x, here.v, here.s, error)
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
        here = Point(here.x, here.v, y - here.v, error)
        used = Model.of(cones, data, here) if model is None else model
        dx, dv, dy = used.step(gap, least=True)
        here = Point(here.x + dx, here.v + dv, here.s + dy - dv, error)
    return best
