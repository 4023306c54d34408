"""Sets of a medium size, whose least costs independent solvers find."""

from __future__ import annotations

import itertools
from typing import Any

import networkx
import numpy as np
from _oracle_cases import NOWHERE, Array, Case, Families, drawn, sized
from _oracle_peers import cheapest_flow, circuits, program

from lpgd import oracles
from lpgd.oracles import cvrp as routing
from lpgd.oracles import graph as graphs
from lpgd.oracles import tsp as touring
from tests.oracles.sets import balance, degree

Rng = np.random.Generator
SOME = 4  # costs for each set
medium = Families()


def case(
    rng: Rng, oracle: Any, costs: Array, least: Any, inside: Any, *, size: float | None = None,
    **more: Any,
) -> Case:  # fmt: skip
    """A case whose least costs ``least`` finds for each element, before all are multiplied."""
    size = sized(rng) if size is None else size
    found = [least(cost, row) for row, cost in enumerate(costs)]
    best = [one if isinstance(one, str) else size * one for one in found]
    return Case(oracle, size * costs, best, inside, **more)


def is_binary(x: Array) -> bool:
    """Whether all entries are 0 or 1."""
    return bool(((x == 0) | (x == 1)).all())


def distance(edges: Any, nodes: int, cost: Array, ends: tuple[int, int], *, directed: bool) -> Any:
    """Of networkx's Bellman-Ford, or Dijkstra where no cost is negative."""
    graph: Any = networkx.MultiDiGraph() if directed else networkx.MultiGraph()
    graph.add_nodes_from(range(nodes))
    for (tail, head), price in zip(edges, cost, strict=True):
        graph.add_edge(tail, head, weight=float(price))
    find = networkx.dijkstra_path_length if (cost >= 0).all() else networkx.bellman_ford_path_length
    try:
        return find(graph, *ends)
    except networkx.NetworkXNoPath:
        return NOWHERE


def is_path(edges: Any, x: Array, ends: tuple[int, int], *, directed: bool) -> bool:
    """Whether edges make one path that meets no node twice."""
    graph: Any = networkx.MultiDiGraph() if directed else networkx.MultiGraph()
    graph.add_nodes_from(ends)
    graph.add_edges_from(edges[e] for e in np.flatnonzero(x))
    if not is_binary(x) or not networkx.has_path(graph, *ends):
        return False
    return len(networkx.shortest_path(graph, *ends)) == int(x.sum()) + 1


def random_graph(rng: Rng) -> tuple[list[tuple[int, int]], int]:
    """Some hundred edges, parallel ones and loops among them."""
    nodes = int(rng.integers(10, 60))
    edges = rng.integers(0, nodes, (int(rng.integers(nodes, 5 * nodes)), 2))
    return [(int(a), int(b)) for a, b in edges], int(edges.max()) + 1


@medium("PyEPOGrid")
def _(rng: Rng) -> Case:
    rows, cols = map(int, rng.integers(5, 16, 2))
    oracle, ends = oracles.PyEPOGrid(rows, cols), (0, rows * cols - 1)
    edges, nodes = oracle.edges, rows * cols
    supplies = np.zeros(nodes)
    supplies[[0, -1]] = 1, -1
    rows_of = balance(edges, nodes)
    return case(
        rng, oracle, drawn(rng, SOME, len(edges)),
        lambda cost, _: distance(edges, nodes, cost, ends, directed=True),
        lambda x, _: is_binary(x) and bool((rows_of @ x == supplies).all()),  # no cycles here
    )  # fmt: skip


@medium("GridPath, vertices")
def _(rng: Rng) -> Case:
    rows, cols = map(int, rng.integers(4, 13, 2))
    oracle = oracles.GridPath((rows, cols), int(rng.choice([4, 8])))
    last, both = rows * cols - 1, [*oracle.edges, *((h, t) for t, h in oracle.edges)]
    graph = networkx.Graph(oracle.edges)

    def least(cost: Array, _: int) -> Any:
        own = cost.ravel()
        steps = np.array([own[head] for _, head in both])
        return own[0] + distance(both, last + 1, steps, (0, last), directed=True)

    def inside(x: Array, _: int) -> bool:
        marked = np.flatnonzero(x)
        return is_binary(x) and {0, last} <= set(marked) and networkx.has_path(
            graph.subgraph(marked), 0, last
        )  # fmt: skip

    return case(rng, oracle, drawn(rng, SOME, rows, cols, sign="positive"), least, inside)


