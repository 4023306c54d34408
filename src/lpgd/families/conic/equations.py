"""The optimality conditions of dense cone programs as equations, and how far points are from them.

With v = y - s and Pi the projection on the dual cone, these are

    P x + q + A' Pi(v) = 0,    A x + Pi(v) - v - b = 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from lpgd.core.scaling import GAP, before_gap, top
from lpgd.core.solution import FloatArray, Rows
from lpgd.families.conic.cones import Cones
from lpgd.families.conic.projections import project

SLIGHT = 1e-6  # of the sizes that data suggest: terms that are smaller are rounding
Gap = tuple[FloatArray, FloatArray]
"""Both sides of the equations."""


@final
@dataclass(frozen=True)
class Dense(Rows):
    """Data of N cone programs as dense arrays.

    Attributes
    ----------
    P : (N, n, n) float64
    q : (N, n) float64
    A : (N, m, n) float64
    b : (N, m) float64
    """

    P: FloatArray
    q: FloatArray
    A: FloatArray
    b: FloatArray


@final
@dataclass(frozen=True)
class Point(Rows):
    """Points of N programs.

    Attributes
    ----------
    x : (N, n) float64
    v : (N, m) float64
        Multipliers minus slacks.
    y : (N, m) float64
        About the multipliers, the projection of v.
    error : (N,) float64
        Residual of the equations, relative to the sizes of their terms.
    """

    x: FloatArray
    v: FloatArray
    y: FloatArray
    error: FloatArray


def residual(cones: Cones, data: Dense, point: Point) -> tuple[Gap, FloatArray, FloatArray]:
    """Both sides of the equations, their relative size (N,), and the projections y of v."""
    x, y = point.x, project(cones, point.v, point.y - point.v)
    s = y - point.v
    curve, pull = (data.P @ x[..., None])[..., 0], (y[:, None] @ data.A)[:, 0]
    reach = (data.A @ x[..., None])[..., 0]
    gap = curve + data.q + pull, reach + s - data.b
    parts = ((gap[0], curve, data.q, pull), (gap[1], reach, data.b, s))
    error = np.zeros(len(x))
    for left, one, linear, other in parts:
        sizes = top(np.maximum(np.maximum(np.abs(one), np.abs(other)), np.abs(linear)))
        given = np.logical_or.reduce(linear, axis=1)
        if not given.all():
            sizes = np.where(given, sizes, np.maximum(sizes, _least(data, linear)))
        error = np.maximum(error, top(left) / np.where(sizes > 0, sizes, 1.0))
    wide = np.flatnonzero(top(data.b) > GAP * top(reach))
    if len(wide):
        rows = (gap[1][wide], reach[wide], s[wide])
        error[wide] = np.maximum(error[wide], _by_rows(data.b[wide], *rows))
    return gap, error, y


def _by_rows(
    sides: FloatArray, gap: FloatArray, reach: FloatArray, slacks: FloatArray
) -> FloatArray:
    """The largest share of a gap in its own terms, or in those of all rows that are not far away.

    Beside the slack of a row that is, that of any other would be rounding.
    """
    sides, slacks = np.abs(sides), np.abs(slacks)
    near = before_gap(np.where(sides > 0, sides, np.nan), sides > 0)
    usual = np.maximum(np.fmin(near, top(sides)), top(reach))
    sizes = np.maximum(np.maximum(sides, slacks), usual[:, None])
    return top(gap / np.where(sizes > 0, sizes, 1.0))


def _least(data: Dense, linear: FloatArray) -> FloatArray:
    """Sizes of terms that are none, of an equation without a linear one: x = 0 may be all of it."""
    P, A = (top(part.reshape(len(part), -1)) for part in (data.P, data.A))
    (other, matrix), left = ((data.b, A), P) if linear is data.q else ((data.q, P), A)
    reach = np.where(matrix > 0, top(other) / np.where(matrix > 0, matrix, 1.0), 0.0)
    sizes = left * np.where(reach > 0, reach, 1.0)
    return SLIGHT * np.where(sizes > 0, sizes, A)
