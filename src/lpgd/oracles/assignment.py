"""Assignments and matchings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from lpgd.core.extras import load
from lpgd.core.options import flag
from lpgd.core.public import public
from lpgd.core.reply import Reply
from lpgd.core.solution import FloatArray, Status
from lpgd.oracles.base import ExactOracle, SetOracle, moderate, refuse
from lpgd.oracles.graph import Graph
from lpgd.oracles.milp import replied
from lpgd.oracles.program import Outcome

GRAINS = 2.0**50  # whole numbers into which the largest cost is divided


@public("lpgd.oracles")
class Assignment(ExactOracle):
    """The cheapest assignment of rows to columns; costs (B, n, m) of any sign, x 0 or 1.

    Each row has a column of its own, or if there are fewer columns each column a row. Exact, by
    scipy's ``linear_sum_assignment``.
    """

    shape = (None, None)

    def __repr__(self) -> str:
        return "Assignment()"

    def minimise(self, costs: FloatArray) -> FloatArray:
        """See ``ExactOracle.minimise``."""
        x = np.zeros(costs.shape)
        for row, cost in enumerate(costs):
            x[row][linear_sum_assignment(cost)] = 1.0
        return x


@public("lpgd.oracles")
class Matching(SetOracle):
    """The cheapest matching of a graph's nodes; costs (B, edges) of any sign, x 0 or 1.

    By networkx's blossom algorithm in whole numbers: exact to 2^-50 of the largest cost.

    Parameters
    ----------
    edges : sequence of (node, node)
        Nodes are whole numbers from 0.
    perfect : bool
        Whether every node has to be matched; a graph that cannot be is infeasible. Otherwise the
        matching of least cost, which is empty where no cost is negative.
    """

    def __init__(self, edges: Sequence[tuple[int, int]], *, perfect: bool = True) -> None:
        flag("perfect", perfect)
        graph = Graph.of(edges, directed=False)
        self.edges, self.nodes, self.perfect = graph.edges, graph.nodes, perfect
        self.shape = (len(self.edges),)
        self.gap = 1e-14

    def __repr__(self) -> str:
        return f"Matching({self.nodes} nodes, {len(self.edges)} edges, perfect={self.perfect})"

    def reply(self, costs: FloatArray, instances: Sequence[Any] | None = None) -> Reply:
        """See ``SetOracle.reply``."""
        refuse(self, instances)
        networkx = load("networkx", "oracles", "Matching")
        return replied(moderate(costs), lambda cost: self._one(networkx, cost))

    def _one(self, networkx: Any, cost: FloatArray) -> Outcome:
        most = np.abs(cost).max(initial=0.0)
        whole = np.rint(cost * (GRAINS / most if most else 1.0)).astype(np.int64)
        best: dict[tuple[int, int], int] = {}  # the cheapest of parallel edges
        for edge in np.argsort(-whole, kind="stable"):
            tail, head = self.edges[edge]
            if tail != head and (self.perfect or whole[edge] < 0):
                best[min(tail, head), max(tail, head)] = int(edge)
        graph = networkx.Graph()
        graph.add_weighted_edges_from(
            [(*ends, -int(whole[edge])) for ends, edge in sorted(best.items())]
        )
        pairs = networkx.max_weight_matching(graph, maxcardinality=self.perfect)
        if self.perfect and 2 * len(pairs) < self.nodes:
            return Outcome(None, Status.INFEASIBLE)
        x = np.zeros(len(cost))
        x[[best[min(pair), max(pair)] for pair in pairs]] = 1.0
        return Outcome(x, Status.OPTIMAL)
