"""The symmetric systems [[H, B'], [B, 0]] of one element, factorized."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import splu

from lpgd.core.scaling import LOST, factors, top
from lpgd.core.solution import BoolArray, FloatArray

SINGULAR = 1e-11  # singular values below this, relative to the largest, count as zero
NOTHING = 1e-9  # a move, or a multiplier beside what pulls at its row, below this is none
ROUNDS = 8  # of balancing: each halves the logarithms of what is to be made alike
STRAY = 2.0**-60  # of an entry times the largest, beside the largest ones of row and column
OPEN = 1e-9  # weight of the logarithm of a unit itself
TINY, FAR = 1e-300, 1000  # least size, largest power
OFF = 1e-8  # residual of a singular system, relative to its right-hand side, that has no solution


class Known(NamedTuple):
    """Whether a solution is unique over the user's variables, and whether rounding decides."""

    unique: bool
    rough: bool


@dataclass(frozen=True)
class Vertex:
    """The same system at a vertex: H = 0 and B square and regular, so that each half is its own.

    Attributes
    ----------
    r : (l,) float64
        Units of the rows.
    solve_with : callable
        Solves with B in these units ("N"), or with its transpose ("T").
    """

    r: FloatArray
    solve_with: Callable[[FloatArray, str], FloatArray]
    null: None = None

    @classmethod
    def of(cls, B: Any) -> Vertex | None:
        """Factorize; None for a matrix that looks singular."""
        r = factors(largest(B))
        if cast(bool, sparse.issparse(B)):
            scaled: Any = B.tocsc()
            scaled.data *= r[scaled.indices]
            solver = _sparse_solver(scaled)
        else:
            solver = _dense_solver(r[:, None] * B)
        return None if solver is None else cls(r, solver)

    def solve(self, f: FloatArray, g: FloatArray) -> tuple[FloatArray, FloatArray, float]:
        """See ``Saddle.solve``."""
        return self.solve_with(self.r * g, "N"), self.r * self.solve_with(f, "T"), 0.0

    def known(self, own: BoolArray, off: float) -> Known:
        """All is known; see ``Saddle.known``."""
        return Known(unique=True, rough=False)


def _sparse_solver(B: Any) -> Callable[[FloatArray, str], FloatArray] | None:
    if not (B.shape[0] and np.isfinite(B.data).all()):
        return None
    try:
        # bases have few entries: supernodes made by force, SuperLU's default, double its time
        factor: Any = cast(Any, splu)(B, relax=1)
    except RuntimeError:  # exactly singular
        return None
    pivots = np.abs(factor.U.diagonal())
    if not pivots.min() > SINGULAR * pivots.max():
        return None
    return lambda rhs, way: factor.solve(rhs, way)


def _dense_solver(B: FloatArray) -> Callable[[FloatArray, str], FloatArray] | None:
    if not (len(B) and np.isfinite(B).all()):
        return None
    lapack: Any = linalg.lapack
    lu, pivots, failed = lapack.dgetrf(B)
    if failed or not lapack.dgecon(lu, np.abs(B).sum(axis=0).max())[0] > SINGULAR:
        return None
    return lambda rhs, way: lapack.dgetrs(lu, pivots, rhs, trans=int(way == "T"))[0]


