"""Held and Karp's dynamic programme (1962): the best ways from home through sets of cities."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lpgd.core.solution import FloatArray

IntArray = NDArray[np.intp]
Choice = NDArray[np.int8]


class Stage(NamedTuple):
    """The states (set, last city) of the sets of one size.

    Attributes
    ----------
    first : int
        Where they begin among all states.
    before : (k, K) int
        The states that each may come from.
    steps : (k, K) int
        The edges of these last steps; of the first stage those from home.
    """

    first: int
    before: IntArray
    steps: IntArray


class HeldKarp:
    """The states of all sets of so many cities, from the smallest to the whole.

    Parameters
    ----------
    cities : int
        Without home.
    edge : callable
        The edge of each pair of cities, as index into the costs.
    home : (cities,) int
        The edge of each city and home.
    """

    def __init__(
        self, cities: int, edge: Callable[[IntArray, IntArray], IntArray], home: IntArray
    ) -> None:
        self.cities, self.home = cities, home
        every = np.arange(1 << cities)
        sizes = (every[:, None] >> np.arange(cities) & 1).sum(axis=1)
        self.number = np.full((1 << cities, cities), -1)
        """(sets, cities): the state of each."""
        self.stages: list[Stage] = []
        made = 0
        for size in range(1, cities + 1):
            sets, lasts = _members(every[sizes == size], cities)
            self.number[sets, lasts] = made + np.arange(len(sets))
            if size == 1:
                before, steps = np.zeros((0, cities), dtype=np.intp), home[None, lasts]
            else:
                rest = sets & ~(1 << lasts)
                others = _members(rest, cities)[1].reshape(len(sets), size - 1).T
                before, steps = self.number[rest, others], edge(others, lasts[None])
            self.stages.append(Stage(made, before, steps))
            made += len(sets)
        self.states = made

    def fill(self, edges: FloatArray) -> tuple[FloatArray, Choice]:
        """The cost of the best way to each state, and where it comes from; edges (E, B)."""
        best = np.empty((self.states, edges.shape[1]))
        choice = np.zeros(best.shape, dtype=np.int8)
        for first, before, steps in self.stages:
            here = slice(first, first + steps.shape[1])
            if not len(before):
                best[here] = edges[steps[0]]
                continue
            best[here], choice[here] = cheapest(best, edges, before, steps)
        return best, choice

    def back(self, x: FloatArray, rows: IntArray, state: IntArray, choice: Choice) -> None:
        """Add to rows of x the edges of the best ways to their states."""
        state = state.copy()
        for first, before, steps in reversed(self.stages):
            mine = np.flatnonzero(state >= first)
            place, way = state[mine] - first, choice[state[mine], rows[mine]]
            np.add.at(x, (rows[mine], steps[way, place]), 1.0)
            if len(before):
                state[mine] = before[way, place]


def cheapest(
    best: FloatArray, edges: FloatArray, before: IntArray, steps: IntArray
) -> tuple[FloatArray, Choice]:
    """The cheapest of the k ways into each state, and which it is."""
    ways = best[before[0]] + edges[steps[0]]
    chosen = np.zeros(ways.shape, dtype=np.int8)
    for k in range(1, len(before)):
        other = best[before[k]] + edges[steps[k]]
        np.putmask(chosen, other < ways, np.int8(k))
        np.minimum(ways, other, out=ways)
    return ways, chosen


def _members(sets: IntArray, cities: int) -> tuple[IntArray, IntArray]:
    """Each set with each of its members."""
    row, member = np.nonzero(sets[:, None] >> np.arange(cities) & 1)
    return sets[row], member


def pair_edge(nodes: int) -> Callable[[IntArray, IntArray], IntArray]:
    """Where the pair of two nodes stands in ``itertools.combinations(range(nodes), 2)``."""

    def edge(i: IntArray, j: IntArray) -> IntArray:
        low, high = np.minimum(i, j), np.maximum(i, j)
        return low * nodes - low * (low + 1) // 2 + high - low - 1

    return edge
