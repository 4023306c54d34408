"""Newton's step for answers that are less accurate than their numbers allow.

With P = I the system of rows of which two are nearly parallel, by a sine s, has a condition of
1 / s^2, and so do the products of rows that DAQP factorizes. With the Hessian times WEIGHT, and the
multipliers as well, it is the larger of 1 / WEIGHT and WEIGHT / s^2.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import linalg

from lpgd.core.params import Params
from lpgd.core.solution import BoolArray, FloatArray, Solution
from lpgd.families.qp.active import Active
from lpgd.families.qp.qp import QP

WEIGHT = 2.0**-20
RANK = 1e-13  # of the largest singular value: less than this counts as dependent
STEPS = 3


def sharpened(problem: QP, params: Params, point: Solution) -> tuple[Solution, FloatArray]:
    """The solutions of the equations of active rows nearest to points, and their residuals."""
    held = Active.of(problem, params, point).held
    for _ in range(STEPS):
        slope = problem.slope(params, point.x) + problem.transposed_product(params, point.y)
        gap = np.where(held, -problem.slacks(params, point.x), 0.0)
        moved = [_step(problem, params, i, rows, slope[i], gap[i]) for i, rows in enumerate(held)]
        a, v = (np.stack(parts) for parts in zip(*moved, strict=True))
        y, signed = point.y + v, slice(problem.cones.zero, None)
        y[:, signed] = np.maximum(y[:, signed], 0.0)
        point = replace(point, x=_within(params, point.x + a), y=y)
    return problem.judged(params, point)


def _within(params: Params, x: FloatArray) -> FloatArray:
    """Points within their bounds, as DAQP's own are."""
    for name, end in (("lb", np.maximum), ("ub", np.minimum)):
        x = end(x, params[name].full()) if name in params else x
    return x


def _step(
    problem: QP,
    params: Params,
    element: int,
    held: BoolArray,
    slope: FloatArray,
    gap: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """The shortest (a, v) with P a + C' v = -slope and C a = -gap, over the rows that are held."""
    n, rows = problem.n, np.zeros((problem.m, problem.n))
    for name, block in problem.blocks.items():
        if name in ("A", "G"):
            rows[block] = params[name].values[params[name].index[element]]
        else:
            rows[block] = (-1.0 if name == "lb" else 1.0) * np.eye(n)
    rows, v = rows[held], np.zeros(problem.m)
    scale = 1 / np.maximum(np.abs(rows).max(axis=1, initial=0.0), np.finfo(np.float64).tiny)
    rows *= scale[:, None]
    weight, system = WEIGHT, np.zeros((n + len(rows), n + len(rows)))
    system[n:, :n], system[:n, n:] = rows, rows.T
    if "P" in params:
        hessian = params["P"].values[params["P"].index[element]]
        weight /= np.abs(hessian).max() or 1.0
        system[:n, :n] = weight * hessian
    rhs = -np.concatenate([weight * slope, scale * gap[held]])
    if not (np.isfinite(system).all() and np.isfinite(rhs).all()):
        return np.zeros(n), v
    found = linalg.lstsq(system, rhs, cond=RANK, lapack_driver="gelsy")[0]
    v[held] = scale * found[n:] / weight
    return found[:n], v
