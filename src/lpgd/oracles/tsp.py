"""Travelling salesman: Held and Karp's dynamic programme, beyond it cuts and HiGHS."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from lpgd.core.public import public
from lpgd.core.reply import Reply
from lpgd.core.solution import FloatArray
from lpgd.oracles.base import SetOracle, refuse
from lpgd.oracles.checks import count
from lpgd.oracles.milp import replied
from lpgd.oracles.program import Outcome, Program

IntArray = NDArray[np.intp]
CITIES = 12  # up to which the dynamic programme is used
BLOCK = 2_000_000  # entries of the arrays of a batch that are made at once


class Stage(NamedTuple):
    """The states (set, last city) of the sets of one size.

    Attributes
    ----------
    states : (K,) int
        Where they stand among all states.
    before : (k, K) int
        The states that each may come from.
    steps : (k, K) int
        The edges of these last steps.
    """

    states: IntArray
    before: IntArray
    steps: IntArray


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
        return {k: v for k, v in self.__dict__.items() if k not in ("_stages", "_program")}

    def reply(self, costs: FloatArray, instances: Sequence[Any] | None = None) -> Reply:
        """See ``SetOracle.reply``."""
        refuse(self, instances)
        if self.cities > CITIES:
            return replied(costs, self._cut)
        states = sum(len(stage.states) for stage in self._stages)
        step = max(1, BLOCK // states)
        parts = [self._table(costs[at : at + step]) for at in range(0, len(costs), step)]
        return Reply(np.concatenate([np.zeros((0, len(self.edges))), *parts]))

    def _edge(self, i: IntArray, j: IntArray) -> IntArray:
        low, high = np.minimum(i, j), np.maximum(i, j)
        return low * self.cities - low * (low + 1) // 2 + high - low - 1

    @cached_property
    def _stages(self) -> list[Stage]:
        """Sets of the cities but the last one, at which tours start and end, size after size."""
        own, end = self.cities - 1, self.cities - 1
        every = np.arange(1 << own)
        sizes = (every[:, None] >> np.arange(own) & 1).sum(axis=1)
        number = np.full((1 << own, own), -1)
        stages, made = list[Stage](), 0
        for size in range(1, own + 1):
            sets, lasts = _members(every[sizes == size], own)
            number[sets, lasts] = made + np.arange(len(sets))
            states, made = number[sets, lasts], made + len(sets)
            rest = sets & ~(1 << lasts)
            if size == 1:
                before, steps = (
                    np.zeros((0, own), np.intp),
                    self._edge(lasts, lasts * 0 + end)[None],
                )
            else:
                _, others = _members(rest, own)
                others = others.reshape(len(sets), size - 1).T
                before, steps = number[rest, others], self._edge(others, lasts[None])
            stages.append(Stage(states, before, steps))
        full, lasts = np.full(own, (1 << own) - 1), np.arange(own)
        home = Stage(
            np.array([made]),
            number[full, lasts][:, None],
            self._edge(lasts, lasts * 0 + end)[:, None],
        )
        return [*stages, home]

    def _table(self, costs: FloatArray) -> FloatArray:
        stages, edges = self._stages, costs.T.copy()
        batch, total = len(costs), int(stages[-1].states[0]) + 1
        best = np.empty((total, batch))
        best[stages[0].states] = edges[stages[0].steps[0]]
        choice = np.zeros((total, batch), dtype=np.int8)
        for stage in stages[1:]:
            ways = best[stage.before[0]] + edges[stage.steps[0]]
            chosen = np.zeros(ways.shape, dtype=np.int8)
            for k in range(1, len(stage.before)):
                other = best[stage.before[k]] + edges[stage.steps[k]]
                np.putmask(chosen, other < ways, np.int8(k))
                np.minimum(ways, other, out=ways)
            best[stage.states], choice[stage.states] = ways, chosen
        return self._tour(stages, choice)

    def _tour(self, stages: list[Stage], choice: NDArray[np.int8]) -> FloatArray:
        batch = choice.shape[1]
        every, x = np.arange(batch), np.zeros((batch, len(self.edges)))
        state = np.full(batch, stages[-1].states[0])
        for stage in stages[:0:-1]:
            place, way = state - stage.states[0], choice[state, every]
            x[every, stage.steps[way, place]] = 1.0
            state = stage.before[way, place]
        x[every, stages[0].steps[0][state]] = 1.0
        return x

    @cached_property
    def _program(self) -> Program:
        """Every city has two edges."""
        ends, own = np.array(self.edges), np.arange(len(self.edges))
        at = (ends.T.ravel(), np.concatenate([own, own]))
        matrix = coo_array((np.ones(2 * len(own)), at), shape=(self.cities, len(own)))
        return Program.of(matrix, (2.0, 2.0), (0.0, 1.0), integer=True)

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


def parts(ends: IntArray, x: FloatArray, nodes: int) -> list[IntArray]:
    """The nodes of each connected part of the chosen edges."""
    tails, heads = ends[x > 0.5].T
    graph = coo_array((np.ones(len(tails)), (tails, heads)), shape=(nodes, nodes))
    number, label = connected_components(graph, directed=False)
    return [np.flatnonzero(label == part) for part in range(number)]


def _members(sets: IntArray, own: int) -> tuple[IntArray, IntArray]:
    """Each set with each of its members."""
    row, member = np.nonzero(sets[:, None] >> np.arange(own) & 1)
    return sets[row], member
