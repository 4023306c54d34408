"""An interior-point solution of a sparse QP made sharp: guess the active set, solve its equations.

Interior points of a small duality gap may be far from complementary in single rows. Which rows are
active is read from multiplier against slack, both in fair units. Newton's step from the interior
point then satisfies the equations of the active rows to rounding; where the rows depend on each
other, it is the shortest one, so that multipliers stay near those of the interior point. Rows with
a multiplier of the wrong sign are let go, violated ones are held, and the better point is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lpgd.families.qp.sparse_kkt import Active, Element, System

if TYPE_CHECKING:
    from lpgd.core.solution import BoolArray, FloatArray

ROUNDS = 6  # active sets that are tried
COSTLY, FEW = 50_000, 2  # variables and rows from which so few are
WRONG = 1e-9  # relative slack or multiplier below minus this has the wrong sign
FINE = 1e-11  # residual that needs no other active set

Point = tuple["FloatArray", "FloatArray"]
Residual = Callable[["FloatArray", "FloatArray"], tuple[Point, float]]
"""Takes x and y to the point within its bounds, and to how far it is from optimal."""


@dataclass(frozen=True)
class Polished:
    """A point, its residual, and the system of its active rows, if it solves that."""

    x: FloatArray
    y: FloatArray
    error: float
    system: System | None


def polish(element: Element, start: Polished, residual: Residual) -> Polished:
    """The best of a point and the solutions of a few active sets, from that of its system on."""
    best, x, y, system = start, start.x, start.y, start.system
    rounds = ROUNDS if len(element.q) + len(element.r) < COSTLY else FEW
    active = system.active if system else guessed(element, x, y)
    for _ in range(rounds):
        try:
            system = system or System(element, active)
        except RuntimeError:  # no factor
            break
        x, y = stepped(element, system, x, y)
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            break
        point, error = residual(x, np.where(_signed(element), np.maximum(y, 0.0), y))
        if error < best.error:
            best = Polished(*point, error, system)
        after = exchanged(element, system.active, x, y)
        if error <= FINE or after.same(system.active):
            break
        active, system = after, None
    return best


def guessed(element: Element, x: FloatArray, y: FloatArray) -> Active:
    """Rows whose multiplier is larger than their slack."""
    slack, load = element.shares(x, y)
    return Active.of(element, load > slack)


def exchanged(element: Element, active: Active, x: FloatArray, y: FloatArray) -> Active:
    """The active rows without those that pull, and with those that are violated."""
    slack, load = element.shares(x, y)
    held = active.flat(element)
    return Active.of(element, np.where(held, load >= -WRONG, slack < -WRONG))


def stepped(element: Element, system: System, x: FloatArray, y: FloatArray) -> Point:
    """Newton's step to the solution of the equations of the active rows.

    The system may be that of an element with other linear terms.
    """
    _, lower, upper = system.active
    x = np.where(upper, element.ub, np.where(lower, element.lb, x))
    w = np.zeros_like(element.r)
    w[system.rows] = element.split(y)[0][system.rows]
    slope = element.P @ x + element.q + element.transposed @ w
    gap = (element.C @ x - element.r)[system.rows]
    a, v, _ = system.solve(-slope[system.free], -gap)
    x[system.free] += a
    w[system.rows] += v
    pull = element.P @ x + element.q + element.transposed @ w
    low = np.where(lower, np.where(upper, np.maximum(pull, 0.0), pull), 0.0)
    high = np.where(upper, np.where(lower, np.maximum(-pull, 0.0), -pull), 0.0)
    return x, element.joined(w, low, high)


def _signed(element: Element) -> BoolArray:
    signed = np.ones(sum(b.stop - b.start for b in element.blocks.values()), dtype=np.bool_)
    signed[: element.equalities] = False
    return signed
