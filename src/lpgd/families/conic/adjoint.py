"""The adjoint of the optimality conditions of small cone programs, with dense matrices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lpgd.core.params import Params
from lpgd.core.solution import BoolArray, FloatArray, Solution
from lpgd.core.tilt import Adjoint, Cotangent
from lpgd.families.conic.newton import Model, Point
from lpgd.families.conic.reduction import Linear, Matrices, Reduction

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
    cotangent = plan.conic.folded(params, cotangent)
    dx = cotangent.dx
    linear = (dx, -cotangent.dy)
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
    at, weak = _held(plan, plan.enter(matrices, point, slacks))
    model = Model.of(plan.cones, moved, at)
    a, _, y = model.step((moved.q, -moved.b), least=True)
    found = plan.leave(matrices, linear, a, y)
    return Adjoint(*found, degenerate=weak | ~model.sound)


def _held(plan: Reduction[Any], at: Point) -> tuple[Point, BoolArray]:
    """Hold nonnegative rows without slack, and tell which points have weakly active ones."""
    rows = slice(plan.cones.zero, plan.cones.zero + plan.cones.nonneg)
    reach = np.maximum(_size(at.v), _size(at.s))
    zero = np.maximum(WEAK * reach, np.finfo(np.float64).tiny)[:, None]
    weak = np.abs(at.v[:, rows]) <= zero
    v = at.v.copy()
    v[:, rows] = np.where(weak, zero, v[:, rows])
    return replace(at, v=v), np.logical_or.reduce(weak, axis=1)


def _size(values: FloatArray) -> FloatArray:
    return np.abs(values).max(axis=1, initial=0.0)
