"""The last digits of answers that DAQP finds by iterations."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from lpgd.core.solution import FloatArray
from lpgd.engines.daqp.form import EQUALITY, Form

FAINT = 1e-2  # in DAQP's units, in which costs that are not zero and rows have a size near 1
NEAR = 1e-3  # longest step of polishing, relative to x: a longer one goes along a flat direction
ROUNDING = 1e-12  # residual that is none
# Curvature along flat directions, and of multipliers of rows that depend on each other: where many
# points are as good, polishing ends at the nearest. The error that it makes goes with each step.
DAMPING, STEPS = 1e-10, 2


def residual(form: Form, row: int, hessian: FloatArray | None, matrix: FloatArray) -> float:
    """Relative violation of the optimality conditions of one element."""
    x, lam = form.x[row], form.lam[row]
    boxed = len(lam) - len(matrix)
    pull = lam[boxed:] @ matrix
    pull[:boxed] += lam[:boxed]
    size = max(np.abs(form.f[row]).max(initial=0.0), np.abs(pull).max(initial=0.0))
    force = form.f[row] + pull
    if hessian is not None:
        curve = hessian @ x
        size, force = max(size, np.abs(curve).max(initial=0.0)), force + curve
    gap = np.abs(force).max(initial=0.0)
    value = matrix @ x
    over = np.maximum(value - form.upper[row, boxed:], form.lower[row, boxed:] - value)
    reach = np.abs(x).max(initial=0.0) * np.abs(matrix).max(initial=0.0)
    # sizes of zero costs or of a point at the origin must not turn rounding into an error
    return float(max(gap / max(size, FAINT), over.max(initial=0.0) / max(reach, FAINT)))


def polish(form: Form, row: int, hessian: FloatArray, matrix: FloatArray) -> float:
    """Settle what proximal iterations leave open by a Newton step on the active set.

    Returns the residual.

    They stop where a step gets small. Started at x*, they answer a slightly tilted problem with a
    part of the way only, an error that no residual shows; and they leave as noise what multipliers
    near zero are.
    """
    x, lam = form.x[row].copy(), form.lam[row].copy()
    n, boxed = len(x), len(lam) - len(matrix)
    equal = form.kinds == EQUALITY
    held = np.flatnonzero((lam != 0) | equal)
    box = held < boxed
    rows = np.zeros((len(held), n))
    rows[np.flatnonzero(box), held[box]] = 1.0
    rows[~box] = matrix[held[~box] - boxed]
    sides = np.where(lam[held] < 0, form.lower[row, held], form.upper[row, held])
    system = np.zeros((n + len(held), n + len(held)))
    system[:n, :n], system[n:, :n], system[:n, n:] = hessian, rows, rows.T
    damped = system.copy()
    damped.reshape(-1)[:: len(system) + 1] += np.where(
        np.arange(len(system)) < n, DAMPING, -DAMPING
    )
    factor, pivots, _ = lapack.dgetrf(damped)  # pyright: ignore[reportAttributeAccessIssue]
    before, point = residual(form, row, hessian, matrix), np.concatenate([x, lam[held]])
    target = np.concatenate([-form.f[row], sides])
    for _ in range(STEPS):
        gap = target - system @ point
        point = point + lapack.dgetrs(factor, pivots, gap)[0]  # pyright: ignore[reportAttributeAccessIssue]
    if not np.abs(point[:n] - x).max() <= NEAR * max(np.abs(x).max(), NEAR):  # or NaN
        return before
    kept = equal[held] | (point[n:] * lam[held] > 0)
    form.x[row], form.lam[row, held] = point[:n], np.where(kept, point[n:], 0.0)
    after = residual(form, row, hessian, matrix)
    if after <= max(before, ROUNDING):
        return after
    form.x[row], form.lam[row] = x, lam  # another active set
    return before
