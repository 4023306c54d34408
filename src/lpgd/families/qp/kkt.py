"""Implicit differentiation of the optimality conditions of a QP.

With R the active rows (equalities, active inequalities, active bounds as -e_i and e_i) and m their
cotangents, the adjoint (a, v) of a cotangent dx solves

    [ P + rho I   R' ] [a]     [dx]
    [     R       0  ] [v] = - [m ]

(math page, section 5, oracle). Variables at an active bound are eliminated first: their rows of R
are unit vectors, and most variables of an LP sit at a bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import linalg, sparse

from lpgd.core.params import Params
from lpgd.core.problem import users
from lpgd.core.scaling import factors
from lpgd.core.solution import BoolArray, FloatArray
from lpgd.families.quadratic.structure import Structure

SINGULAR = 1e-11  # singular values below this, relative to the largest, count as zero
NOTHING = 1e-9  # of what pulls at a row: a multiplier below this is none
ROUNDS = 8  # of balancing: each halves the logarithms of what is to be made alike
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
        self._systems: dict[float, Saddle] = {}

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

    def _system(self, rho: float) -> Saddle:
        if rho not in self._systems:
            H, B = _block(self.data, rho, self.free), _dense(self.R[:, self.free])
            self._systems[rho] = Saddle.of(H, B)
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
        r = factors(np.abs(B).max(axis=1, initial=0.0))
        K = np.zeros((size, size))
        K[:k, :k], K[k:, :k], K[:k, k:] = h * H, r[:, None] * B, (r[:, None] * B).T
        if size == 0 or not np.isfinite(K).all():
            return cls(K, k, h, r, None, None, None)
        factor = _factorized(K)
        if factor is not None:
            return cls(K, k, h, r, None, factor, None)
        unit = _units(K)
        factor = None if unit is None else _factorized(unit[:, None] * K * unit)
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
    return np.abs(_dense(matrix)).max(axis=1, initial=0.0)


def _dense(matrix: Any) -> FloatArray:
    full: FloatArray = matrix.toarray() if hasattr(matrix, "toarray") else matrix
    return full
