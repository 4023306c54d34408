"""What the cases of oracles.py share: one set with some costs, and how its answers are judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lpgd.core.solution import Status

Array = np.ndarray
GRAIN = 64.0  # costs are multiples of its inverse: solvers of whole numbers take them as well
ROUNDING = 1e-12  # of sums of costs
NOWHERE, FALLING, REFUSED = "infeasible", "unbounded", "refused"
EXPECTED = {NOWHERE: Status.INFEASIBLE, FALLING: Status.UNBOUNDED, REFUSED: Status.INVALID}


@dataclass(frozen=True)
class Case:
    """An oracle, costs for it, and what is known of the minimisers.

    Attributes
    ----------
    costs : (B, *shape)
    best : for each element the least cost, or what must be said instead of a minimiser
    inside : whether a point, flat, is in the set of an element
    instances : per-instance inputs
    weighed : the costs in which minimisers are measured, if others than those given
    gap : relative suboptimality, if another one than the oracle's own is right
    """

    oracle: Any
    costs: Array
    best: Sequence[float | str]
    inside: Callable[[Array, int], bool]
    instances: Sequence[Any] | None = None
    weighed: Array | None = None
    gap: float | None = None


Draw = Callable[[np.random.Generator], Case]


class Families(dict[str, Draw]):
    """Draws of cases by the name of their family, entered by ``@families(name)``."""

    def __call__(self, name: str) -> Callable[[Draw], Draw]:
        """Enter a family."""

        def entered(draw: Draw) -> Draw:
            self[name] = draw
            return draw

        return entered


@dataclass
class Tally:
    """What a family of cases came to."""

    elements: int = 0
    empty: int = 0
    ties: int = 0
    negative: int = 0
    worst: float = 0.0
    faults: list[str] = field(default_factory=list[str])


def judge(case: Case, tally: Tally) -> list[str]:
    """Faults of an oracle's answers to a case: wrong points, statuses, and other company."""
    oracle, costs = case.oracle, case.costs
    reply = oracle.reply(costs.copy(), case.instances)
    status = np.zeros(len(costs), dtype=int) if reply.status is None else np.asarray(reply.status)
    faults = list[str]()
    for row, best in enumerate(case.best):
        tally.elements += 1
        tally.negative += bool((costs[row] < 0).any())
        tally.ties += len(np.unique(costs[row])) < costs[row].size
        if isinstance(best, str):
            tally.empty += 1
            if status[row] != EXPECTED[best]:
                faults.append(f"{best} expected, got {Status(int(status[row])).text}")
        elif status[row] != Status.OPTIMAL:
            faults.append(f"{Status(int(status[row])).text}, but {best!r} can be had")
        else:
            faults += _point(case, row, float(best), np.asarray(reply.x[row]).ravel(), tally)
    faults += _company(case, reply, status)
    return [f"{oracle!r}: {fault}" for fault in faults]


def _point(case: Case, row: int, best: float, x: Array, tally: Tally) -> list[str]:
    cost = (case.costs if case.weighed is None else case.weighed)[row].ravel()
    if not case.inside(x, row):
        return [f"no point of the set: {x.tolist()}"]
    gap = case.oracle.gap if case.gap is None else case.gap
    most = np.abs(cost).max(initial=0.0)
    room = ROUNDING * float(np.abs(cost) @ np.abs(x)) + (ROUNDING + gap) * most * max(
        1.0, float(np.abs(x).sum())
    )
    excess = float(cost @ x) - best
    if most:
        tally.worst = max(tally.worst, abs(excess) / most)
    if excess > room:
        return [f"costs {excess:.3e} more than the best, {best!r}"]
    return [f"costs {-excess:.3e} less than the best, {best!r}"] if excess < -room else []


def _company(case: Case, reply: Any, status: Array) -> list[str]:
    """Elements in another order, and one alone, have to be answered alike to the last bit."""
    size, own = len(case.costs), case.instances
    for rows in (list(range(size))[::-1], [size - 1]):
        some = None if own is None else [own[row] for row in rows]
        again = case.oracle.reply(case.costs[rows], some)
        same = np.zeros(len(rows), dtype=int) if again.status is None else again.status
        if (same != status[rows]).any():
            return ["statuses depend on the company"]
        for place, row in enumerate(rows):
            if status[row] == 0 and not np.array_equal(again.x[place], reply.x[row]):
                return ["minimisers depend on the company"]
    return []


def drawn(rng: np.random.Generator, *shape: int, sign: str = "any") -> Array:
    """Costs of one of many kinds: with ties and zeros, of one sign, of one size or of many."""
    kind = rng.integers(6)
    if kind == 0:
        found = rng.integers(-2, 3, shape).astype(float)  # ties
    elif kind == 1:
        found = rng.integers(-1000, 1001, shape) * (rng.random(shape) < 0.5)  # zeros
    elif kind == 2:
        found = np.where(rng.random(shape) < 0.2, 1000, 1) * rng.integers(-64, 65, shape)
    elif kind == 3:
        found = -np.abs(rng.integers(-64, 65, shape))
    else:
        found = rng.integers(-6400, 6401, shape)
    found = found / GRAIN + 0.0
    return np.abs(found) if sign == "positive" else found


def sized(rng: np.random.Generator) -> float:
    """A power of two by which all costs of a case may be multiplied."""
    return float(2.0 ** rng.choice([0, 0, 0, -40, 40]))


def listed(
    oracle: Any, costs: Array, points: Array, *, fixed: Any = 0.0, atol: float = 1e-12, **more: Any
) -> Case:
    """A case of a set that is listed, (K, n); ``fixed`` are costs beside those that are given."""
    points = np.asarray(points, dtype=float).reshape(-1, int(np.prod(costs.shape[1:])))
    flat = costs.reshape(len(costs), -1)
    total = flat + np.asarray(fixed)
    best = (total @ points.T).min(axis=1).tolist() if len(points) else [NOWHERE] * len(costs)

    def inside(x: Array, _: int) -> bool:
        return bool(len(points)) and float(np.abs(points - x).max(axis=1).min()) <= atol

    weighed = total.reshape(costs.shape) if np.any(fixed) else None
    return Case(oracle, costs, best, inside, weighed=weighed, **more)
