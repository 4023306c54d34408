"""Travelling salesman: Held and Karp's dynamic programme, beyond it cuts and HiGHS."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from lpgd.core.public import public
from lpgd.core.reply import Reply
from lpgd.core.solution import FloatArray
from lpgd.oracles.base import SetOracle, moderate, refuse
from lpgd.oracles.checks import count
from lpgd.oracles.held_karp import HeldKarp, cheapest, pair_edge
from lpgd.oracles.milp import replied
from lpgd.oracles.program import Outcome, Program

IntArray = NDArray[np.intp]
CITIES = 12  # up to which the dynamic programme is used
BLOCK = 2_000_000  # entries of the arrays of a batch that are made at once


@public("lpgd.oracles")
class TSP(SetOracle):
    """The cheapest tour through all cities; costs (B, edges) of any sign, one an undirected edge.

    Edges are those of ``itertools.combinations(range(cities), 2)``, PyEPO's order. Exact: to 12
    cities by the dynamic programme of Held and Karp (1962), beyond by HiGHS, which is given the
    violated subtour constraints until there are none, to 1e-9 of the largest cost.

    Parameters
    ----------
    cities : int
        At least 3.
    """

    def __init__(self, cities: int) -> None:
        self.cities = count("cities", cities, least=3)
        self.edges = list(combinations(range(self.cities), 2))
        self.shape = (len(self.edges),)
        self.gap = 0.0 if self.cities <= CITIES else 1e-9

    def __repr__(self) -> str:
        return f"TSP({self.cities})"

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_table", "_program")}

    def reply(self, costs: FloatArray, instances: Sequence[Any] | None = None) -> Reply:
        """See ``SetOracle.reply``."""
        refuse(self, instances)
        costs = moderate(costs)
        if self.cities > CITIES:
            return replied(costs, self._cut)
        x = np.zeros(costs.shape)
        step = max(1, BLOCK // self._table.states)
        for at in range(0, len(costs), step):
            self._tours(costs[at : at + step], x[at : at + step])
        return Reply(x)

    @cached_property
    def _table(self) -> HeldKarp:
        """Home is the last city."""
        edge, own = pair_edge(self.cities), np.arange(self.cities - 1)
        return HeldKarp(len(own), edge, edge(own, own * 0 + self.cities - 1))

    def _tours(self, costs: FloatArray, x: FloatArray) -> None:
        table, edges = self._table, costs.T.copy()
        best, choice = table.fill(edges)
        last = table.number[-1][:, None]  # the states of all cities
        _, chosen = cheapest(best, edges, last, table.home[:, None])
        rows, city = np.arange(len(costs)), chosen[0].astype(np.intp)
        x[rows, table.home[city]] += 1.0
        table.back(x, rows, last[city, 0], choice)

    @cached_property
    def _program(self) -> Program:
        """Every city has two edges."""
        return degrees(self.edges, self.cities, (2.0, 2.0), 1.0)

    def _cut(self, cost: FloatArray) -> Outcome:
        program, ends = self._program, np.array(self.edges)
        while True:
            found = program.solve(cost)
            if found.x is None:
                return found
            subtours = parts(ends, found.x, self.cities)
            if len(subtours) == 1:
                return found
            within = [np.isin(ends, part).all(axis=1) for part in subtours]
            most = np.array([len(part) - 1.0 for part in subtours])
            program = program.with_rows(csr_array(np.array(within, dtype=float)), -np.inf, most)


def degrees(edges: Sequence[tuple[int, int]], nodes: int, sides: Any, most: Any) -> Program:
    """Whole numbers of edges such that the degree of each node is within the sides."""
    ends, own = np.array(edges), np.arange(len(edges))
    at = (ends.T.ravel(), np.concatenate([own, own]))
    matrix = coo_array((np.ones(2 * len(own)), at), shape=(nodes, len(own)))
    return Program.of(matrix, sides, (0.0, most), integer=True)


def parts(ends: IntArray, x: FloatArray, nodes: int) -> list[IntArray]:
    """The nodes of each connected part of the chosen edges."""
    tails, heads = ends[x > 0.5].T
    graph = coo_array((np.ones(len(tails)), (tails, heads)), shape=(nodes, nodes))
    number, label = connected_components(graph, directed=False)
    return [np.flatnonzero(label == part) for part in range(number)]
