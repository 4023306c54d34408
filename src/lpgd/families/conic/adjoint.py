"""The adjoint of the optimality conditions of cone programs.

Of small programs by dense matrices, those of a step of Newton's method (see ``newton``). Of large
sparse ones, with d and B the eigenvalues and the turned rows of the projection's derivative, by

    [ P + rho I       B'     ] [a]     [dx]
    [     B      -(1 - d)/d  ] [w] = - [dy]

over the rows with d > 0, each of the others having w = 0; dy is turned like B, and v is w turned
back. Eliminating the rows with d < 1 gives the dense system.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import lsqr, splu

from lpgd.core.params import Params
from lpgd.core.solution import BoolArray, FloatArray, IntArray, Solution
from lpgd.core.tilt import Adjoint, Cotangent
from lpgd.families.conic.cones import Cones
from lpgd.families.conic.newton import SINGULAR, Model, Point
from lpgd.families.conic.projections import Derivative, derive
from lpgd.families.conic.reduction import Linear, Matrices, Reduction, balance
from lpgd.families.quadratic.structure import Structure

LARGE = 500  # variables and rows beyond which sparse matrices stay sparse
LEAST = 1e-14  # relative accuracy of least-squares solutions of sparse systems
WEAK = 1e-9  # multipliers minus slacks below this, relative to the largest, count as zero


def adjoint(
    plan: Reduction[Any], params: Params, point: Solution, cotangent: Cotangent, rho: float
) -> Adjoint:
    """Solve the adjoint of the optimality conditions for every row of the cotangent.

    The derivative of the solution as q moves along dx and b against dy, s being b - Ax. Nonnegative
    rows are held where slack and multiplier are zero within rounding; a singular system gets its
    least-squares solution of minimum norm. There the derivative is not unique.
    """
    params = {name: param.take(cotangent.rows) for name, param in params.items()}
    conic, cotangent = plan.conic, plan.conic.folded(params, cotangent)
    dx = cotangent.dx
    linear = (dx, -cotangent.dy)
    matrices = {"A", "P"} if conic.quadratic else {"A"}
    if conic.n + conic.m > LARGE and matrices <= conic.patterns.keys():
        return _sparse(conic, params, point, linear, rho)
    matrices = plan.matrices(params)
    zero = np.logical_or.reduce(matrices.pivots == 0, axis=1)
    if not zero.any():
        return _adjoint(plan, matrices, params, point, linear, rho)
    a, v, degenerate = np.empty_like(dx), np.empty_like(cotangent.dy), zero.copy()
    for rows, form in ((~zero, plan), (zero, Reduction[Any].whole(plan.conic))):
        some, at = {name: param.take(rows) for name, param in params.items()}, point.take(rows)
        load = linear[0][rows], linear[1][rows]
        part = _adjoint(form, form.matrices(some), some, at, load, rho)
        a[rows], v[rows], degenerate[rows] = part.a, part.v, part.degenerate
    return Adjoint(a, v, degenerate)


def _adjoint(
    plan: Reduction[Any],
    matrices: Matrices,
    params: Params,
    point: Solution,
    linear: Linear,
    rho: float,
) -> Adjoint:
    slacks = plan.conic.slacks(params, point.x)
    matrices = plan.balanced(matrices, params, point.y, slacks)
    if rho:
        matrices = matrices.augmented(np.full(len(point), rho))
    moved = plan.data(matrices, linear)
    at, weak = _held(plan.cones, plan.enter(matrices, point, slacks))
    model = Model.of(plan.cones, moved, at)
    a, _, y = model.step((moved.q, -moved.b), least=True)
    found = plan.leave(matrices, linear, a, y)
    return Adjoint(*found, degenerate=weak | ~model.sound)


def _sparse(
    conic: Structure, params: Params, point: Solution, linear: Linear, rho: float
) -> Adjoint:
    slacks = conic.slacks(params, point.x)
    units = balance(params, point.y, slacks)
    start = point.y * units[:, None] - slacks
    at, degenerate = _held(conic.cones, Point(point.x, start, slacks, np.zeros(len(point))))
    derivative = derive(conic.cones, at.v, at.s)
    load = derivative.turned(linear[1][..., None])[..., 0]
    a, w = np.zeros_like(linear[0]), np.zeros_like(load)
    for i in range(len(point)):
        given = {name: params[name].take(np.array([i])).full()[0] for name in conic.patterns}
        form = {name: pattern.matrix(given[name]) for name, pattern in conic.patterns.items()}
        rows = np.flatnonzero(derivative.share[i] > 0)
        B = (_turn(derivative, i) @ form["A"]).tocsr()[rows]
        hessian = units[i] * (
            form.get("P", 0 * sparse.identity(conic.n)) + rho * sparse.identity(conic.n)
        )
        spare = (1 - derivative.share[i, rows]) / derivative.share[i, rows]
        rhs = -units[i] * linear[0][i], load[i, rows]
        a[i], w[i, rows], sound = _solved(hessian, B, spare, rhs)
        degenerate[i] |= not sound
    v = derivative.turned_back(w[..., None])[..., 0] / units[:, None]
    return Adjoint(a, v, degenerate)


def _turn(derivative: Derivative, element: int) -> Any:
    """The transposed eigenvectors of an element as a sparse matrix."""
    m = derivative.share.shape[1]
    alone = np.ones(m, dtype=np.bool_)
    parts: list[tuple[IntArray, IntArray, FloatArray]] = []
    for rows, Q in derivative.turns:
        alone[rows] = False
        k, d = rows.shape
        left = np.broadcast_to(rows[:, :, None], (k, d, d)).ravel()
        right = np.broadcast_to(rows[:, None, :], (k, d, d)).ravel()
        parts.append((left, right, Q[element].swapaxes(1, 2).ravel()))
    rest = np.flatnonzero(alone)
    parts.append((rest, rest, np.ones(len(rest))))
    left, right, values = (np.concatenate(part) for part in zip(*parts, strict=True))
    return sparse.csr_matrix((values, (left, right)), shape=(m, m))


def _solved(
    hessian: Any, rows: Any, spare: FloatArray, rhs: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray, bool]:
    """Solve [[hessian, rows'], [rows, -spare]], and tell whether the matrix is regular."""
    n = len(rhs[0])
    # neither the units of a row nor a curvature near zero shall make it look singular
    sizes = np.maximum(abs(rows).max(axis=1).toarray().ravel(), np.sqrt(spare))
    unit = 1 / np.where(sizes > 0, sizes, 1.0)
    scaled = sparse.diags(unit) @ rows
    K: Any = sparse.bmat(
        [[hessian, scaled.T], [scaled, sparse.diags(-spare * unit**2)]], format="csc"
    )
    both, sound = np.concatenate([rhs[0], unit * rhs[1]]), False
    if not (np.isfinite(K.data).all() and np.isfinite(both).all()):
        return np.full(n, np.nan), np.full(len(unit), np.nan), False
    with suppress(RuntimeError):  # exactly singular
        factor: Any = cast(Any, splu)(K)
        pivots: FloatArray = np.abs(factor.U.diagonal())
        if pivots.min(initial=np.inf) > SINGULAR * pivots.max(initial=0.0):
            both, sound = factor.solve(both), True
    if not sound:
        both = cast(Any, lsqr)(K, both, atol=LEAST, btol=LEAST, iter_lim=20 * len(both))[0]
    return both[:n], unit * both[n:], sound


def _held(cones: Cones, at: Point) -> tuple[Point, BoolArray]:
    """Hold nonnegative rows without slack, and tell which points have weakly active ones."""
    rows = slice(cones.zero, cones.zero + cones.nonneg)
    reach = np.maximum(_size(at.v), _size(at.s))
    zero = np.maximum(WEAK * reach, np.finfo(np.float64).tiny)[:, None]
    weak = np.abs(at.v[:, rows]) <= zero
    v = at.v.copy()
    v[:, rows] = np.where(weak, zero, v[:, rows])
    return replace(at, v=v), np.logical_or.reduce(weak, axis=1)


def _size(values: FloatArray) -> FloatArray:
    return np.abs(values).max(axis=1, initial=0.0)
