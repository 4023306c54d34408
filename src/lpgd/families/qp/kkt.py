"""Implicit differentiation of the optimality conditions of a QP.

With R the active rows (equalities, active inequalities, active bounds as -e_i and e_i) and m their
cotangents, the adjoint (a, v) of a cotangent dx solves

    [ P + rho I   R' ] [a]     [dx]
    [     R       0  ] [v] = - [m ]

(math page, section 5, oracle). Variables at an active bound are eliminated first: their rows of R
are unit vectors, and most variables of an LP sit at a bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import splu

from lpgd.core.params import Params
from lpgd.core.problem import users
from lpgd.core.scaling import factors
from lpgd.core.solution import BoolArray, FloatArray
from lpgd.families.quadratic.structure import Structure

SINGULAR = 1e-11  # singular values below this, relative to the largest, count as zero
NOTHING = 1e-9  # of what pulls at a row: a multiplier below this is none
OFF = 1e-8  # residual of a singular system, relative to its right-hand side, that has no solution

Data = Mapping[str, Any]


class Found(NamedTuple):
    """The adjoint of one element, and what is known of it (see ``core.tilt.Adjoint``)."""

    a: FloatArray
    v: FloatArray
    degenerate: bool
    unsure: bool


class Element:
    """One element and its active rows; factorized once for each rho."""

    def __init__(self, problem: Structure, params: Params, element: int, held: BoolArray) -> None:
        data: dict[str, Any] = {k: p.values[p.index[element]] for k, p in params.items()}
        for name, pattern in problem.patterns.items():
            data[name] = pattern.matrix(data[name])
        self.problem, self.data, self.held = problem, data, held
        self.rows = _pick(held, problem, ("A", "G"))
        self.lower, self.upper = (_box(held, problem, name) for name in ("lb", "ub"))
        self.free = np.flatnonzero(~(self.lower | self.upper))
        mine = [data[name][held[problem.blocks[name]]] for name in ("A", "G") if name in data]
        self.R: Any = _stack(mine, problem.n)
        self._systems: dict[float, Saddle | Vertex] = {}

    def adjoint(self, weak: BoolArray, dx: FloatArray, dy: FloatArray, rho: float) -> Found:
        """Solve the system of the held rows, ``weak`` being those without a multiplier.

        Dependent rows get the least-squares solution of minimum norm.
        """
        a, v, known = self._solve(dx, np.where(self.held, dy, 0.0), rho)
        kink = weak.any() and self._pulls(weak, v, np.abs(dx).max(initial=0.0))
        return Found(a, v, bool(kink) or not known.unique, known.rough)

    def _pulls(self, weak: BoolArray, v: FloatArray, size: float) -> bool:
        """Whether a weak row has a multiplier that is more than rounding."""
        pull = np.abs(v)
        pull[self.rows] *= _largest(self.R)
        return bool((pull[weak] > NOTHING * max(size, pull.max(initial=0.0))).any())

    def _system(self, rho: float) -> Saddle | Vertex:
        if rho not in self._systems:
            B, found = self.R[:, self.free], None
            if "P" not in self.data and not rho and B.shape[0] == B.shape[1]:
                found = Vertex.of(B)
            if found is None:
                found = Saddle.of(_block(self.data, rho, self.free), _dense(B))
            self._systems[rho] = found
        return self._systems[rho]

    def _solve(
        self, dx: FloatArray, dy: FloatArray, rho: float
    ) -> tuple[FloatArray, FloatArray, Known]:
        data, R, free, system = self.data, self.R, self.free, self._system(rho)
        # the rows of bounds read -a_i = -m_i at lb and a_i = -m_i at ub; their mean where both hold
        count = np.maximum(1.0 * self.lower + self.upper, 1.0)
        a = (_box(dy, self.problem, "lb") - _box(dy, self.problem, "ub")) / count
        top, bottom = dx + _curve(data, rho, a), dy[self.rows] + R @ a
        a[free], w, off = system.solve(-top[free], -bottom)

        # multipliers of bounds follow from stationarity; a part of w in the null space is free
        pull = dx + _curve(data, rho, a) + R.T @ w
        null = system.null
        if null is not None:
            weight = (self.lower | self.upper) / np.sqrt(count)
            along = np.concatenate([null, -weight[:, None] * (R.T @ null)])
            w = w + null @ _least(along, -np.concatenate([w, -weight * pull]))
            pull = dx + _curve(data, rho, a) + R.T @ w
        known = system.known(users(self.problem)[0][free], off)
        return a, self._multipliers(w, -pull / count), known

    def _multipliers(self, w: FloatArray, net: FloatArray) -> FloatArray:
        v, blocks = np.zeros(len(self.held)), self.problem.blocks
        v[self.rows] = w
        if "lb" in blocks:
            v[blocks["lb"]] = np.where(self.lower, -net, 0.0)
        if "ub" in blocks:
            v[blocks["ub"]] = np.where(self.upper, net, 0.0)
        return v


def _least(matrix: FloatArray, rhs: FloatArray) -> FloatArray:
    """Least-squares solution; NaN where numbers overflowed."""
    if not (np.isfinite(matrix).all() and np.isfinite(rhs).all()):
        return np.full(int(matrix.shape[1]), np.nan)
    solution, *_ = linalg.lstsq(matrix, rhs)
    return np.asarray(solution, dtype=np.float64)


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
        r = factors(_largest(B))
        if sparse.issparse(B):
            scaled: Any = cast(Any, sparse.diags(r)) @ B
            solver = _sparse_solver(scaled.tocsc())
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
        factor: Any = cast(Any, splu)(B)
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
    factor : (LU factors, pivots) or None
    null : (l, d) float64 or None
        A basis of the null space of B', which may be empty; None of a regular matrix.
    """

    K: FloatArray
    split: int
    h: float
    r: FloatArray
    factor: tuple[FloatArray, FloatArray] | None
    null: FloatArray | None

    @classmethod
    def of(cls, H: FloatArray, B: FloatArray) -> Saddle:
        """Factorize."""
        k, size = len(H), len(H) + len(B)
        h = float(factors(np.abs(H).max(initial=0.0)))
        r = factors(np.abs(B).max(axis=1, initial=0.0))
        K = np.zeros((size, size))
        K[:k, :k], K[k:, :k], K[:k, k:] = h * H, r[:, None] * B, (r[:, None] * B).T
        if size == 0 or not np.isfinite(K).all():
            return cls(K, k, h, r, None, None)
        factor, pivots, flag = linalg.lapack.dgetrf(K)
        norm = np.abs(K).sum(axis=0).max()
        if flag == 0 and linalg.lapack.dgecon(factor, norm)[0] > SINGULAR:
            return cls(K, k, h, r, (factor, pivots), None)
        null = r[:, None] * linalg.null_space(K[k:, :k].T, rcond=SINGULAR)
        return cls(K, k, h, r, None, null)

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
            both = linalg.lapack.dgetrs(*self.factor, rhs)[0]
        else:
            both = linalg.lstsq(self.K, rhs, cond=SINGULAR, lapack_driver="gelsy")[0]
            most = np.abs(rhs).max(initial=0.0)
            off = float(np.abs(self.K @ both - rhs).max(initial=0.0) / (most or 1.0))
        return both[: self.split], self.r * both[self.split :] / self.h, off

    def known(self, own: BoolArray, off: float) -> Known:
        """What is known of a solution that is ``off``, over the user's ``own`` variables."""
        if self.null is None:
            return Known(unique=True, rough=False)
        flat = linalg.null_space(self.K[:, : self.split], rcond=SINGULAR)
        unique = not self.null.shape[1] and not (np.abs(flat[own]) > NOTHING).any() and off <= OFF
        return Known(unique, unique and not flat.shape[1])


