"""Spanning trees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lpgd.core.public import public
from lpgd.core.solution import FloatArray
from lpgd.oracles.base import ExactOracle
from lpgd.oracles.graph import Graph

BLOCK = 2_000_000  # entries of the arrays of a batch that are made at once


@public("lpgd.oracles")
class SpanningTree(ExactOracle):
    """The cheapest spanning tree; costs (B, edges) of any sign, x 0 or 1.

    With ``sense="max"`` a layer takes weights, and the tree is the heaviest. Exact, by Prim's
    algorithm for the batch at once; of equal edges the first joins.

    Parameters
    ----------
    edges : sequence of (node, node)
        Undirected; nodes are whole numbers from 0. The graph has to be connected.
    """

    def __init__(self, edges: Sequence[tuple[int, int]]) -> None:
        graph = Graph.of(edges, directed=False)
        self.edges, self.nodes = graph.edges, graph.nodes
        self.shape = (len(self.edges),)
        self._ends = np.array(self.edges)
        if not np.isfinite(self._grown(np.zeros((1, len(self.edges))))).all():
            raise ValueError("the graph is not connected: it has no spanning tree")

    def __repr__(self) -> str:
        return f"SpanningTree({self.nodes} nodes, {len(self.edges)} edges)"

    def minimise(self, costs: FloatArray) -> FloatArray:
        """See ``ExactOracle.minimise``."""
        step = max(1, BLOCK // len(self.edges))
        parts = [self._grown(costs[at : at + step]) for at in range(0, len(costs), step)]
        return np.concatenate([np.zeros((0, len(self.edges))), *parts])

    def _grown(self, costs: FloatArray) -> FloatArray:
        x, every = np.zeros(costs.shape), np.arange(len(costs))
        within = np.zeros((len(costs), self.nodes), dtype=np.bool_)
        within[:, 0] = True
        tails, heads = self._ends.T
        for _ in range(self.nodes - 1):
            leaving = within[:, tails] != within[:, heads]
            price = np.where(leaving, costs, np.inf)
            edge = price.argmin(axis=1)
            x[every, edge] = np.where(leaving[every, edge], 1.0, np.nan)
            within[every, tails[edge]] = within[every, heads[edge]] = True
        return x
