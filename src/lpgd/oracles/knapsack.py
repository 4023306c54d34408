"""Knapsacks of one or more dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lpgd.core.extras import load
from lpgd.core.options import array, choice
from lpgd.core.public import public
from lpgd.core.reply import Reply
from lpgd.core.solution import FloatArray, Status
from lpgd.oracles.base import SetOracle, moderate
from lpgd.oracles.checks import numbers
from lpgd.oracles.milp import replied
from lpgd.oracles.program import Outcome, Program

Solver = Literal["auto", "table", "ortools", "highs"]
IntArray = NDArray[np.int64]
DIGITS = 6  # after the point, up to which weights are made whole numbers
TABLE = 200_000  # most entries of an element's table
LARGEST = 500_000_000  # the same where a table is asked for
SEARCH = 40  # most items of more than one dimension for which branch and bound is the faster
VALUES = 2.0**52  # sum of the values that OR-tools, which takes whole numbers, is given
BLOCK = 4_000_000  # entries of the tables of a batch that are made at once


@public("lpgd.oracles")
class Knapsack(SetOracle):
    """The most valuable items that fit: maximise <v, x>, weights x <= capacities, x in {0, 1}^n.

    Costs (B, n) are *minus* the values; with ``sense="max"`` a layer takes the values themselves.
    Items of no or negative value stay out. Exact: whole-number weights and those of at most six
    decimals by dynamic programming (one dimension) or OR-tools' branch and bound, for which values
    are rounded to 2^-52 of their sum; others by HiGHS, to 1e-9 of the largest value.

    Parameters
    ----------
    weights : (n,) or (m, n), >= 0
    capacities : float or (m,), optional
        Without them every call brings its own: ``instances`` are capacities, one an element.
        An element with a negative capacity is infeasible.
    solver : {"auto", "table", "ortools", "highs"}
    """

    def __init__(self, weights: Any, capacities: Any = None, solver: Solver = "auto") -> None:
        self.weights = numbers("weights", np.atleast_2d(array("weights", weights)), 2)
        if (self.weights < 0).any():
            raise ValueError("weights must be >= 0")
        self.capacities = None if capacities is None else self._room(capacities)
        self.shape = (self.weights.shape[1],)
        choice("solver", solver, ("auto", "table", "ortools", "highs"))
        self.solver: Solver = solver
        self._whole = _whole(self.weights)
        self.gap = 1e-9 if self._way(self.capacities) == "highs" else 1e-12

    def __repr__(self) -> str:
        return f"Knapsack({self.weights.shape[1]} items, {len(self.weights)} dimensions)"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_own"}

    def reply(self, costs: FloatArray, instances: Sequence[Any] | None = None) -> Reply:
        """See ``SetOracle.reply``; ``instances`` are capacities."""
        given = self.capacities if instances is None else list(map(self._room, instances))
        if given is None or (instances is not None and self.capacities is not None):
            raise ValueError("capacities are given once: to the knapsack, or as instances")
        rooms = np.broadcast_to(np.asarray(given), (len(costs), len(self.weights)))
        values = np.maximum(-moderate(costs), 0.0)
        own = [self.capacities] if instances is None else rooms
        ways: list[Solver] = [self._way(room) for room in own]
        if len(set(ways)) < 2:
            return self._by(ways[0] if ways else "highs", values, rooms)
        parts: list[tuple[NDArray[np.intp], Reply]] = []
        for way in dict.fromkeys(ways):  # each element's own, whatever the others'
            rows = np.flatnonzero([other == way for other in ways])
            parts.append((rows, self._by(way, values[rows], rooms[rows])))
        return Reply.gathered(len(costs), parts)

    def _by(self, way: Solver, values: FloatArray, rooms: FloatArray) -> Reply:
        empty = np.logical_or.reduce(rooms < 0, axis=1)
        if way == "table":
            x = self._table(values, np.where(empty[:, None], 0, rooms))
            return _marked(x, empty)
        solve = self._search if way == "ortools" else self._program
        left = iter(zip(values, rooms, empty, strict=True))

        def one(_: FloatArray) -> Outcome:
            value, room, none = next(left)
            return Outcome(None, Status.INFEASIBLE) if none else solve(value, room)

        return replied(values, one)

    def _room(self, capacities: Any) -> FloatArray:
        room = numbers("capacities", np.atleast_1d(array("capacities", capacities)), 1)
        if len(room) != len(self.weights):
            raise ValueError(f"{len(self.weights)} capacities are needed, got {len(room)}")
        return room

    def _way(self, room: FloatArray | None) -> Solver:
        whole = self._whole is not None
        if self.solver != "auto":
            if self.solver != "highs" and not whole:
                raise ValueError(f"solver={self.solver!r} needs weights of at most six decimals")
            if self.solver == "table" and len(self.weights) > 1:
                raise ValueError("solver='table' takes one dimension")
            if self.solver == "table" and self._size(room) > LARGEST:
                raise ValueError(
                    "solver='table' takes n x min(capacity, sum of weights) of at most "
                    f"{LARGEST:.0e}, in units of the weights' last decimal; use another solver"
                )
            return self.solver
        if not whole or room is None:
            return "highs"
        weights, scale = self._whole  # type: ignore[misc]
        if len(weights) == 1 and weights.shape[1] * (room[0] * scale + 1) <= TABLE:
            return "table"
        return "ortools" if len(weights) == 1 or weights.shape[1] <= SEARCH else "highs"

    def _size(self, room: FloatArray | None) -> float:
        """Entries of an element's table."""
        if self._whole is None or room is None:
            return 0.0
        weights, scale = self._whole
        return weights.size * (min(float(room[0]) * scale, float(weights.sum())) + 1)

    def _table(self, values: FloatArray, rooms: FloatArray) -> FloatArray:
        weights, scale = self._whole  # type: ignore[misc]
        limits = _floor(rooms[:, 0], scale)
        limits = np.minimum(limits, weights.sum())
        step = max(1, BLOCK // max(1, weights.size * (int(limits.max(initial=0)) + 1)))
        parts = [
            _fill(values[at : at + step], weights[0], limits[at : at + step])
            for at in range(0, len(values), step)
        ]
        return np.concatenate([np.zeros((0, weights.size)), *parts])

    def _search(self, value: FloatArray, room: FloatArray) -> Outcome:
        """OR-tools' branch and bound."""
        weights, scale = self._whole  # type: ignore[misc]
        total = value.sum()
        if total == 0:
            return Outcome(np.zeros(len(value)), Status.OPTIMAL)
        module = load("ortools.algorithms.python.knapsack_solver", "oracles", "Knapsack")
        kind = module.SolverType.KNAPSACK_MULTIDIMENSION_BRANCH_AND_BOUND_SOLVER
        solver = module.KnapsackSolver(kind, "knapsack")  # of this call: others may be in a thread
        items = np.rint(value * (VALUES / total)).astype(np.int64)
        solver.init(items.tolist(), weights.tolist(), _floor(room, scale).tolist())
        solver.solve()
        chosen = [solver.best_solution_contains(item) for item in range(len(value))]
        return Outcome((np.array(chosen) & (items > 0)).astype(np.float64), Status.OPTIMAL)

    @cached_property
    def _own(self) -> Program | None:
        return None if self.capacities is None else self._of(self.capacities)

    def _of(self, room: FloatArray) -> Program:
        return Program.of(
            self.weights, (np.full(len(room), -np.inf), room), (0.0, 1.0), integer=True
        )

    def _program(self, value: FloatArray, room: FloatArray) -> Outcome:
        found = (self._own or self._of(room)).solve(-value)
        return found if found.x is None else found._replace(x=found.x * (value > 0))


def _marked(x: FloatArray, empty: NDArray[np.bool_]) -> Reply:
    if not empty.any():
        return Reply(x)
    return Reply(x, np.where(empty, np.int8(Status.INFEASIBLE), np.int8(0)))


def _whole(weights: FloatArray) -> tuple[IntArray, float] | None:
    """Weights as whole numbers, and the power of ten that makes them; None where none does."""
    for digits in range(DIGITS + 1):
        scaled = weights * 10.0**digits
        if scaled.max(initial=0.0) > 2.0**40:
            return None
        near = np.rint(scaled)
        if (np.abs(scaled - near) <= 1e-9 * np.maximum(near, 1)).all():
            return near.astype(np.int64), 10.0**digits
    return None


def _floor(rooms: FloatArray, scale: float) -> IntArray:
    """Capacities in the units of the weights; a sum of decimals may just reach them."""
    scaled = rooms * scale
    return np.floor(np.minimum(scaled * (1 + 1e-12) + 1e-9, 2.0**60)).astype(np.int64)


def _fill(values: FloatArray, weights: IntArray, limits: IntArray) -> FloatArray:
    """Bellman's dynamic programme over items and capacities, for a batch at once."""
    batch, width = len(values), int(limits.max(initial=0)) + 1
    best, takes = np.zeros((width, batch)), np.zeros((len(weights), width, batch), dtype=np.bool_)
    for item, weight in enumerate(weights):
        if weight >= width:
            continue
        with_it = best[: width - weight] + values[:, item]
        np.greater(with_it, best[weight:], out=takes[item, weight:])
        np.maximum(best[weight:], with_it, out=best[weight:])
    x, left, every = np.zeros((batch, len(weights))), limits.copy(), np.arange(batch)
    for item in range(len(weights) - 1, -1, -1):
        taken = takes[item, left, every]
        x[:, item] = taken
        left = left - taken * weights[item]
    return x