@medium("GridPath, vertices, flow")
def _(rng: Rng) -> Case:
    rows, cols = map(int, rng.integers(3, 8, 2))
    nodes = rows * cols
    oracle = oracles.GridPath((rows, cols), int(rng.choice([4, 8])), negative="flow")
    both = [*oracle.edges, *((h, t) for t, h in oracle.edges)]
    arcs = [(v, nodes + v) for v in range(nodes)] + [(nodes + t, h) for t, h in both]
    supplies = np.zeros(2 * nodes)
    supplies[0], supplies[-1] = 1, -1

    def least(cost: Array, _: int) -> Any:
        return cheapest_flow(arcs, np.concatenate([cost.ravel(), np.zeros(len(both))]), supplies)

    def inside(x: Array, _: int) -> bool:
        """A flow through exactly these vertices."""
        known = np.concatenate([x * -1e6, np.zeros(len(both))])
        some = np.concatenate([(1 - x) * 1e6, np.zeros(len(both))])
        return is_binary(x) and cheapest_flow(arcs, known + some, supplies) == -1e6 * x.sum()

    costs = drawn(rng, SOME, rows, cols)
    costs[:, 1, 1] = -2.0
    return case(rng, oracle, costs, least, inside)


@medium("GridPath, edges")
def _(rng: Rng) -> Case:
    rows, cols = map(int, rng.integers(4, 11, 2))
    oracle, ends = (
        oracles.GridPath((rows, cols), int(rng.choice([4, 8])), "edges"),
        (0, rows * cols - 1),
    )
    edges = oracle.edges
    return case(
        rng, oracle, drawn(rng, SOME, len(edges), sign="positive"),
        lambda cost, _: distance(edges, rows * cols, cost, ends, directed=False),
        lambda x, _: is_path(edges, x, ends, directed=False),
    )  # fmt: skip


@medium("GraphPath")
def _(rng: Rng) -> Case:
    edges, nodes = random_graph(rng)
    kind = str(rng.choice(["directed", "undirected", "acyclic"]))
    if kind == "acyclic":
        edges = [(min(e), max(e)) for e in edges if e[0] != e[1]]
        nodes = max(map(max, edges)) + 1
    directed = kind != "undirected"
    graphs.MANY = int(rng.choice([0, 1500]))
    pairs = [tuple(map(int, rng.integers(0, nodes, 2))) for _ in range(SOME)]
    oracle = oracles.GraphPath(edges, 0, 0, directed=directed)
    sign = "positive" if oracle.graph.cyclic else "any"
    return case(
        rng, oracle, drawn(rng, SOME, len(edges), sign=sign),
        lambda cost, row: distance(edges, nodes, cost, pairs[row], directed=directed),
        lambda x, row: is_path(edges, x, pairs[row], directed=directed), instances=pairs,
    )  # fmt: skip


@medium("GraphPath, flow")
def _(rng: Rng) -> Case:
    edges, nodes = random_graph(rng)
    edges.append((edges[0][1], edges[0][0]))
    pairs = [tuple(map(int, rng.integers(0, nodes, 2))) for _ in range(SOME)]
    oracle = oracles.GraphPath(edges, 0, 0, negative="flow")
    rows = balance(edges, nodes)

    def supplies(row: int) -> Array:
        found = np.zeros(nodes)
        found[pairs[row][0]] += 1
        found[pairs[row][1]] -= 1
        return found

    costs = drawn(rng, SOME, len(edges))
    costs[:, 0] = -1.0
    return case(
        rng, oracle, costs, lambda cost, row: cheapest_flow(edges, cost, supplies(row)),
        lambda x, row: is_binary(x) and bool((rows @ x == supplies(row)).all()), instances=pairs,
    )  # fmt: skip


@medium("Assignment")
def _(rng: Rng) -> Case:
    rows, cols = map(int, rng.integers(5, 25, 2))
    few = min(rows, cols)
    arcs = [(i, rows + j) for i in range(rows) for j in range(cols)]
    begin, end = rows + cols, rows + cols + 1
    free = [(begin, i) for i in range(rows)] + [(rows + j, end) for j in range(cols)]
    supplies = np.zeros(rows + cols + 2)
    supplies[begin], supplies[end] = few, -few

    def least(cost: Array, _: int) -> Any:
        return cheapest_flow(arcs + free, np.append(cost.ravel(), np.zeros(len(free))), supplies)

    def inside(x: Array, _: int) -> bool:
        table = x.reshape(rows, cols)
        fits = table.sum(axis=0).max() <= 1 and table.sum(axis=1).max() <= 1
        return is_binary(x) and x.sum() == few and bool(fits)

    return case(rng, oracles.Assignment(), drawn(rng, SOME, rows, cols), least, inside)


