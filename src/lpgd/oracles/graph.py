"""Shortest paths for a batch of costs of one graph, by relaxing all its arcs at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from lpgd.core.options import flag
from lpgd.core.reply import Reply
from lpgd.core.solution import FloatArray, Status

IntArray = NDArray[np.intp]
BLOCK = 2_000_000  # entries of the arrays of a batch that are made at once
SPARE = 10**6  # nodes without an edge that are no mistake
MANY = 1500  # nodes from which Dijkstra's algorithm is the faster in graphs with cycles


class Sweep(NamedTuple):
    """Arcs that are relaxed at once, sorted by their heads."""

    arcs: IntArray  # (k,)
    starts: IntArray  # (H,) where the arcs of each head begin
    heads: IntArray  # (H,)
    group: IntArray  # (k,) the place of each arc's head


@dataclass(frozen=True, eq=False)
class Graph:
    """A graph as arcs.

    Attributes
    ----------
    edges : list of (int, int)
    nodes : int
    tails, heads, owner : (A,) int
        Of each arc: an undirected edge, its ``owner``, has two.
    cyclic : bool
    sweeps : list of Sweep
        One after the other finds all distances, if there are no cycles; else the only one, again
        and again.
    """

    edges: list[tuple[int, int]]
    nodes: int
    tails: IntArray
    heads: IntArray
    owner: IntArray
    cyclic: bool
    sweeps: list[Sweep]

    @classmethod
    def of(cls, edges: Sequence[tuple[int, int]], *, directed: bool) -> Graph:
        """A graph from its edges (tail, head).

        Raises
        ------
        ValueError
        """
        flag("directed", directed)
        table = np.array(list(edges) if isinstance(edges, Iterable) else edges)
        if table.ndim != 2 or table.shape[1:] != (2,) or table.dtype.kind not in "iu":
            raise ValueError("edges must be pairs (tail, head) of whole numbers, at least one")
        if (table < 0).any():
            raise ValueError("nodes must be numbered from 0")
        owner = np.arange(len(table))
        tails, heads = table.T.astype(np.intp)
        if not directed:
            tails, heads = np.concatenate([tails, heads]), np.concatenate([heads, tails])
            owner = np.concatenate([owner, owner])
        nodes = int(table.max()) + 1
        if nodes > SPARE + 4 * len(table):
            raise ValueError(
                f"nodes are numbered up to {nodes - 1}, though {len(table)} edges have "
                f"{len(np.unique(table))} of them: number them 0, 1, ..."
            )
        level = _levels(nodes, tails, heads)
        cyclic = level is None
        level = np.zeros(nodes, dtype=np.intp) if level is None else level
        order = np.lexsort((heads, level[heads]))
        cuts = np.flatnonzero(np.diff(level[heads[order]])) + 1
        sweeps = [_sweep(arcs, heads) for arcs in np.split(order, cuts)]
        pairs = [(int(tail), int(head)) for tail, head in table]
        return cls(pairs, nodes, tails, heads, owner, cyclic, sweeps)

    def paths(self, costs: FloatArray, ends: IntArray) -> Reply:
        """Shortest paths for costs (B, edges) between ends (B, 2); >= 0 if there are cycles."""
        x, lost = np.zeros(costs.shape), np.zeros(len(costs), dtype=np.bool_)
        if self.cyclic and self.nodes > MANY:
            for row, cost in enumerate(costs):
                lost[row] = self._dijkstra(cost, ends[row], x[row])
        else:
            step = max(1, BLOCK // len(self.tails))
            for at in range(0, len(costs), step):
                rows = slice(at, at + step)
                lost[rows] = self._block(costs[rows], ends[rows], x[rows])
        if not lost.any():
            return Reply(x)
        return Reply(x, np.where(lost, np.int8(Status.INFEASIBLE), np.int8(0)))

    def _block(self, costs: FloatArray, ends: IntArray, x: FloatArray) -> NDArray[np.bool_]:
        every = np.arange(len(costs))
        near = np.full((self.nodes, len(costs)), np.inf)
        last = np.full((self.nodes, len(costs)), -1)
        near[ends[:, 0], every] = 0.0
        columns = costs.T.copy()
        for sweep in self.sweeps:
            while self._relax(sweep, columns, near, last) and self.cyclic:
                pass
        node, lost = ends[:, 1].copy(), np.isinf(near[ends[:, 1], every])
        going = np.flatnonzero(~lost & (node != ends[:, 0]))
        while len(going):
            arc = last[node[going], going]
            x[going, self.owner[arc]] = 1.0
            node[going] = self.tails[arc]
            going = going[node[going] != ends[going, 0]]
        return lost

    def _relax(
        self, sweep: Sweep, costs: FloatArray, near: FloatArray, last: NDArray[np.intp]
    ) -> bool:
        """Shorten distances; only what becomes shorter changes, so that no path bites its tail."""
        ways = near[self.tails[sweep.arcs]] + costs[self.owner[sweep.arcs]]
        best, old = np.minimum.reduceat(ways, sweep.starts, axis=0), near[sweep.heads]
        better = best < old
        if not better.any():
            return False
        place = np.where(ways == best[sweep.group], sweep.arcs[:, None], len(self.tails))
        first = np.minimum.reduceat(place, sweep.starts, axis=0)
        near[sweep.heads] = np.where(better, best, old)
        last[sweep.heads] = np.where(better, first, last[sweep.heads])
        return True

    def _dijkstra(self, cost: FloatArray, ends: IntArray, x: FloatArray) -> bool:
        weights = cost[self.owner]
        order = np.lexsort((weights, self.heads, self.tails))
        key = self.tails[order] * self.nodes + self.heads[order]
        first = order[np.flatnonzero(np.diff(key, prepend=-1))]  # the cheapest of parallel arcs
        counts = np.bincount(self.tails[first], minlength=self.nodes)
        starts = np.concatenate([[0], np.cumsum(counts)])
        # csgraph takes stored zeros for edges, as it must: they are free, not missing
        entries = (weights[first], self.heads[first], starts)
        graph = csr_array(entries, shape=(self.nodes, self.nodes))
        search: Any = dijkstra  # its stubs know no single source
        _, before = search(graph, indices=int(ends[0]), return_predecessors=True)
        node, key = int(ends[1]), self.tails[first] * self.nodes + self.heads[first]
        while node != ends[0]:
            tail = int(before[node])
            if tail < 0:
                return True
            x[self.owner[first[np.searchsorted(key, tail * self.nodes + node)]]] = 1.0
            node = tail
        return False


def _sweep(arcs: IntArray, heads: IntArray) -> Sweep:
    own = heads[arcs]
    starts = np.flatnonzero(np.diff(own, prepend=-1))
    group = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(arcs)))
    return Sweep(arcs, starts, own[starts], group)


def _levels(nodes: int, tails: IntArray, heads: IntArray) -> IntArray | None:
    """The longest way to each node, in arcs; None if there is a cycle."""
    level, waiting = np.zeros(nodes, dtype=np.intp), np.bincount(heads, minlength=nodes)
    order = np.argsort(tails, kind="stable")
    starts = np.searchsorted(tails[order], np.arange(nodes + 1))
    ready, done = [int(v) for v in np.flatnonzero(waiting == 0)], 0
    while ready:
        node = ready.pop()
        done += 1
        for arc in order[starts[node] : starts[node + 1]]:
            head = int(heads[arc])
            level[head] = max(level[head], level[node] + 1)
            waiting[head] -= 1
            if not waiting[head]:
                ready.append(head)
    return level if done == nodes else None
