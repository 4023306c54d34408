"""Shortest paths in general graphs as an oracle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lpgd.core.options import choice
from lpgd.core.public import public
from lpgd.core.reply import Reply
from lpgd.core.solution import FloatArray
from lpgd.oracles.base import SetOracle, moderate
from lpgd.oracles.checks import count, pair
from lpgd.oracles.flow import Flow
from lpgd.oracles.graph import Graph
from lpgd.oracles.negative import NEGATIVE, Negative, settled

Ends = tuple[int, int]


@public("lpgd.oracles")
class GraphPath(SetOracle):
    """Shortest path between two nodes of a graph; costs (B, edges).

    Exact. Without directed cycles for costs of any sign, by dynamic programming; with cycles for
    costs >= 0, and others as ``negative`` says. Parallel edges are edges of their own.

    Parameters
    ----------
    edges : sequence of (tail, head)
        Nodes are whole numbers from 0.
    source, target : int
        ``instances`` may bring others: a pair an element. Where no path leads from one to the
        other, the element is infeasible.
    directed : bool
        Whether an edge leads from tail to head only.
    negative : {"refuse", "clip", "flow"}
        What happens to an element with a negative cost where there are cycles. "refuse" fails it.
        "clip" takes its negative costs for zero, as blackbox backpropagation does (outside of
        LPGD's theory: the layer's check of tilts may complain). "flow" sends one unit from source
        to target through edges of capacity 1: a path and cycles that share no edge with it, exact
        on that set; directed graphs only.
    """

    def __init__(
        self,
        edges: Sequence[tuple[int, int]],
        source: int,
        target: int,
        *,
        directed: bool = True,
        negative: Negative = "refuse",
    ) -> None:
        choice("negative", negative, NEGATIVE)
        graph = self.graph = Graph.of(edges, directed=directed)
        self.edges = graph.edges
        self.shape = (len(self.edges),)
        self.ends = self._ends((source, target))
        self.negative: Negative = negative
        if negative == "flow" and not directed:
            raise ValueError("negative='flow' needs directed=True: an edge leads one way only")
        self._flow: Flow | None = None
        if negative == "flow" and graph.cyclic:
            self._flow = Flow.of(graph.nodes, graph.tails, graph.heads)

    def __repr__(self) -> str:
        return f"GraphPath({self.graph.nodes} nodes, {len(self.edges)} edges)"

    def reply(self, costs: FloatArray, instances: Sequence[Any] | None = None) -> Reply:
        """See ``SetOracle.reply``; ``instances`` are pairs (source, target)."""
        given = [self.ends] * len(costs) if instances is None else [*map(self._ends, instances)]
        ends = np.array(given, dtype=np.intp).reshape(len(costs), 2)
        flow, costs = self._flow, moderate(costs)
        bad = np.logical_or.reduce(costs < 0, axis=1) & self.graph.cyclic
        return settled(
            costs,
            self.negative,
            bad,
            lambda some, rows: self.graph.paths(some, ends[rows]),
            None if flow is None else lambda row: flow.solve(costs[row], *ends[row]),
        )

    def _ends(self, ends: Any) -> Ends:
        source, target = pair("source and target", ends)
        found = count("source", source, least=0), count("target", target, least=0)
        if max(found) >= self.graph.nodes:
            raise ValueError(f"the graph has {self.graph.nodes} nodes, got {found}")
        return found