@medium("Matching")
def _(rng: Rng) -> Case:
    nodes, perfect = int(rng.integers(7, 17)), bool(rng.integers(2))
    pairs = [e for e in itertools.combinations(range(nodes), 2) if rng.random() < 0.5]
    edges = pairs + pairs[:3]
    rows = degree(edges, max(map(max, edges)) + 1)
    low, high = (np.ones if perfect else np.zeros)(len(rows)), np.ones(len(rows))

    def inside(x: Array, _: int) -> bool:
        return is_binary(x) and bool((low <= rows @ x).all() and (rows @ x <= high).all())

    return case(
        rng, oracles.Matching(edges, perfect=perfect), drawn(rng, SOME, len(edges)),
        lambda cost, _: program("SCIP", cost, rows, low, high, (0, 1), integer=True), inside,
    )  # fmt: skip


@medium("SpanningTree")
def _(rng: Rng) -> Case:
    edges, nodes = random_graph(rng)
    order = rng.permutation(nodes)
    edges += [(int(order[i]), int(order[rng.integers(i)])) for i in range(1, nodes)]

    def least(cost: Array, _: int) -> Any:
        graph = networkx.MultiGraph()
        for (tail, head), price in zip(edges, cost, strict=True):
            graph.add_edge(tail, head, weight=float(price))
        return networkx.minimum_spanning_tree(graph).size("weight")

    def inside(x: Array, _: int) -> bool:
        graph = networkx.MultiGraph([edges[e] for e in np.flatnonzero(x)])
        return is_binary(x) and len(graph) == nodes and networkx.is_tree(graph)

    return case(rng, oracles.SpanningTree(edges), drawn(rng, SOME, len(edges)), least, inside)


@medium("TopK")
def _(rng: Rng) -> Case:
    n = int(rng.integers(10, 200))
    counts = [int(k) for k in rng.integers(0, n + 10, SOME)]

    def least(cost: Array, row: int) -> Any:
        return NOWHERE if counts[row] > n else float(np.sort(cost)[: counts[row]].sum())

    return case(
        rng, oracles.TopK(), drawn(rng, SOME, n), least,
        lambda x, row: is_binary(x) and x.sum() == counts[row], instances=counts,
    )  # fmt: skip


@medium("Ranking")
def _(rng: Rng) -> Case:
    n = int(rng.integers(7, 200))
    ranks = np.arange(1, n + 1)
    return case(
        rng, oracles.Ranking(), drawn(rng, SOME, n),
        lambda cost, _: float(np.sort(cost)[::-1] @ ranks),
        lambda x, _: bool((np.sort(x) == ranks).all()),
    )  # fmt: skip


@medium("Knapsack")
def _(rng: Rng) -> Case:
    n, dims = int(rng.integers(10, 36)), int(rng.integers(1, 3))
    ways = ["auto", "ortools", "highs"] + ["table"] * (dims == 1)
    weights = rng.integers(1, 40, (dims, n)) / float(rng.choice([1, 10]))
    rooms = np.floor(weights.sum(axis=1) * rng.uniform(0, 1, (SOME, 1)))
    oracle = oracles.Knapsack(weights, None, str(rng.choice(ways)))
    none = np.full(dims, -np.inf)

    def least(cost: Array, row: int) -> Any:
        scaled = np.rint(weights * 10), np.rint(rooms[row] * 10)
        return program("SCIP", cost, scaled[0], none, scaled[1], (0, 1), integer=True)

    return case(
        rng, oracle, drawn(rng, SOME, n), least,
        lambda x, row: is_binary(x) and bool((weights @ x <= rooms[row] + 1e-9).all()),
        instances=list(rooms),
    )  # fmt: skip


@medium("TSP")
def _(rng: Rng) -> Case:
    cities = int(rng.integers(8, 12))
    touring.CITIES = int(rng.choice([2, 12]))
    oracle = oracles.TSP(cities)
    edges, rows = oracle.edges, degree(oracle.edges, cities)

    def inside(x: Array, _: int) -> bool:
        graph = networkx.Graph([edges[e] for e in np.flatnonzero(x)])
        return is_binary(x) and (rows @ x == 2).all() and networkx.is_connected(graph)

    return case(
        rng, oracle, drawn(rng, SOME, len(edges)), lambda cost, _: circuits(cities, edges, cost),
        inside,
    )  # fmt: skip


