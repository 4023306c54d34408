"""Newton's step for answers that are less accurate than their numbers allow.

With P = I the system of rows of which two are nearly parallel, by a sine s, has a condition of
1 / s^2, and so do the products of rows that DAQP factorizes. With the Hessian times WEIGHT, and the
multipliers as well, it is the larger of 1 / WEIGHT and WEIGHT / s^2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from scipy import linalg
from scipy.linalg import lapack

from lpgd.core.params import Params
from lpgd.core.solution import BoolArray, FloatArray, IntArray, Solution
from lpgd.families.qp.active import Active
from lpgd.families.qp.qp import QP
from lpgd.families.quadratic import alike
from lpgd.families.quadratic.products import Values
from lpgd.families.quadratic.structure import Structure

WEIGHT = 2.0**-20
RANK = 1e-13  # of the largest singular value: less than this counts as dependent
STEPS = 3


def sharpened(problem: QP, params: Params, point: Solution) -> tuple[Solution, FloatArray]:
    """The solutions of the equations of active rows nearest to points, and their residuals.

    Found where columns are alike, as what is small of the others drowns in elimination.
    """
    of = cast(Structure, problem)
    units = alike.units(Values(of, params))
    if not units.any():
        return problem.judged(params, _stepped(problem, params, point))
    inside = alike.program(of, params, units)
    found = _stepped(problem, inside, alike.measured(of, point, units))
    return problem.judged(params, alike.measured(of, found, -units))


def _stepped(problem: QP, params: Params, point: Solution) -> Solution:
    held = Active.of(problem, params, point).held
    systems = [_System.of(problem, params, i, rows) for i, rows in enumerate(held)]
    for _ in range(STEPS):
        slope = problem.slope(params, point.x) + problem.transposed_product(params, point.y)
        gap = np.where(held, -problem.slacks(params, point.x), 0.0)
        moved = [one.step(slope[i], gap[i]) for i, one in enumerate(systems)]
        a, v = (np.stack(parts) for parts in zip(*moved, strict=True))
        y, signed = point.y + v, slice(problem.cones.zero, None)
        y[:, signed] = np.maximum(y[:, signed], 0.0)
        point = replace(point, x=_within(params, point.x + a), y=y)
    return point


def _within(params: Params, x: FloatArray) -> FloatArray:
    """Points within their bounds, as DAQP's own are."""
    for name, end in (("lb", np.maximum), ("ub", np.minimum)):
        x = end(x, params[name].full()) if name in params else x
    return x


@dataclass(frozen=True)
class _System:
    """Equations P a + C' v = -slope and C a = -gap of one element, C being the rows it holds.

    Attributes
    ----------
    held : (m,) bool
    matrix : (n + k, n + k) float64
        With the rows of C near 1, and the first equations, and v, times ``weight``.
    scale : (k,) float64
        Of the rows of C.
    factors : LU, or None
        None where the matrix is singular, or no numbers hold it.
    """

    held: BoolArray
    matrix: FloatArray
    scale: FloatArray
    weight: float
    factors: tuple[FloatArray, IntArray] | None

    @classmethod
    def of(cls, problem: QP, params: Params, element: int, held: BoolArray) -> _System:
        """Factorize that of an element."""
        n, rows = problem.n, np.zeros((problem.m, problem.n))
        for name, block in problem.blocks.items():
            if name in ("A", "G"):
                rows[block] = params[name].values[params[name].index[element]]
            else:
                rows[block] = (-1.0 if name == "lb" else 1.0) * np.eye(n)
        rows, weight = rows[held], WEIGHT
        tops = np.abs(rows).max(axis=1, initial=0.0)
        scale = 1 / np.maximum(tops, np.finfo(np.float64).tiny)
        rows *= scale[:, None]
        matrix = np.zeros((n + len(rows), n + len(rows)))
        matrix[n:, :n], matrix[:n, n:] = rows, rows.T
        if "P" in params:
            hessian = params["P"].values[params["P"].index[element]]
            weight /= np.abs(hessian).max() or 1.0
            matrix[:n, :n] = weight * hessian
        return cls(held, matrix, scale, weight, _factorized(matrix))

    def step(self, slope: FloatArray, gap: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The shortest (a, v)."""
        n, v = len(slope), np.zeros(len(gap))
        rhs = -np.concatenate([self.weight * slope, self.scale * gap[self.held]])
        if not np.isfinite(rhs).all():
            return np.zeros(n), v
        if self.factors is not None:
            found = lapack.dgetrs(*self.factors, rhs)[0]
        elif np.isfinite(self.matrix).all():
            found = linalg.lstsq(self.matrix, rhs, cond=RANK, lapack_driver="gelsy")[0]
        else:
            return np.zeros(n), v
        v[self.held] = self.scale * found[n:] / self.weight
        return found[:n], v


def _factorized(matrix: FloatArray) -> tuple[FloatArray, IntArray] | None:
    """Its LU factors, if it is regular and finite."""
    lu, pivots, _ = lapack.dgetrf(matrix)
    ends = np.abs(np.diagonal(lu))
    regular = ends.min(initial=1.0) > RANK * ends.max(initial=1.0)
    return (lu, pivots) if regular and np.isfinite(lu).all() else None
