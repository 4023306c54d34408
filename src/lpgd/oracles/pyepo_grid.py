"""PyEPO's grid: arcs to the right and down, so that a dynamic programme is exact for any costs.

A node at (i, j) is reached from the left or from above, hence the distances on an anti-diagonal
i + j = s follow from those on the one before. All arrays hold one row a grid row i and one column
an element of the batch.
"""

from __future__ import annotations

import numpy as np

from lpgd.core.public import public
from lpgd.core.solution import BoolArray, FloatArray
from lpgd.oracles.base import ExactOracle
from lpgd.oracles.checks import count


@public("lpgd.oracles")
class PyEPOGrid(ExactOracle):
    """Shortest path from the top left to the bottom right of a grid, by steps right and down.

    Costs (B, edges) of any sign, in PyEPO's order: for each row its edges to the right, then those
    down to the next row. Exact; among equal paths the one that comes from the left.

    Parameters
    ----------
    rows, cols : int
        Number of nodes each way; at least two nodes in all.
    """

    def __init__(self, rows: int, cols: int) -> None:
        self.rows, self.cols = count("rows", rows), count("cols", cols)
        if self.rows * self.cols < 2:
            raise ValueError("a grid needs at least two nodes")
        self.edges = arcs(self.rows, self.cols)
        self.shape = (len(self.edges),)
        # place[way, s - 1, i]: the edge into (i, s - i) from the left, or from above; else the last
        size = self.rows + self.cols - 2
        place = np.full((2, size, self.rows), len(self.edges))
        for edge, (tail, head) in enumerate(self.edges):
            i, j = divmod(head, self.cols)
            place[int(head - tail != 1 or self.cols == 1), i + j - 1, i] = edge
        self._place = place
        self._source = np.argsort(place.ravel(), kind="stable")[: len(self.edges)]

    def __repr__(self) -> str:
        return f"PyEPOGrid({self.rows}, {self.cols})"

    def minimise(self, costs: FloatArray) -> FloatArray:
        """See ``ExactOracle.minimise``."""
        padded = np.full((len(self.edges) + 1, len(costs)), np.inf)
        padded[:-1] = costs.T
        left, above = padded[self._place]  # (s, i, B) each
        return self._path(self._from_above(left, above))

    def _from_above(self, left: FloatArray, above: FloatArray) -> BoolArray:
        """Whether the best way into (i, s - i) comes from above, (s, i, B)."""
        size, rows, batch = left.shape
        chosen = np.empty((size, rows, batch), dtype=np.bool_)
        near = np.full((rows + 1, batch), np.inf)  # distances; those of row i at i + 1
        near[1] = 0.0
        here, over = near[1:], near[:-1]
        for s in range(size):
            left[s] += here
            above[s] += over
            np.less(above[s], left[s], out=chosen[s])
            np.minimum(above[s], left[s], out=here)
        return chosen

    def _path(self, chosen: BoolArray) -> FloatArray:
        size, rows, batch = chosen.shape
        used = np.zeros((2, size, rows, batch), dtype=np.bool_)
        on = np.zeros((rows + 1, batch), dtype=np.bool_)  # nodes on the path, row i at i
        on[rows - 1] = True
        for s in range(size - 1, -1, -1):
            np.greater(on[:-1], chosen[s], out=used[0, s])
            np.logical_and(on[:-1], chosen[s], out=used[1, s])
            np.copyto(on[:-1], used[0, s])
            on[: rows - 1] |= used[1, s, 1:]
        return used.reshape(2 * size * rows, batch)[self._source].T.astype(np.float64)


def arcs(rows: int, cols: int) -> list[tuple[int, int]]:
    """The edges (tail, head) in PyEPO's order; node (i, j) has the number i * cols + j."""
    found: list[tuple[int, int]] = []
    for i in range(rows):
        across = [(i * cols + j, i * cols + j + 1) for j in range(cols - 1)]
        down = [(i * cols + j, (i + 1) * cols + j) for j in range(cols) if i + 1 < rows]
        found += across + down
    return found
