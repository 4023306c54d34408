"""How far a point is from being a saddle point, by the values of the Lagrangian alone."""

from dataclasses import replace

import numpy as np

from lpgd.core.params import Params
from lpgd.core.scaling import top
from lpgd.core.solution import FloatArray, Solution
from lpgd.core.tilt import Tilt
from lpgd.families.qp.qp import QP


def untilted(size: int, n: int, m: int) -> Tilt:
    """The tilt of every element that changes nothing."""
    zero, x = np.zeros(size), np.zeros((size, n))
    return Tilt(np.arange(size), zero, x, np.zeros((size, m)), zero, x)


def violation(problem: QP, params: Params, point: Solution, tilt: Tilt | None = None) -> FloatArray:
    """Largest violation of the optimality conditions of each row, shape (N,).

    The Lagrangian is quadratic in x and linear in y, so that its central differences with a step
    of one are its derivatives: zero in x and in multipliers of equalities, else not positive, with
    multipliers that are not negative, and one of the two zero.
    """
    tilt = untilted(len(point), problem.n, problem.m) if tilt is None else tilt
    equalities = problem.blocks.get("A", slice(0, 0)).stop
    worst = top(_slope(problem, params, point, tilt, "x"))
    slope = _slope(problem, params, point, tilt, "y")
    y, excess = point.y[:, equalities:], slope[:, equalities:]
    parts = (
        np.abs(slope[:, :equalities]),
        excess,
        -y,
        np.minimum(np.abs(y), np.abs(excess)),
    )
    for part in parts:
        worst = np.maximum(worst, part.max(axis=1, initial=0.0))
    return worst


def _slope(problem: QP, params: Params, point: Solution, tilt: Tilt, part: str) -> FloatArray:
    at = getattr(point, part)
    slope = np.zeros_like(at)
    for i, unit in enumerate(np.eye(at.shape[1])):
        # a multiplier of an infinite bound is moved from zero up only: it contributes -inf
        low = at - unit if part == "x" else np.where(unit, 0.0, at)
        high = at + unit if part == "x" else np.where(unit, 1.0, at)
        above, below = (
            problem.lagrangian(params, replace(point, **{part: end}), tilt) for end in (high, low)
        )
        slope[:, i] = (above - below) / (high - low)[:, i]
    return slope
