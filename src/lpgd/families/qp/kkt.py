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
from typing import Any

import numpy as np
from scipy import linalg, sparse

from lpgd.core.params import Params
from lpgd.core.scaling import factors
from lpgd.core.solution import BoolArray, FloatArray, Solution
from lpgd.core.tilt import Cotangent
from lpgd.families.quadratic.structure import Structure

ACTIVE = 1e-7  # a slack or multiplier below this, relative to its own data, counts as zero
EPS = 1e-9  # rounding in x, relative to its largest entry
SINGULAR = 1e-11  # singular values below this, relative to the largest, count as zero

Data = Mapping[str, Any]


def adjoint(
    problem: Structure, params: Params, point: Solution, cotangent: Cotangent, rho: float
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Solve the adjoint system for every row of the cotangent.

    Every constraint that is active within tolerance is held, weakly active ones too; dependent
    rows get the least-squares solution of minimum norm. On such elements the derivative is not
    unique, and other conventions give other gradients.

    Returns
    -------
    a : (N, n) float64
    v : (N, m) float64
        Zero for inactive constraints.
    degenerate : (N,) bool
        Whether the element has weakly active constraints or dependent rows.
    """
    a, v = np.zeros_like(point.x), np.zeros_like(point.y)
    degenerate = np.zeros(len(point), dtype=np.bool_)
    for row, element in enumerate(cotangent.rows):
        data: dict[str, Any] = {k: p.values[p.index[element]] for k, p in params.items()}
        for name, pattern in problem.patterns.items():
            data[name] = pattern.matrix(data[name])
        active, weak = _active(problem, data, point.x[row], point.y[row])
        dy = np.where(active, cotangent.dy[row], 0.0)
        a[row], v[row], dependent = _solve(problem, data, active, cotangent.dx[row], dy, rho)
        degenerate[row] = weak or dependent
    return a, v, degenerate


def _active(problem: Structure, data: Data, x: FloatArray, y: FloatArray) -> tuple[BoolArray, bool]:
    slack, size = np.zeros_like(y), np.ones_like(y)
    rounding = EPS * np.abs(x).max(initial=0.0)
    for name, block in problem.blocks.items():
        if name == "G":
            slack[block] = data["h"] - data["G"] @ x
            size[block] = np.maximum(np.abs(data["h"]), abs(data["G"]) @ np.abs(x))
        elif name != "A":
            slack[block] = np.abs(x - data[name])
            # a bound far from x has no say in what is near it
            size[block] = np.minimum(np.abs(data[name]), np.abs(x)) + rounding / ACTIVE
    tight = slack <= ACTIVE * size
    tight[problem.blocks.get("A", slice(0, 0))] = True
    loaded = y > ACTIVE * max(np.abs(y).max(initial=0.0), np.abs(data["q"]).max(initial=0.0))
    unloaded = tight & ~loaded
    unloaded[problem.blocks.get("A", slice(0, 0))] = False  # an equality is never weak
    return tight | loaded, bool(unloaded.any())


def _solve(
    problem: Structure, data: Data, active: BoolArray, dx: FloatArray, dy: FloatArray, rho: float
) -> tuple[FloatArray, FloatArray, bool]:
    rows = _pick(active, problem, ("A", "G"))
    lower, upper = (_box(active, problem, name) for name in ("lb", "ub"))
    held = [data[name][active[problem.blocks[name]]] for name in ("A", "G") if name in data]
    R = _stack(held, problem.n)

    # the rows of bounds read -a_i = -m_i at lb and a_i = -m_i at ub; their mean where both hold
    m_lower, m_upper = (_box(dy, problem, name) for name in ("lb", "ub"))
    a = (m_lower - m_upper) / np.maximum(1.0 * lower + upper, 1.0)
    free = np.flatnonzero(~(lower | upper))
    top, bottom = dx + _curve(data, rho, a), dy[rows] + R @ a
    H = _block(data, rho, free)
    B = _dense(R[:, free])
    a[free], w, null = _saddle(H, B, -top[free], -bottom)

    # multipliers of bounds follow from stationarity; a part of w in the null space is free
    pull = dx + _curve(data, rho, a) + R.T @ w
    weight = np.where(lower & upper, np.sqrt(0.5), 1.0) * (lower | upper)
    if null is not None:
        along = np.concatenate([null, -weight[:, None] * (R.T @ null)])
        w = w + null @ _least(along, -np.concatenate([w, -weight * pull]))
        pull = dx + _curve(data, rho, a) + R.T @ w
    net = -pull / np.maximum(1.0 * lower + upper, 1.0)
    v = np.zeros_like(dy)
    v[rows] = w
    if "lb" in problem.blocks:
        v[problem.blocks["lb"]] = np.where(lower, -net, 0.0)
    if "ub" in problem.blocks:
        v[problem.blocks["ub"]] = np.where(upper, net, 0.0)
    return a, v, null is not None


def _least(matrix: FloatArray, rhs: FloatArray) -> FloatArray:
    """Least-squares solution; NaN where numbers overflowed."""
    if not (np.isfinite(matrix).all() and np.isfinite(rhs).all()):
        return np.full(matrix.shape[1], np.nan)
    return np.asarray(linalg.lstsq(matrix, rhs)[0], dtype=np.float64)


def _saddle(
    H: FloatArray, B: FloatArray, f: FloatArray, g: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray | None]:
    """Solve [[H, B'], [B, 0]] (a, w) = (f, g).

    Returns a, w and, where the system is singular (then a, w is the least-squares solution of
    minimum norm), a basis of the null space of B', which may be empty.
    """
    k, size = len(f), len(f) + len(g)
    if size == 0:
        return f, g, None
    # neither the units of the costs nor those of a row shall make the system look singular
    h = factors(np.abs(H).max(initial=0.0))
    r = factors(np.abs(B).max(axis=1, initial=0.0))
    K = np.zeros((size, size))
    K[:k, :k], K[k:, :k], K[:k, k:] = h * H, r[:, None] * B, (r[:, None] * B).T
    rhs = np.concatenate([h * f, r * g])
    if not (np.isfinite(K).all() and np.isfinite(rhs).all()):
        return np.full(k, np.nan), np.full(len(g), np.nan), None
    factor, pivots, flag = linalg.lapack.dgetrf(K)
    norm = np.abs(K).sum(axis=0).max()
    if flag == 0 and linalg.lapack.dgecon(factor, norm)[0] > SINGULAR:
        both, null = linalg.lapack.dgetrs(factor, pivots, rhs)[0], None
    else:
        both = linalg.lstsq(K, rhs, cond=SINGULAR, lapack_driver="gelsy")[0]
        null = r[:, None] * linalg.null_space(K[k:, :k].T, rcond=SINGULAR)
    return both[:k], r * both[k:] / h, null


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


def _dense(matrix: Any) -> FloatArray:
    full: FloatArray = matrix.toarray() if hasattr(matrix, "toarray") else matrix
    return full
