"""Newton's method on the optimality conditions of dense cone programs, and their adjoint.

With v = y - s and Pi the projection on the dual cone, the conditions are the equations

    P x + q + A' Pi(v) = 0,    A x + Pi(v) - v - b = 0.

In the coordinates of the derivative of Pi (eigenvalues d, see ``projections``) rows with d = 1 are
equations for x, rows with d < 1 add the curvature d / (1 - d) of the cone's boundary to P:

    [ P + B'WB   E' ] [dx]
    [    E       0  ] [u ]

B the turned rows of A, W the curvatures, E the rows of B with d = 1. The matrix is symmetric.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from lpgd.problems.cones import Cones
from lpgd.problems.projections import Projected, project
from lpgd.scaling import factors
from lpgd.solution import BoolArray, FloatArray, IntArray

HELD = 1e-9  # rows whose d is this close to 1 are equations
SINGULAR = 1e-11  # singular values below this, relative to the largest, count as zero


@final
@dataclass(frozen=True)
class Dense:
    """Data of N cone programs as dense arrays, in units in which y and s have one size.

    Attributes
    ----------
    P : (N, n, n) float64
    q : (N, n) float64
    A : (N, m, n) float64
    b : (N, m) float64
    """

    cones: Cones
    P: FloatArray
    q: FloatArray
    A: FloatArray
    b: FloatArray

    def take(self, rows: IntArray) -> Dense:
        """Some of the programs."""
        return Dense(self.cones, *(part[rows] for part in (self.P, self.q, self.A, self.b)))

    def residual(self, x: FloatArray, v: FloatArray) -> tuple[FloatArray, FloatArray, Projected]:
        """Both sides of the equations, (N, n) and (N, m), and the projection of v."""
        at = project(self.cones, v)
        pull = (self.P @ x[..., None] + (at.y[:, None] @ self.A).swapaxes(1, 2))[..., 0]
        return pull + self.q, (self.A @ x[..., None])[..., 0] + at.s - self.b, at


    def newton(
        self, at: Projected, gap: tuple[FloatArray, FloatArray]
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Steps of x, v and y that cancel both sides of the equations to first order."""
        turned, load = at.turned(self.A), -at.turned(gap[1][..., None])
        held = at.share > 1 - HELD
        rest = np.where(held, 1.0, 1 - at.share)[..., None]
        curve = np.where(held, 0.0, at.share)[..., None] / rest
        mirror = np.ascontiguousarray(turned.swapaxes(1, 2))
        hessian = self.P + mirror @ (curve * turned)
        slope = mirror @ (curve * load) - gap[0][..., None]
        dx, u = np.empty_like(slope), np.empty_like(load)
        count = held.sum(axis=1)
        order = np.argsort(~held, axis=1, kind="stable")
        for size in np.unique(count):
            rows = np.flatnonzero(count == size)
            places = rows[:, None], order[rows, :size]
            dx[rows], u[places] = _saddle(
                hessian[rows], turned[places], slope[rows], load[places]
            )
        u = np.where(held[..., None], u, (turned @ dx - load) / rest)
        both = at.turned_back(np.concatenate([u, at.share[..., None] * u], axis=2))
        return dx[..., 0], both[..., 0], both[..., 1]


def _saddle(
    H: FloatArray, E: FloatArray, slope: FloatArray, load: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Solve [[H, E'], [E, 0]] (dx, u) = (slope, load) for every row."""
    n, e = H.shape[1], E.shape[1]
    K = np.zeros((len(H), n + e, n + e))
    K[:, :n, :n], K[:, n:, :n] = H, E
    K[:, :n, n:] = E.swapaxes(1, 2)
    right = np.concatenate([slope, load], axis=1)
    try:
        both = np.linalg.solve(K, right)
    except np.linalg.LinAlgError:
        both = np.stack([_least(*pair) for pair in zip(K, right, strict=True)])
    return both[:, :n], both[:, n:]


def _least(K: FloatArray, right: FloatArray) -> FloatArray:
    try:
        return np.linalg.solve(K, right)
    except np.linalg.LinAlgError:
        return np.linalg.lstsq(K, right, rcond=SINGULAR)[0]
