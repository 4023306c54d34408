"""Capacitated vehicle routing: dynamic programmes, beyond them cuts and HiGHS."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lpgd.core.options import array, flag
from lpgd.core.public import public
from lpgd.core.reply import Reply
from lpgd.core.solution import FloatArray
from lpgd.oracles.base import SetOracle, moderate, refuse
from lpgd.oracles.checks import count, numbers
from lpgd.oracles.milp import replied
from lpgd.oracles.program import Outcome, Program
from lpgd.oracles.routes import Routes
from lpgd.oracles.tsp import degrees, parts

FIT = 1e-9  # relative excess of a load over the capacity that is rounding
CUSTOMERS = 12  # up to which the dynamic programme is used


@public("lpgd.oracles")
class CVRP(SetOracle):
    """The cheapest routes from a depot that serve all customers; costs (B, edges) of any sign.

    Node 0 is the depot; edges are those of ``itertools.combinations(range(nodes), 2)``, PyEPO's
    order. x counts how often each edge is driven. Exact: to 12 customers by dynamic programming
    over sets, beyond by HiGHS, which is given the violated rounded capacity constraints until there
    are none, to 1e-9 of the largest cost; that may take minutes from 15 customers on.

    Parameters
    ----------
    demands : (customers,) >= 0
    capacity : float
        Of each vehicle.
    vehicles : int
        At most so many routes.
    round_trips : bool
        Whether a vehicle may serve one customer alone, x = 2; PyEPO's models exclude it.
    """

    def __init__(
        self, demands: Any, capacity: float, vehicles: int, *, round_trips: bool = True
    ) -> None:
        self.demands = numbers("demands", demands, 1)
        if not len(self.demands) or (self.demands < 0).any():
            raise ValueError("demands must be >= 0, at least one")
        self.capacity, self.vehicles = _positive(capacity), count("vehicles", vehicles)
        flag("round_trips", round_trips)
        self.round_trips, self.nodes = round_trips, len(self.demands) + 1
        self.edges = list(combinations(range(self.nodes), 2))
        self.shape = (len(self.edges),)
        self.gap = 0.0 if len(self.demands) <= CUSTOMERS else 1e-9

    def __repr__(self) -> str:
        return f"CVRP({self.nodes - 1} customers, {self.vehicles} vehicles)"

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_routes", "_program")}

    def reply(self, costs: FloatArray, instances: Sequence[Any] | None = None) -> Reply:
        """See ``SetOracle.reply``."""
        refuse(self, instances)
        costs = moderate(costs)
        if len(self.demands) > CUSTOMERS:
            return replied(costs, self._cut)
        return self._routes.reply(costs)

    @cached_property
    def _routes(self) -> Routes:
        customers = len(self.demands)
        member = np.arange(1 << customers)[:, None] >> np.arange(customers) & 1
        served = member @ self.demands <= self.capacity * (1 + FIT)
        if not self.round_trips:
            served &= member.sum(axis=1) != 1
        return Routes(served, customers, self.vehicles)

    @cached_property
    def _program(self) -> Program:
        """Every customer is entered and left once, the depot at most twice a vehicle."""
        low, high = np.full(self.nodes, 2.0), np.full(self.nodes, 2.0)
        low[0], high[0] = 0.0, 2.0 * self.vehicles
        most = np.where(self._outer & self.round_trips, 2.0, 1.0)
        return degrees(self.edges, self.nodes, (low, high), most)

    @property
    def _outer(self) -> NDArray[np.bool_]:
        return np.array([tail == 0 for tail, _ in self.edges])

    def _cut(self, cost: FloatArray) -> Outcome:
        program, ends, outer = self._program, np.array(self.edges), self._outer
        while True:
            found = program.solve(cost)
            if found.x is None:
                return found
            rows, most = list[FloatArray](), list[float]()
            for group in parts(ends, np.where(outer, 0.0, found.x), self.nodes)[1:]:
                within = np.logical_and.reduce(np.isin(ends, group), axis=1)
                needed = np.ceil(self.demands[group - 1].sum() / self.capacity * (1 - FIT))
                bound = len(group) - max(1.0, float(needed))
                if found.x[within].sum() > bound + 0.5:
                    rows.append(within.astype(np.float64))
                    most.append(bound)
            if not rows:
                return found
            program = program.with_rows(csr_array(np.array(rows)), -np.inf, np.array(most))


def _positive(capacity: Any) -> float:
    given = array("capacity", capacity)
    if given.ndim or not given > 0:
        raise ValueError(f"capacity must be a number > 0, got {capacity!r}")
    return float(given)
