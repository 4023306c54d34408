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
from typing import Any, NamedTuple, cast

import numpy as np
from scipy import linalg, sparse

from lpgd.core.params import Params
from lpgd.core.problem import users
from lpgd.core.solution import BoolArray, FloatArray, IntArray
from lpgd.families.qp.entries import restricted
from lpgd.families.qp.saddle import NOTHING, Known, Saddle, Vertex, largest
from lpgd.families.quadratic.structure import Structure

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
        names = [name for name in ("A", "G") if name in data]
        mine = [_held(data[name], held[problem.blocks[name]]) for name in names]
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
        pull[self.rows] *= largest(self.R)
        return bool((pull[weak] > NOTHING * max(size, pull.max(initial=0.0))).any())

    def _system(self, rho: float) -> Saddle | Vertex:
        if rho not in self._systems:
            B, found = _columns(self.R, self.free), None
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


def _held(matrix: Any, held: BoolArray) -> Any:
    """The rows that are held."""
    if not cast(bool, sparse.issparse(matrix)):
        return matrix[held]
    return restricted(matrix, np.flatnonzero(held), None)


def _columns(R: Any, free: IntArray) -> Any:
    """Some of the columns."""
    if not cast(bool, sparse.issparse(R)):
        return R[:, free]
    return restricted(R, None, free)


def _stack(parts: list[Any], n: int) -> Any:
    if len(parts) == 1:
        return parts[0]
    if any(sparse.issparse(part) for part in parts):
        return sparse.vstack(parts, format="csr")
    return np.concatenate([np.zeros((0, n)), *parts])


def _dense(matrix: Any) -> FloatArray:
    full: FloatArray = matrix.toarray() if hasattr(matrix, "toarray") else matrix
    return full
