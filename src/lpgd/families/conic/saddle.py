"""Large sparse saddle systems of one element, which may be singular."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, cast

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import lsqr, splu

from lpgd.core.solution import FloatArray

SINGULAR = 1e-11  # pivots below this, relative to the largest, count as zero
LEAST = 1e-14  # relative accuracy of least-squares solutions of systems without a solution
SHIFT = 1e-8  # of the largest entry of a singular matrix: what makes it regular
ROUNDS, CLOSE = 20, 1e-12  # steps to a relative residual


def solved(
    hessian: Any, rows: Any, spare: FloatArray, rhs: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray, bool]:
    """Solve [[hessian, rows'], [rows, -spare]], and tell whether the matrix is regular."""
    n = len(rhs[0])
    # neither the units of the costs or a row nor a curvature near zero shall make it look singular
    curve: float = np.abs(hessian.data).max(initial=0.0)
    lift = 1 / np.sqrt(curve) if curve > 0 else 1.0
    sizes = np.maximum(lift * abs(rows).max(axis=1).toarray().ravel(), np.sqrt(spare))
    unit = 1 / np.where(sizes > 0, sizes, 1.0)
    scaled = sparse.diags(lift * unit) @ rows
    K: Any = sparse.bmat(
        [[lift**2 * hessian, scaled.T], [scaled, sparse.diags(-spare * unit**2)]], format="csc"
    )
    both, sound = np.concatenate([lift * rhs[0], unit * rhs[1]]), False
    if not (np.isfinite(K.data).all() and np.isfinite(both).all()):
        return np.full(n, np.nan), np.full(len(unit), np.nan), False
    with suppress(RuntimeError):  # exactly singular
        factor: Any = cast(Any, splu)(K)
        pivots: FloatArray = np.abs(factor.U.diagonal())
        if pivots.min(initial=np.inf) > SINGULAR * pivots.max(initial=0.0):
            both, sound = factor.solve(both), True
    if not sound:
        found = _least(K, both, n)
        if found is None:
            found = cast(Any, lsqr)(K, both, atol=LEAST, btol=LEAST, iter_lim=20 * len(both))[0]
        both = found
    return lift * both[:n], unit * both[n:], sound


def _least(K: Any, rhs: FloatArray, n: int) -> FloatArray | None:
    """The solution of minimum norm of a singular system, if it has solutions.

    K + shift J, J = diag(I, -I) over n variables and the rows, is regular. As K is a saddle, its
    null space is one of variables times one of rows, which J maps to itself, as it does the range.
    Steps (K + shift J)^-1 (rhs - K z) from z = 0 therefore stay in the range, where the solution of
    minimum norm lies.
    """
    sign = np.where(np.arange(len(rhs)) < n, 1.0, -1.0)
    shifted = (K + sparse.diags(SHIFT * abs(K).max() * sign)).tocsc()
    size, z = np.abs(rhs).max(initial=0.0), np.zeros_like(rhs)
    with suppress(RuntimeError):
        factor: Any = cast(Any, splu)(shifted)
        for _ in range(ROUNDS):
            gap = rhs - K @ z
            if np.abs(gap).max(initial=0.0) <= CLOSE * size:
                return z
            z = z + factor.solve(gap)
    return None
