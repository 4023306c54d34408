"""Shortest paths on grids whose neighbours are joined both ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lpgd.core.options import choice
from lpgd.core.public import public
from lpgd.core.reply import Reply
from lpgd.core.solution import FloatArray
from lpgd.oracles.base import SetOracle, moderate, refuse
from lpgd.oracles.checks import count, pair
from lpgd.oracles.flow import Flow
from lpgd.oracles.graph_path import GraphPath
from lpgd.oracles.negative import NEGATIVE, Negative, settled
from lpgd.oracles.pyepo_grid import arcs

Neighbours = Literal[4, 8]
IntArray = NDArray[np.intp]
BLOCK = 64  # maps that are solved at once


@public("lpgd.oracles")
class GridPath(SetOracle):
    """Shortest path from the top left to the bottom right of a grid, steps in all directions.

    With ``costs="vertices"`` costs (B, h, w), as in the Warcraft benchmark: a path pays for all
    its vertices, both corners included, and x marks them. With ``costs="edges"`` costs (B, edges),
    one an edge of ``self.edges``. Exact for costs >= 0 (the corners' may be negative), for others
    as ``negative`` says.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns; vertex (i, j) has the number i * columns + j.
    neighbours : {4, 8}
    costs : {"vertices", "edges"}
    negative : {"refuse", "clip", "flow"}
        See ``GraphPath``. With vertex costs "flow" allows cycles of vertices that share none with
        the path nor with each other, two neighbours included; with edge costs it is refused.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        neighbours: Neighbours = 8,
        costs: Literal["vertices", "edges"] = "vertices",
        negative: Negative = "refuse",
    ) -> None:
        rows, cols = (count("shape", size) for size in pair("shape", shape))
        choice("neighbours", neighbours, (4, 8))
        choice("costs", costs, ("vertices", "edges"))
        choice("negative", negative, NEGATIVE)
        if rows * cols < 2:
            raise ValueError("a grid needs at least two vertices")
        self.neighbours, self.costs, self.size = neighbours, costs, (rows, cols)
        self.negative: Negative = negative
        self.edges = grid_edges(rows, cols, neighbours)
        self._flow: Flow | None = None
        self._edges: GraphPath | None = None
        if costs == "edges":
            last = rows * cols - 1
            self._edges = GraphPath(self.edges, 0, last, directed=False, negative=negative)
            self.shape = self._edges.shape
        else:
            self.shape = (rows, cols)
            if negative == "flow":
                self._flow = Flow.of_vertices(rows * cols, self.edges)
        around = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
        near = [(i, j) for i, j in around if neighbours == 8 or 0 in (i, j)]
        self._steps = np.array([i * (cols + 2) + j for i, j in near])  # in a map with a margin

    def __repr__(self) -> str:
        return f"GridPath({self.size}, {self.neighbours}, {self.costs!r})"

    def reply(self, costs: FloatArray, instances: Sequence[Any] | None = None) -> Reply:
        """See ``SetOracle.reply``."""
        refuse(self, instances)
        if self._edges is not None:
            return self._edges.reply(costs)
        costs = moderate(costs)
        inner = costs.reshape(len(costs), self.size[0] * self.size[1])[:, 1:-1]
        flow = self._flow
        return settled(
            costs,
            self.negative,
            np.logical_or.reduce(inner < 0, axis=1),
            lambda some, _: Reply(self._paths(some)),
            None if flow is None else lambda row: self._one(flow, costs[row]),
        )

    def _one(self, flow: Flow, cost: FloatArray) -> Any:
        size = cost.size
        found = flow.solve(cost.ravel(), 0, 2 * size - 1)
        return found if found.x is None else found._replace(x=found.x.reshape(cost.shape))

    def _paths(self, costs: FloatArray) -> FloatArray:
        x = np.zeros(costs.shape)
        for at in range(0, len(costs), BLOCK):
            x[at : at + BLOCK] = self._marked(*self._distances(costs[at : at + BLOCK]))
        return x

    def _distances(self, costs: FloatArray) -> tuple[FloatArray, IntArray]:
        """Cost of the best path to each vertex, and the round that found it; with a margin."""
        rows, cols = self.size
        price = np.ascontiguousarray(np.moveaxis(costs, 0, -1))
        price[0, 0] = price[-1, -1] = 0.0  # every path pays for the corners
        near = np.full((rows + 2, cols + 2, len(costs)), np.inf)
        when = np.zeros(near.shape, dtype=np.intp)
        here, told = near[1:-1, 1:-1], when[1:-1, 1:-1]
        here[0, 0] = 0.0
        for number in range(1, rows * cols):
            across = np.minimum(near[:, :-2], near[:, 2:])  # of the left and the right neighbour
            if self.neighbours == 8:
                np.minimum(across, near[:, 1:-1], out=across)
                best = np.minimum(across[:-2], across[2:])
                np.minimum(best, across[1:-1], out=best)
            else:
                best = np.minimum(near[:-2, 1:-1], near[2:, 1:-1])
                np.minimum(best, across[1:-1], out=best)
            best += price
            better = best < here
            if not better.any():
                break
            np.copyto(here, best, where=better)
            np.copyto(told, number, where=better)
        return near, when

    def _marked(self, near: FloatArray, when: IntArray) -> FloatArray:
        """Walk back to the neighbour that is nearest to the start, among equals the first found.

        Both together fall with every step, for the vertex from which a best path came is such a
        neighbour: so the walk ends, also among vertices that cost nothing.
        """
        rows, cols = self.size
        batch, width = near.shape[2], cols + 2
        flat, told = near.reshape(-1, batch), when.reshape(-1, batch)
        used, every = np.zeros((batch, len(flat))), np.arange(batch)
        start, place = width + 1, np.full(batch, rows * width + cols)
        used[:, start] = 1.0
        while len(every):
            used[every, place] = 1.0
            ways = place + self._steps[:, None]
            far = flat[ways, every]
            order = np.where(far == far.min(axis=0), told[ways, every], len(flat))
            place = ways[order.argmin(axis=0), np.arange(len(every))]
            going = place != start
            every, place = every[going], place[going]
        return used.reshape(batch, rows + 2, width)[:, 1:-1, 1:-1]


def grid_edges(rows: int, cols: int, neighbours: Neighbours) -> list[tuple[int, int]]:
    """Undirected edges: PyEPO's for 4 neighbours, then both diagonals of each square."""
    found = arcs(rows, cols)
    if neighbours == 8:
        for i in range(rows - 1):
            for j in range(cols - 1):
                corner = i * cols + j
                found += [(corner, corner + cols + 1), (corner + 1, corner + cols)]
    return found
