"""Proofs that an LP has no solution.

Infeasible: multipliers (of inequalities >= 0) whose sum of constraints no x satisfies, 0 > 0 say
(Farkas). Unbounded: a direction along which the costs fall for ever. HiGHS's come first; where it
decides without any, a single constraint or a single variable is the proof.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, log10
from typing import Any

import numpy as np
from scipy import sparse

from lpgd.core.solution import FloatArray, Solution, Status, among
from lpgd.engines.highs.batch import Batch

CLAIMS = (Status.INFEASIBLE, Status.UNBOUNDED)
LARGEST = 1e300  # tolerance that can be written
NEARLY = 1e-6  # contradictions below this share of the data may be rounding of the user's


@np.errstate(all="ignore")
def certificates(
    batch: Batch, rays: Mapping[int, Any], solution: Solution
) -> tuple[Solution | None, dict[int, str]]:
    """The proof of each verdict, zero where there is none, and what to say of near misses."""
    claimed = np.flatnonzero(among(solution.status, *CLAIMS)).tolist()
    if not claimed:
        return None, {}
    x = np.zeros_like(batch.cost)
    rows, lower, upper = np.zeros_like(batch.row_upper), np.zeros_like(x), np.zeros_like(x)
    notes: dict[int, str] = {}
    for row in claimed:
        if solution.status[row] == Status.INFEASIBLE:
            rows[row], lower[row], upper[row] = proof = _farkas(batch, row, rays[row])
            note = _near_miss(batch, row, proof)
            notes |= {row: note} if note else {}
        else:
            x[row] = _direction(batch, row, rays[row])
    y = batch.multipliers(rows, lower, upper)
    return Solution(batch.leave(x), y, solution.status), notes


def _matrix(batch: Batch, row: int) -> Any:
    matrix = batch.matrix
    entries = matrix.scaled(row), matrix.layout.cols, matrix.layout.starts
    return sparse.csr_matrix(entries, shape=matrix.layout.shape)


def _farkas(batch: Batch, row: int, ray: Any) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Multipliers of the rows, the lower and the upper bounds."""
    C, lower, upper = _matrix(batch, row), batch.lower[row], batch.upper[row]
    crossed = np.flatnonzero(lower > upper)[:1]
    if len(crossed):
        one = np.zeros_like(lower)
        one[crossed] = 1.0
        return np.zeros(C.shape[0]), one, one
    y = -_unit(ray) if ray is not None else _single(C, batch, row)
    y = np.where(np.isfinite(batch.row_lower[row]), y, np.maximum(y, 0.0))
    y = np.where(np.isfinite(batch.row_upper[row]), y, 0.0)
    pull = C.T @ y
    return y, np.maximum(pull, 0.0), np.maximum(-pull, 0.0)


def _single(C: Any, batch: Batch, row: int) -> FloatArray:
    """A row that no point within the bounds satisfies."""
    positive, negative = C.maximum(0).tocsr(), (-C).maximum(0).tocsr()
    lower, upper = batch.lower[row], batch.upper[row]
    least = _sum(positive, lower) - _sum(negative, upper)
    most = _sum(positive, upper) - _sum(negative, lower)
    broken = np.where(least > batch.row_upper[row], 1.0, 0.0)
    broken -= np.where(most < batch.row_lower[row], 1.0, 0.0)
    y = np.zeros(C.shape[0])
    first = np.flatnonzero(broken)[:1]
    y[first] = broken[first]
    return y


def _sum(weights: Any, bound: FloatArray) -> FloatArray:
    """Weights >= 0 times bounds, some infinite."""
    infinite = ~np.isfinite(bound)
    total = weights @ np.where(infinite, 0.0, bound)
    if infinite.any():
        hit = (weights @ infinite.astype(np.float64)) > 0
        total = np.where(hit, bound[infinite][0], total)
    return total


def _direction(batch: Batch, row: int, ray: Any) -> FloatArray:
    lower, upper, cost = batch.lower[row], batch.upper[row], batch.cost[row]
    if ray is None:
        fall = -np.sign(cost)
        free = (cost != 0) & np.isinf(np.where(cost > 0, lower, upper))
        free[_matrix(batch, row).nonzero()[1]] = False  # without constraints
        first = np.flatnonzero(free)[:1]
        ray = np.zeros_like(cost)
        ray[first] = fall[first]
    ray = _unit(ray)
    ray = np.where(np.isfinite(lower), np.maximum(ray, 0.0), ray)
    return np.where(np.isfinite(upper), np.minimum(ray, 0.0), ray)


def _unit(ray: FloatArray) -> FloatArray:
    """The ray with a largest entry in [1/2, 1)."""
    return np.ldexp(ray, -np.frexp(np.abs(ray).max(initial=0.0))[1])


def _near_miss(batch: Batch, row: int, proof: tuple[FloatArray, ...]) -> str | None:
    """What to say of data that contradict each other by little."""
    y, below, above = proof
    side = np.where(y > 0, batch.row_upper[row], batch.row_lower[row])
    pairs = (y, side), (-below, batch.lower[row]), (above, batch.upper[row])
    terms = np.concatenate([w * np.where(w == 0, 0.0, bound) for w, bound in pairs])
    gap, size = -terms.sum(), np.abs(terms).sum()
    if not 0 < gap < NEARLY * size:
        return None
    needed = np.ldexp(gap, int(batch.zoom[row, 0])) / sum(np.abs(part).sum() for part in proof)
    told = f"infeasible, by {gap / size:.0e} of its data"
    if not 0 < needed < LARGEST:
        return told
    return f"{told}, which the engine's tolerance={10.0 ** ceil(log10(2 * needed)):.0e} accepts"
