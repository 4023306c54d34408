"""Routes from a depot: the best tour of every set of customers, and the best sets.

Customer i is node i + 1, the depot node 0; sets are bits. Of the customers that are left the first
one is served by the next vehicle, so that each partition is looked at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lpgd.core.reply import Reply
from lpgd.core.solution import FloatArray, Status
from lpgd.oracles.held_karp import HeldKarp, IntArray, pair_edge

BLOCK = 8_000_000  # entries of the arrays of a batch that are made at once


class Routes:
    """Partitions of so many customers into at most so many sets that a vehicle can serve.

    Parameters
    ----------
    served : (2^customers,) bool
        Which sets a vehicle can serve.
    customers, vehicles : int
    """

    def __init__(self, served: NDArray[np.bool_], customers: int, vehicles: int) -> None:
        edge, own = pair_edge(customers + 1), np.arange(customers)
        self.table = HeldKarp(customers, lambda i, j: edge(i + 1, j + 1), edge(own * 0, own + 1))
        self.vehicles = min(vehicles, customers)
        self.chosen = np.flatnonzero(served[1:]) + 1
        first = self.chosen & -self.chosen
        pairs = [
            _unions(int(one), int(low), customers)
            for one, low in zip(self.chosen, first, strict=True)
        ]
        whole = np.concatenate([np.zeros(0, dtype=np.intp), *pairs])
        part = np.repeat(self.chosen, [len(pair) for pair in pairs])
        order = np.argsort(whole, kind="stable")
        self.whole, self.part = whole[order], part[order]
        self.starts = np.flatnonzero(np.diff(self.whole, prepend=-1))

    def reply(self, costs: FloatArray) -> Reply:
        """Minimisers of costs (B, edges)."""
        x, lost = np.zeros(costs.shape), np.zeros(len(costs), dtype=np.bool_)
        step = max(1, BLOCK // max(self.table.states, len(self.part), 1))
        for at in range(0, len(costs), step):
            rows = slice(at, at + step)
            lost[rows] = self._block(costs[rows].T.copy(), x[rows])
        if not lost.any():
            return Reply(x)
        return Reply(x, np.where(lost, np.int8(Status.INFEASIBLE), np.int8(0)))

    def _block(self, edges: FloatArray, x: FloatArray) -> NDArray[np.bool_]:
        table, batch = self.table, edges.shape[1]
        best, choice = table.fill(edges)
        tour, last = self._tours(best, edges)
        left = [np.full((1 << table.cities, batch), np.inf)]
        left[0][0] = 0.0
        for _ in range(self.vehicles):
            left.append(left[-1].copy())
            if len(self.part):
                ways = tour[self.part] + left[-2][self.whole ^ self.part]
                found = np.minimum.reduceat(ways, self.starts, axis=0)
                sets = self.whole[self.starts]
                left[-1][sets] = np.minimum(found, left[-1][sets])
        lost = np.isinf(left[-1][-1])
        for row in np.flatnonzero(~lost):
            remaining = (1 << table.cities) - 1
            for ready in left[-2::-1]:
                if not remaining:
                    break
                mine = tour[:, row], ready[:, row]
                best = self._next(remaining, *mine)
                remaining ^= best
                city = int(np.flatnonzero(table.number[best] == last[best, row])[0])
                x[row, table.home[city]] += 1.0
                table.back(x, np.array([row]), last[[best], row], choice)
        return lost

    def _tours(self, best: FloatArray, edges: FloatArray) -> tuple[FloatArray, IntArray]:
        """Cost of the tour of each set that can be served, and its last state."""
        table = self.table
        tour = np.full((1 << table.cities, edges.shape[1]), np.inf)
        last = np.zeros(tour.shape, dtype=np.intp)
        member = table.number[self.chosen] >= 0
        for city in range(table.cities):
            sets = self.chosen[member[:, city]]
            states = table.number[sets, city]
            ways = best[states] + edges[table.home[city]]
            better = ways < tour[sets]
            last[sets] = np.where(better, states[:, None], last[sets])
            tour[sets] = np.where(better, ways, tour[sets])
        return tour, last

    def _next(self, whole: int, tour: FloatArray, ready: FloatArray) -> int:
        """The set that the next vehicle serves; ``ready`` is what others cost."""
        part = self.part[slice(*np.searchsorted(self.whole, (whole, whole + 1)))]
        return int(part[(tour[part] + ready[whole ^ part]).argmin()])


def _unions(one: int, low: int, customers: int) -> IntArray:
    """The sets that hold ``one`` and of which its first customer is the first."""
    free = [1 << i for i in range(customers) if (1 << i) > low and not one & (1 << i)]
    found = np.array([one])
    for bit in free:
        found = np.concatenate([found, found | bit])
    return found
