"""Newton's method on the held rows: solutions polished, and tilted ones found without a solver.

A tilted problem starts from the forward solution with the factorization that was made there: the
first step is the prediction of the math page, section 11, the others correct what curvature bends.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from lpgd.core.blas import ONE_THREAD
from lpgd.core.params import Params, taken
from lpgd.core.solution import BoolArray, FloatArray, IntArray, Solution
from lpgd.core.tilt import Tilt
from lpgd.families.lagrangian.linearized import ACTIVE, Linearized
from lpgd.families.lagrangian.model import Curvature, Smooth
from lpgd.families.lagrangian.optimality import Conditions, extent, judged
from lpgd.families.lagrangian.system import System
from lpgd.families.lagrangian.twins import fixed, single, turned
from lpgd.families.quadratic.structure import QUIET

ROUNDS = 12  # steps with a kept factorization
DONE, GOOD = 1e-12, 1e-9  # a relative step of this size is the last one, or may be
FREE = 1e-9  # of the largest move: a multiplier or slack that falls below zero by less does not
SLOW = 0.5  # a step must be shorter than the one before by this factor
POLISHING = 10  # steps with factorizations of their own
TIGHT = 1e-14  # a residual that nothing improves


class Polished(NamedTuple):
    """Points, their residuals (N,) and the conditions there."""

    point: Solution
    residual: FloatArray
    at: Conditions


@ONE_THREAD
@QUIET
def polished(problem: Smooth, params: Params, point: Solution) -> Polished:
    """Points improved on the rows whose multipliers exceed their slacks, where that improves them.

    Interior-point methods leave both small, and neither zero.
    """
    at = Conditions.of(problem, params, point)
    best = Polished(point, judged(problem, at, point), at)
    busy = np.flatnonzero(best.residual > TIGHT)
    for _ in range(POLISHING):
        if not len(busy):
            break
        data, some = taken(params, busy), best.point.take(busy)
        moved = _stepped(problem, best.at.take(busy), some)
        at = Conditions.of(problem, data, moved)
        residual = judged(problem, at, moved)
        better = residual < SLOW * best.residual[busy]
        rows = busy[better]
        if not len(rows):
            break
        values = best.residual.copy()
        values[rows] = residual[better]
        best = Polished(
            best.point.put(rows, moved.take(better)), values, best.at.put(rows, at.take(better))
        )
        busy = rows[values[rows] > TIGHT]
    return best


def _stepped(problem: Smooth, at: Conditions, point: Solution) -> Solution:
    """One step of each point."""
    signed = problem.nonnegative
    both = fixed(problem, np.abs(at.slack) <= ACTIVE)
    held = single(problem, ~signed | (at.load(point.y) > at.slack) | both, point.y)
    x, y = point.x.copy(), np.where(held, point.y, 0.0)
    pull = at.pull + np.einsum("nmj,nm->nj", at.yx, y - point.y)
    for row in range(len(x)):
        system = System.of(Curvature(at.xx[row], at.yx[row], at.yy[row]), held[row], 0.0)
        a, v = system.solve(-pull[row], -at.push[row])
        x[row], y[row] = x[row] + a, y[row] + v
    y = turned(problem, both, y)
    return replace(point, x=x, y=np.where(signed & (y < 0) & (y > -ACTIVE), 0.0, y))


@ONE_THREAD
@QUIET
def predicted(linear: Linearized, params: Params, tilt: Tilt) -> tuple[Solution, FloatArray]:
    """Tilted solutions by a kept linearisation, and the last relative step of each.

    ``params`` hold the tilted data. The step is infinite where rows do not stay held, or steps do
    not become shorter: there a solver must serve.
    """
    problem, start = linear.problem, linear.solution.take(tilt.rows)
    pairs = zip(tilt.rows.tolist(), tilt.rho.tolist(), strict=True)
    systems = [linear.system(*pair) for pair in pairs]
    held, signed = linear.held(tilt.rows), problem.nonnegative
    x, y = start.x.copy(), np.where(held, start.y, 0.0)
    last = np.full(len(tilt), np.inf)
    busy: IntArray = np.flatnonzero([system.regular for system in systems])
    for _ in range(ROUNDS):
        steps = _chord(problem, taken(params, busy), (x, y), systems, busy)
        fine = steps < SLOW * last[busy]
        last[busy] = np.where(fine, steps, np.where(last[busy] <= GOOD, last[busy], np.inf))
        busy = busy[fine & (steps > DONE)]
        if not len(busy):
            break
    last[last > GOOD] = np.inf
    pull, push = problem.slopes(params, x, y)
    below = np.where(held, y, -push) < -_rounding(linear, tilt.rows, (y - start.y, push), held)
    both = linear.fixed(tilt.rows)
    stray = (signed & below & ~both).any(axis=1) | ~np.isfinite(pull).all(axis=1)
    last[stray] = np.inf
    y = turned(problem, both, y)
    y = np.where(signed & held, np.maximum(y, 0.0), y)
    return replace(start, x=x, y=y), last


def _chord(
    problem: Smooth,
    params: Params,
    at: tuple[FloatArray, FloatArray],
    systems: list[System],
    rows: IntArray,
) -> FloatArray:
    """Move some rows by a step each, in place; return how long it was, relative to the point."""
    x, y = at
    pull, push = problem.slopes(params, x[rows], y[rows])
    steps = np.empty(len(rows))
    for place, row in enumerate(map(int, rows)):
        a, v = systems[row].solve(-pull[place], -push[place])
        x[row] += a
        y[row] += v
        steps[place] = max(_relative(a, x[row : row + 1]), _relative(v, y[row : row + 1]))
    return np.where(np.isnan(steps), np.inf, steps)


def _relative(step: FloatArray, point: FloatArray) -> float:
    return float(np.abs(step).max(initial=0.0) / extent(point)[0])


def _rounding(
    linear: Linearized, elements: IntArray, moves: tuple[FloatArray, FloatArray], held: BoolArray
) -> FloatArray:
    """What of a multiplier, or of a slack where the row is not held, may be rounding."""
    place, least = linear.places(elements), np.finfo(np.float64).eps
    y, sigma = linear.solution.y[elements], linear.at.sigma[place]
    move, change = np.abs(moves[0]), np.abs(moves[1] - linear.at.push[place])
    free = FREE * move.max(axis=1, keepdims=True, initial=0.0)
    free = free + least * np.abs(y).max(axis=1, keepdims=True, initial=0.0)
    return np.where(held, free, FREE * change + 8 * least * sigma)
