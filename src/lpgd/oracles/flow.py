"""One unit of flow through arcs of capacity 1: paths where costs are negative on cycles.

A vertex of this polytope is a path together with cycles that share no arc with it, and linear
costs of any sign have their minimum at one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

from lpgd.core.solution import FloatArray
from lpgd.oracles.program import Outcome, Program

IntArray = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Flow:
    """A network, its arcs' balances at the nodes as an LP.

    Attributes
    ----------
    program : Program
    priced : int
        The first arcs bear the costs, the others none.
    """

    program: Program
    priced: int

    @classmethod
    def of(cls, nodes: int, tails: IntArray, heads: IntArray, priced: int | None = None) -> Flow:
        """A network of arcs."""
        size, every = len(tails), np.arange(len(tails))
        entries = np.concatenate([np.ones(size), -np.ones(size)])
        places = (np.concatenate([tails, heads]), np.concatenate([every, every]))
        balance = coo_array((entries, places), shape=(nodes, size))
        program = Program.of(balance, (0.0, 0.0), (0.0, 1.0), integer=False)
        return cls(program, size if priced is None else priced)

    @classmethod
    def of_vertices(cls, nodes: int, edges: Sequence[tuple[int, int]]) -> Flow:
        """A network whose vertices bear the costs: each is an arc from its entry to its exit."""
        ends, every = np.array(edges, dtype=np.intp).reshape(-1, 2), np.arange(nodes)
        out, into = np.concatenate([ends, ends[:, ::-1]]).T
        tails = np.concatenate([every, nodes + out])
        return cls.of(2 * nodes, tails, np.concatenate([nodes + every, into]), nodes)

    def solve(self, cost: FloatArray, source: int, target: int) -> Outcome:
        """The cheapest flow; x (priced arcs,) is 0 or 1."""
        sides = np.zeros(len(self.program.row_lower))
        sides[source] += 1.0
        sides[target] -= 1.0
        q = np.zeros(self.program.n)
        q[: self.priced] = cost
        found = replace(self.program, row_lower=sides, row_upper=sides).solve(q)
        x = None if found.x is None else np.rint(found.x[: self.priced]) + 0.0
        return Outcome(x, found.status)