def _pick(active: BoolArray, problem: Structure, names: tuple[str, ...]) -> BoolArray:
    chosen = np.zeros_like(active)
    for name in names:
        block = problem.blocks.get(name, slice(0, 0))
        chosen[block] = active[block]
    return chosen


def _box(values: Any, problem: Structure, name: str) -> Any:
    if name in problem.blocks:
        return values[problem.blocks[name]]
    return np.zeros(problem.n, dtype=values.dtype)


def _block(data: Data, rho: float, free: Any) -> FloatArray:
    H = data["P"][np.ix_(free, free)] if "P" in data else np.zeros((len(free), len(free)))
    return H + rho * np.eye(len(free))


def _curve(data: Data, rho: float, a: FloatArray) -> FloatArray:
    return rho * a + (data["P"] @ a if "P" in data else 0.0)


def _stack(parts: list[Any], n: int) -> Any:
    if any(sparse.issparse(part) for part in parts):
        return sparse.vstack(parts, format="csr")
    return np.concatenate([np.zeros((0, n)), *parts])


def _largest(matrix: Any) -> FloatArray:
    """The largest absolute value of each row."""
    if sparse.issparse(matrix):
        found: Any = cast(Any, abs)(matrix)
        return np.asarray(found.max(axis=1).todense(), dtype=np.float64).ravel()
    return np.abs(matrix).max(axis=1, initial=0.0)


def _dense(matrix: Any) -> FloatArray:
    full: FloatArray = matrix.toarray() if hasattr(matrix, "toarray") else matrix
    return full