@medium("CVRP")
def _(rng: Rng) -> Case:
    customers, vehicles = int(rng.integers(4, 8)), int(rng.integers(1, 4))
    demands, capacity = rng.integers(1, 6, customers), float(rng.integers(5, 16))
    alone = bool(rng.integers(2))
    routing.CUSTOMERS = int(rng.choice([0, 12]))
    oracle = oracles.CVRP(demands, capacity, vehicles, round_trips=alone)
    edges, rows = oracle.edges, degree(oracle.edges, customers + 1)
    outer = np.array([tail == 0 for tail, _ in edges])

    def inside(x: Array, _: int) -> bool:
        if (rows[1:] @ x != 2).any() or x[~outer].max(initial=0) > 1:
            return False
        graph = networkx.Graph([edges[e] for e in np.flatnonzero((x > 0) & ~outer)])
        graph.add_nodes_from(range(1, customers + 1))
        fits = all(
            sum(demands[v - 1] for v in part) <= capacity
            and x[[e for e in range(len(edges)) if outer[e] and edges[e][1] in part]].sum() == 2
            for part in networkx.connected_components(graph)
        )
        return fits and rows[0] @ x <= 2 * vehicles and (alone or x.max() <= 1)

    return case(
        rng, oracle, drawn(rng, SOME, len(edges)),
        lambda cost, _: circuits(customers + 1, edges, cost, (demands, capacity, vehicles, alone)),
        inside,
    )  # fmt: skip


@medium("Polytope")
def _(rng: Rng) -> Case:
    n, rows, equal = int(rng.integers(10, 41)), int(rng.integers(5, 31)), int(rng.integers(0, 4))
    G = rng.normal(size=(rows, n)) * (rng.random((rows, n)) < 0.4)
    center = rng.uniform(0, 1, n)
    h = G @ center + np.where(np.arange(rows) < equal, 0.0, rng.uniform(0, 1, rows))
    h += (rng.random() < 0.1) * -20.0  # often empty
    most = float(rng.choice([1.0, np.inf]))
    low = np.where(np.arange(rows) < equal, h, -np.inf)
    oracle = oracles.Polytope(
        G[equal:], h[equal:], *((G[:equal], h[:equal]) if equal else ()), ub=most
    )
    return case(
        rng, oracle, drawn(rng, SOME, n),
        lambda cost, _: program("GLOP", cost, G, low, h, (0, most), integer=False),
        lambda x, _: bool((G @ x <= h + 1e-7).all() and (G @ x >= low - 1e-7).all()
                          and x.min() >= -1e-9 and x.max() <= most + 1e-9), gap=1e-8,
    )  # fmt: skip


@medium("MILP")
def _(rng: Rng) -> Case:
    n, rows = int(rng.integers(8, 21)), int(rng.integers(2, 9))
    G = rng.integers(-5, 6, (rows, n)) * (rng.random((rows, n)) < 0.5)
    h = rng.integers(-3, 10, rows)
    return case(
        rng, oracles.MILP(G, h, ub=3), drawn(rng, SOME, n),
        lambda cost, _: program("SCIP", cost, G, h - np.inf, h, (0, 3), integer=True),
        lambda x, _: bool((x == np.rint(x)).all() and (G @ x <= h).all() and x.min() >= 0
                          and x.max() <= 3),
    )  # fmt: skip


@medium("CpSat")
def _(rng: Rng) -> Case:
    from ortools.sat.python import cp_model

    n, rows = int(rng.integers(8, 16)), int(rng.integers(2, 6))
    G = rng.integers(-5, 6, (rows, n)) * (rng.random((rows, n)) < 0.5)
    h, model = rng.integers(-3, 10, rows), cp_model.CpModel()
    x = [model.new_int_var(0, 3, "") for _ in range(n)]
    for row, side in zip(G, h, strict=True):
        model.add(sum(int(a) * v for a, v in zip(row, x, strict=True)) <= int(side))
    return case(
        rng, oracles.CpSat(model, x), drawn(rng, SOME, n),
        lambda cost, _: program("SCIP", cost, G, h - np.inf, h, (0, 3), integer=True),
        lambda x, _: bool((x == np.rint(x)).all() and (G @ x <= h).all() and x.min() >= 0
                          and x.max() <= 3),
    )  # fmt: skip


@medium("from_cvxpy")
def _(rng: Rng) -> Case:
    import cvxpy as cp

    from lpgd.oracles import from_cvxpy

    n, rows = int(rng.integers(6, 16)), int(rng.integers(2, 6))
    whole = bool(rng.integers(2))
    G = rng.integers(-5, 6, (rows, n)) * (rng.random((rows, n)) < 0.5)
    h = rng.integers(-3, 10, rows)
    y, c = cp.Variable(n, integer=whole), cp.Parameter(n)
    oracle = from_cvxpy(cp.Problem(cp.Minimize(c @ y), [G @ y <= h, y >= 0, y <= 3]), c)
    name, slack = ("SCIP", 0.0) if whole else ("GLOP", 1e-7)
    return case(
        rng, oracle, drawn(rng, SOME, n),
        lambda cost, _: program(name, cost, G, h - np.inf, h, (0, 3), integer=whole),
        lambda x, _: bool((G @ x <= h + slack).all() and x.min() >= -slack and x.max() <= 3 + slack
                          and (not whole or (x == np.rint(x)).all())),
        gap=None if whole else 1e-8, size=1.0,
    )  # fmt: skip
