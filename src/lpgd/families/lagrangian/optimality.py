"""Optimality conditions of Lagrangians at points, in units that scaling cannot change.

With X the largest |x_j| (1 where x is next to zero), the terms of the conditions are of the sizes

    columns   gamma_j = max(|d_j L(x, 0)|, |d_j L(x, y) - d_j L(x, 0)|, sum_k |L_jk| |x_k|)
    rows      sigma_i = sum_k |dL_i/dx_k| |x_k| + sum_k |dL_i/dy_k| |y_k|

in which |x_k| counts as at least SMALL X, and gamma_j as at least SMALL times the largest of them.
With L_i the derivative in y_i, the residual is the largest of |d_j L| / gamma_j, of |L_i| / sigma_i
for free multipliers and of |min(u_i, w_i)| for those >= 0, u_i = -L_i / sigma_i being a relative
slack and w_i = y_i max_j |dL_i/dx_j| / max_j gamma_j a relative multiplier.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lpgd.core.params import Params
from lpgd.core.solution import FloatArray, Rows, Solution
from lpgd.families.lagrangian.model import Curvature, Smooth

SMALL = 1e-3
ROUNDING = 1e-10  # what may be left of a zero


@dataclass(frozen=True)
class Conditions(Rows):
    """The conditions at N points.

    Attributes
    ----------
    pull, push : (N, n) and (N, m) float64
        Gradients of the Lagrangian in x and in y.
    gamma, sigma : (N, n) and (N, m) float64
        Sizes of their terms.
    strength : (N, m) float64
        How much each multiplier pulls at most, relative to the costs, if it is 1.
    xx, yx, yy : float64
        The second derivatives.
    """

    pull: FloatArray
    push: FloatArray
    gamma: FloatArray
    sigma: FloatArray
    strength: FloatArray
    xx: FloatArray
    yx: FloatArray
    yy: FloatArray

    @classmethod
    def of(cls, problem: Smooth, params: Params, point: Solution) -> Conditions:
        """Evaluate and measure them."""
        x, y = point.x, point.y
        pull, push = problem.slopes(params, x, y)
        costs, _ = problem.slopes(params, x, np.zeros_like(y))
        bend = problem.curvature(params, x, y)
        reach = np.maximum(np.abs(x), SMALL * extent(x)[:, None])
        parts = (np.abs(costs), np.abs(pull - costs), _times(bend.xx, reach))
        gamma = np.fmax.reduce(parts)
        gamma = np.maximum(gamma, SMALL * gamma.max(axis=1, keepdims=True, initial=0.0))
        sigma = _times(bend.yx, reach) + _times(bend.yy, np.abs(y))
        top = gamma.max(axis=1, keepdims=True, initial=0.0)
        strength = np.abs(bend.yx).max(axis=2, initial=0.0) / np.where(top > 0, top, 1.0)
        return cls(pull, push, _some(gamma), _some(sigma), strength, *bend)

    @property
    def curvature(self) -> Curvature:
        """The second derivatives."""
        return Curvature(self.xx, self.yx, self.yy)

    @property
    def slack(self) -> FloatArray:
        """Relative slacks (N, m) of rows that are inequalities."""
        return -self.push / self.sigma

    def load(self, y: FloatArray) -> FloatArray:
        """Relative multipliers (N, m)."""
        return y * self.strength


def judged(problem: Smooth, at: Conditions, point: Solution) -> FloatArray:
    """The residual of each point, shape (N,)."""
    signed, load = problem.nonnegative, np.minimum(at.load(point.y), 1.0)
    rows = np.abs(np.where(signed, np.minimum(at.slack, load), at.slack))
    still = np.abs(at.pull) / at.gamma
    worst = np.maximum(rows.max(axis=1, initial=0.0), still.max(axis=1, initial=0.0))
    return np.where(np.isnan(worst), np.inf, worst)


def extent(vectors: FloatArray) -> FloatArray:
    """The largest entry of each row (N, k); 1 for what is zero but for rounding."""
    size = np.abs(vectors).max(axis=1, initial=0.0)
    return np.where(size > ROUNDING, size, 1.0)


def _times(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    return (np.abs(matrix) @ vector[:, :, None])[:, :, 0]


def _some(sizes: FloatArray) -> FloatArray:
    return np.where(sizes > 0, sizes, 1.0)