@dataclass(frozen=True)
class Saddle:
    """[[H, B'], [B, 0]], factorized where it is regular.

    Attributes
    ----------
    h, r : float, (l,) float64
        Units: neither those of the costs nor those of a row shall make it look singular.
    unit : (k + l,) float64 or None
        Nor those of a variable: what was factorized had its rows and columns multiplied by these.
    factor : (LU factors, pivots) or None
    null : (l, d) float64 or None
        A basis of the null space of B', which may be empty; None of a regular matrix.
    """

    K: FloatArray
    split: int
    h: float
    r: FloatArray
    unit: FloatArray | None
    factor: tuple[FloatArray, FloatArray] | None
    null: FloatArray | None

    @classmethod
    def of(cls, H: FloatArray, B: FloatArray) -> Saddle:
        """Factorize."""
        k, size = len(H), len(H) + len(B)
        h = float(factors(np.abs(H).max(initial=0.0)))
        r = factors(top(B))
        K = np.zeros((size, size))
        K[:k, :k], K[k:, :k], K[:k, k:] = h * H, r[:, None] * B, (r[:, None] * B).T
        if size == 0 or not np.isfinite(K).all():
            return cls(K, k, h, r, None, None, None)
        factor = _factorized(K)
        if factor is not None:
            return cls(K, k, h, r, None, factor, None)
        for unit in _tries(K):
            factor = _factorized(unit[:, None] * K * unit)
            if factor is not None:
                return cls(K, k, h, r, unit, factor, None)
        null = r[:, None] * linalg.null_space(K[k:, :k].T, rcond=SINGULAR)
        return cls(K, k, h, r, None, None, null)

    def solve(self, f: FloatArray, g: FloatArray) -> tuple[FloatArray, FloatArray, float]:
        """The solution for (f, g), of a singular matrix that of least squares and minimum norm.

        The last is the relative residual; NaN where numbers overflowed.
        """
        rhs, off = np.concatenate([self.h * f, self.r * g]), 0.0
        if not len(rhs):
            return f, g, off
        if not (np.isfinite(self.K).all() and np.isfinite(rhs).all()):
            return np.full(len(f), np.nan), np.full(len(g), np.nan), off
        if self.factor is not None:
            unit = 1.0 if self.unit is None else self.unit
            both = unit * linalg.lapack.dgetrs(*self.factor, unit * rhs)[0]
        else:
            both = self._least(rhs)
            most = np.abs(rhs).max(initial=0.0)
            off = float(np.abs(self.K @ both - rhs).max(initial=0.0) / (most or 1.0))
        return both[: self.split], self.r * both[self.split :] / self.h, off

    def _least(self, rhs: FloatArray) -> FloatArray:
        """The least-squares solution of minimum norm; each half of its own where H = 0."""
        k, K = self.split, self.K
        if K[:k, :k].any() or k in (0, len(K)):
            return linalg.lstsq(K, rhs, cond=SINGULAR, lapack_driver="gelsy")[0]
        halves = (K[k:, :k], rhs[k:]), (K[:k, k:], rhs[:k])
        found = [linalg.lstsq(*half, cond=SINGULAR, lapack_driver="gelsy")[0] for half in halves]
        return np.concatenate(found)

    def known(self, own: BoolArray, off: float) -> Known:
        """What is known of a solution that is ``off``, over the user's ``own`` variables."""
        if self.null is None:
            return Known(unique=True, rough=False)
        flat = linalg.null_space(self.K[:, : self.split], rcond=SINGULAR)
        unique = not self.null.shape[1] and not (np.abs(flat[own]) > NOTHING).any() and off <= OFF
        return Known(unique, unique and not flat.shape[1])


def _factorized(K: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """LU factors and pivots of a matrix that is safely regular."""
    factor, pivots, flag = linalg.lapack.dgetrf(K)
    norm = np.abs(K).sum(axis=0).max()
    regular = flag == 0 and linalg.lapack.dgecon(factor, norm)[0] > SINGULAR
    return (factor, pivots) if regular else None


def _units(K: FloatArray) -> FloatArray | None:
    """Powers of two that make the largest entries of rows and columns alike (Ruiz, 2001).

    None where that changes little, or a row is zero.
    """
    sizes, unit = np.abs(K), np.ones(len(K))
    if not (sizes.max(axis=1) > 0).all():
        return None
    for _ in range(ROUNDS):
        more = factors(np.sqrt(sizes.max(axis=1)))
        if (more == 1).all():
            break
        unit *= more
        sizes *= more[:, None] * more
    return unit if (unit != 1).any() else None


def _tries(K: FloatArray) -> Iterator[FloatArray]:
    """Units in which a matrix may be regular."""
    first = _units(K)
    if first is not None:
        yield first
    sizes = np.abs(K)
    tops, every = np.maximum(sizes.max(axis=1), TINY), sizes > LOST
    near = every & (sizes / tops * sizes.max() >= STRAY * tops[:, None])
    yield _means(sizes, near)
    if not (near == every).all():
        yield _means(sizes, every)


def _means(sizes: FloatArray, known: BoolArray) -> FloatArray:
    """Powers of two that make the entries alike in the mean of logarithms (Curtis, Reid, 1972).

    The largest ones may be alike and hide that others, without which K is singular, are small.
    Entries that few units bring near the largest ones of their row and column have no say.
    """
    logs: FloatArray = np.log2(np.where(known, sizes, 1.0))
    count: FloatArray = np.maximum(np.add.reduce(known, axis=1, dtype=np.float64), 1.0)
    # what the logarithms leave open, rows against columns, stays small
    normal = np.diag(count * (1 + OPEN)) + known
    power: FloatArray = cast(Any, np.linalg).solve(normal, -np.add.reduce(logs, axis=1))
    return np.exp2(np.round(np.clip(power, -FAR, FAR)))


def largest(matrix: Any) -> FloatArray:
    """The largest absolute value of each row; sparse matrices in compressed rows."""
    if not cast(bool, sparse.issparse(matrix)):
        return top(matrix)
    starts, found = matrix.indptr, np.zeros(matrix.shape[0])
    filled = np.flatnonzero(np.diff(starts))
    if len(filled):
        found[filled] = np.maximum.reduceat(np.abs(matrix.data), starts[filled])
    return found
