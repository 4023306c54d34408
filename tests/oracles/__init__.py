"""Shared by the tests of oracles: sets that can be listed."""

import numpy as np

SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
PATHS = np.array([[1.0, 1, 0, 0, 0], [0, 0, 1, 1, 0], [1, 0, 0, 1, 1]])  # of a graph of 5 edges


class Listed:
    """The best of the rows of a table; counts its calls and the costs that it saw."""

    def __init__(self, table):
        self.table, self.sizes = table, []

    def __call__(self, costs):
        self.sizes.append(len(costs))
        return self.table[(costs @ self.table.T).argmin(axis=1)]


def top(costs, counts):
    """The ``counts[i]`` cheapest items of row i: every instance has a set of its own."""
    x = np.zeros_like(costs)
    for row, count in enumerate(counts):
        x[row, np.argsort(costs[row], kind="stable")[:count]] = 1.0
    return x
