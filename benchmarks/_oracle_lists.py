"""Small sets of all kinds, listed point by point."""

from __future__ import annotations

import itertools
from typing import Any

import networkx
import numpy as np
from _oracle_cases import REFUSED, Array, Case, Families, drawn, listed, sized

from lpgd import oracles
from lpgd.oracles import cvrp as routing
from lpgd.oracles import graph as graphs
from lpgd.oracles import tsp as touring
from tests.oracles.sets import balance, binary, degree, some_edges
from tests.oracles.test_paths import covered
from tests.oracles.test_routing import routes, tours

Rng = np.random.Generator
SOME = 4  # costs for each set
lists = Families()


def unit(count: int, places: Any) -> Array:
    """A point with ones at some places."""
    x = np.zeros(count)
    x[list(places)] = 1.0
    return x


def paths(edges: Any, nodes: int, ends: tuple[int, int], *, directed: bool) -> Array:
    """All paths between two nodes that meet no node twice, as (K, edges)."""
    if ends[0] == ends[1]:
        return np.zeros((1, len(edges)))
    graph: Any = networkx.MultiDiGraph() if directed else networkx.MultiGraph()
    graph.add_nodes_from(range(nodes))
    for number, (tail, head) in enumerate(edges):
        graph.add_edge(tail, head, key=number)
    found = networkx.all_simple_edge_paths(graph, *ends)
    return np.array([unit(len(edges), [key for *_, key in path]) for path in found])


@lists("PyEPOGrid")
def _(rng: Rng) -> Case:
    rows, cols = 1, 1
    while rows * cols < 2:
        rows, cols = map(int, rng.integers(1, 5, 2))
    oracle = oracles.PyEPOGrid(rows, cols)
    points = paths(oracle.edges, rows * cols, (0, rows * cols - 1), directed=True)
    return listed(oracle, sized(rng) * drawn(rng, SOME, len(oracle.edges)), points)


@lists("GridPath, vertices")
def _(rng: Rng) -> Case:
    rows, cols = 1, 1
    while rows * cols < 2:
        rows, cols = map(int, rng.integers(1, 4, 2))
    oracle = oracles.GridPath((rows, cols), int(rng.choice([4, 8])))
    graph, last = networkx.Graph(oracle.edges), rows * cols - 1
    points = [unit(last + 1, path) for path in networkx.all_simple_paths(graph, 0, last)]
    costs = drawn(rng, SOME, rows, cols, sign="positive")
    corners = rng.integers(-64, 65, (2, SOME)) / 64.0
    costs[:, 0, 0], costs[:, -1, -1] = corners
    return listed(oracle, sized(rng) * costs, np.array(points))


@lists("GridPath, edges")
def _(rng: Rng) -> Case:
    rows, cols = 1, 1
    while rows * cols < 2:
        rows, cols = map(int, rng.integers(1, 4, 2))
    oracle = oracles.GridPath((rows, cols), int(rng.choice([4, 8])), "edges")
    points = paths(oracle.edges, rows * cols, (0, rows * cols - 1), directed=False)
    return listed(oracle, sized(rng) * drawn(rng, SOME, len(oracle.edges), sign="positive"), points)


@lists("GridPath, vertices, flow")
def _(rng: Rng) -> Case:
    rows, cols = [(2, 2), (2, 3), (3, 2), (1, 4), (3, 3)][int(rng.integers(5))]
    near = 4 if rows * cols == 9 else int(rng.choice([4, 8]))
    oracle = oracles.GridPath((rows, cols), near, negative="flow")
    costs = sized(rng) * drawn(rng, SOME, rows, cols)
    return listed(oracle, costs, _vertex_flows(rows, cols, near, tuple(oracle.edges)))


_flows: dict[Any, Array] = {}


def _vertex_flows(rows: int, cols: int, near: int, edges: Any) -> Array:
    key = rows, cols, near
    if key not in _flows:
        graph = networkx.Graph(edges)
        points = binary(rows * cols)
        points = points[(points[:, 0] > 0) & (points[:, -1] > 0)]
        _flows[key] = np.array([x for x in points if covered(graph, x)])
    return _flows[key]


@lists("GridPath, refuse and clip")
def _(rng: Rng) -> Case:
    kind = "refuse" if rng.integers(2) else "clip"
    oracle = oracles.GridPath((3, 3), int(rng.choice([4, 8])), negative=kind)
    graph = networkx.Graph(oracle.edges)
    points = np.array([unit(9, path) for path in networkx.all_simple_paths(graph, 0, 8)])
    costs = sized(rng) * drawn(rng, SOME, 3, 3)
    inner = (costs.reshape(SOME, 9)[:, 1:-1] < 0).any(axis=1)
    shown = costs if kind == "refuse" else np.maximum(costs, 0.0)
    case = listed(oracle, shown, points)
    best = [
        REFUSED if bad and kind == "refuse" else b for bad, b in zip(inner, case.best, strict=True)
    ]
    return Case(oracle, costs, best, case.inside, weighed=shown)


@lists("GraphPath")
def _(rng: Rng) -> Case:
    edges, nodes = some_edges(rng, 6, 10)
    kind = str(rng.choice(["directed", "undirected", "acyclic"]))
    if kind == "acyclic":
        edges = [(min(e), max(e)) for e in edges if e[0] != e[1]] or [(0, 1)]
        nodes = max(map(max, edges)) + 1
    directed = kind != "undirected"
    graphs.MANY = int(rng.choice([0, 1500]))
    pairs = [tuple(map(int, rng.integers(0, nodes, 2))) for _ in range(SOME)]
    oracle = oracles.GraphPath(edges, 0, 0, directed=directed)
    sign = "positive" if oracle.graph.cyclic else "any"
    costs = sized(rng) * drawn(rng, SOME, len(edges), sign=sign)
    parts = [
        listed(oracle, costs[i : i + 1], paths(edges, nodes, pairs[i], directed=directed))
        for i in range(SOME)
    ]
    best = [part.best[0] for part in parts]
    return Case(oracle, costs, best, lambda x, row: parts[row].inside(x, row), pairs)


@lists("GraphPath, flow")
def _(rng: Rng) -> Case:
    while True:
        edges, nodes = some_edges(rng, 4, 9)
        source, target = map(int, rng.integers(0, nodes, 2))
        oracle = oracles.GraphPath(edges, source, target, negative="flow")
        if oracle.graph.cyclic:
            break
    ends = np.zeros(nodes)
    ends[source] += 1
    ends[target] -= 1
    points = binary(len(edges))
    points = points[(points @ balance(edges, nodes).T == ends).all(axis=1)]
    costs = drawn(rng, SOME, len(edges)) - 1.0 / 64
    costs[:, 0] = -1.0  # elements without any negative cost are paths
    return listed(oracle, sized(rng) * costs, points)


@lists("Assignment")
def _(rng: Rng) -> Case:
    rows, cols = map(int, rng.integers(1, 6, 2))
    few, many = sorted((rows, cols))
    points = []
    for chosen in itertools.permutations(range(many), few):
        x = np.zeros((few, many))
        x[np.arange(few), chosen] = 1
        points.append((x if rows <= cols else x.T).ravel())
    return listed(oracles.Assignment(), sized(rng) * drawn(rng, SOME, rows, cols), np.array(points))


@lists("Matching")
def _(rng: Rng) -> Case:
    edges, nodes = some_edges(rng, 6, 9)
    perfect = bool(rng.integers(2))
    points = binary(len(edges))
    degrees = points @ degree(edges, nodes).T
    points = points[((degrees == 1) if perfect else (degrees <= 1)).all(axis=1)]
    costs = sized(rng) * drawn(rng, SOME, len(edges))
    return listed(oracles.Matching(edges, perfect=perfect), costs, points)


@lists("SpanningTree")
def _(rng: Rng) -> Case:
    while True:
        edges, nodes = some_edges(rng, 6, 10)
        graph = networkx.MultiGraph(edges)
        if len(graph) == nodes and networkx.is_connected(graph):
            break
    trees = [
        unit(len(edges), some)
        for some in itertools.combinations(range(len(edges)), nodes - 1)
        if nodes == 1 or _spans([edges[e] for e in some], nodes)
    ]
    costs = sized(rng) * drawn(rng, SOME, len(edges))
    return listed(oracles.SpanningTree(edges), costs, np.array(trees))


def _spans(edges: Any, nodes: int) -> bool:
    graph = networkx.MultiGraph(edges)
    return len(graph) == nodes and networkx.is_tree(graph)


@lists("TopK")
def _(rng: Rng) -> Case:
    n, points = int(rng.integers(1, 8)), []
    counts = [int(k) for k in rng.integers(0, n + 2, SOME)]
    costs = sized(rng) * drawn(rng, SOME, n)
    points = binary(n)
    parts = [
        listed(None, costs[i : i + 1], points[points.sum(axis=1) == k])
        for i, k in enumerate(counts)
    ]
    best = [part.best[0] for part in parts]
    return Case(oracles.TopK(), costs, best, lambda x, row: parts[row].inside(x, row), counts)


@lists("Ranking")
def _(rng: Rng) -> Case:
    n = int(rng.integers(1, 7))
    points = np.array(list(itertools.permutations(range(1, n + 1))))
    return listed(oracles.Ranking(), sized(rng) * drawn(rng, SOME, n), points)


@lists("Knapsack")
def _(rng: Rng) -> Case:
    n, dims = int(rng.integers(1, 9)), int(rng.integers(1, 4))
    ways = ["auto", "ortools", "highs"] + ["table"] * (dims == 1)
    weights = rng.integers(0, 9, (dims, n)).astype(float)
    if rng.integers(2):
        weights = np.round(rng.uniform(0, 5, (dims, n)), 2)
    rooms = np.round(rng.uniform(-1, 12, (SOME, dims)), int(rng.integers(3)))
    rooms[rng.random(SOME) < 0.7] = np.abs(rooms[0])
    all_points, costs = binary(n), sized(rng) * drawn(rng, SOME, n)
    loads, parts = all_points @ weights.T, []
    for i in range(SOME):
        fits = (loads <= rooms[i] + 1e-9).all(axis=1) & (rooms[i] >= 0).all()
        parts.append(listed(None, costs[i : i + 1], all_points[fits]))
    oracle = oracles.Knapsack(weights, None, str(rng.choice(ways)))
    best = [part.best[0] for part in parts]
    return Case(oracle, costs, best, lambda x, row: parts[row].inside(x, row), list(rooms))


@lists("TSP")
def _(rng: Rng) -> Case:
    cities = int(rng.integers(3, 8))
    touring.CITIES = int(rng.choice([2, 12]))
    oracle = oracles.TSP(cities)
    points = np.unique(list(tours(cities)), axis=0)
    return listed(oracle, sized(rng) * drawn(rng, SOME, len(oracle.edges)), points)


@lists("CVRP")
def _(rng: Rng) -> Case:
    customers, vehicles = int(rng.integers(1, 6)), int(rng.integers(1, 4))
    demands, capacity = rng.integers(0, 5, customers), float(rng.integers(4, 10))
    alone = bool(rng.integers(2))
    routing.CUSTOMERS = int(rng.choice([0, 12]))
    oracle = oracles.CVRP(demands, capacity, vehicles, round_trips=alone)
    points = list(routes(demands, capacity, vehicles, round_trips=alone))
    return listed(oracle, sized(rng) * drawn(rng, SOME, len(oracle.edges)), np.array(points))


@lists("Polytope")
def _(rng: Rng) -> Case:
    """Vertices of a box with some rows; equalities among them; one row in five is redundant."""
    n, rows, equal = int(rng.integers(1, 5)), int(rng.integers(1, 5)), int(rng.integers(0, 2))
    G = rng.integers(-3, 4, (rows, n)).astype(float)
    h = rng.integers(-3, 7, rows).astype(float)
    A, b = G[:equal], h[:equal]
    lines = np.concatenate([G, np.eye(n), -np.eye(n)])
    sides = np.concatenate([h, np.full(n, 2.0), np.zeros(n)])
    points = []
    for chosen in itertools.combinations(range(len(lines)), n):
        part = lines[list(chosen)]
        if abs(np.linalg.det(part)) < 0.5:  # of whole numbers
            continue
        x = np.linalg.solve(part, sides[list(chosen)])
        if (lines @ x <= sides + 1e-9).all() and (np.abs(A @ x - b) <= 1e-9).all():
            points.append(x)
    given = {"A": A, "b": b} if equal else {}
    above = (G[equal:], h[equal:]) if rows > equal else (None, None)
    oracle = oracles.Polytope(*above, **given, ub=2.0)
    costs = sized(rng) * drawn(rng, SOME, n)
    return listed(oracle, costs, np.array(points), atol=1e-7)


@lists("MILP")
def _(rng: Rng) -> Case:
    n, rows = map(int, rng.integers(1, 6, 2))
    G, h = rng.integers(-3, 4, (rows, n)), rng.integers(-3, 5, rows)
    points = np.array(list(itertools.product(range(-1, 3), repeat=n)), dtype=float)
    fits, given = (points @ G.T <= h).all(axis=1), {}
    if rng.integers(3) == 0:
        A, b = rng.integers(-2, 3, (1, n)), rng.integers(-1, 3, 1)
        fits &= (points @ A.T == b).all(axis=1)
        given = {"A": A, "b": b}
    oracle = oracles.MILP(G, h, **given, lb=-1, ub=2)
    return listed(oracle, sized(rng) * drawn(rng, SOME, n), points[fits])


@lists("CpSat")
def _(rng: Rng) -> Case:
    from ortools.sat.python import cp_model

    n, model = int(rng.integers(1, 6)), cp_model.CpModel()
    x = [model.new_int_var(-1, 2, f"x{i}") for i in range(n)]
    row, side = rng.integers(-2, 3, n), int(rng.integers(-3, 4))
    model.add(sum(int(a) * v for a, v in zip(row, x, strict=True)) <= side)
    points = np.array(list(itertools.product(range(-1, 3), repeat=n)), dtype=float)
    points = points[points @ row <= side]
    if n > 1 and rng.integers(2):
        model.add_all_different(x)
        points = points[[len(set(point)) == n for point in points]]
    return listed(oracles.CpSat(model, x), sized(rng) * drawn(rng, SOME, n), points)


@lists("from_cvxpy")
def _(rng: Rng) -> Case:
    import cvxpy as cp

    from lpgd.oracles import from_cvxpy

    n, least, most = int(rng.integers(2, 6)), int(rng.integers(0, 4)), int(rng.integers(1, 6))
    y, c, fixed = cp.Variable(n, boolean=True), cp.Parameter(n), rng.integers(-3, 4, n) / 8.0
    G = rng.integers(-2, 3, (2, n))
    rows = [cp.sum(y) >= least, cp.sum(y) <= most, G @ y <= 2]
    upward = bool(rng.integers(2))
    goal = cp.Maximize(c @ y - fixed @ y) if upward else cp.Minimize(c @ y + fixed @ y + 3.0)
    points = binary(n)
    count = points.sum(axis=1)
    points = points[(count >= least) & (count <= most) & (points @ G.T <= 2).all(axis=1)]
    oracle = from_cvxpy(cp.Problem(goal, rows), c)
    return listed(oracle, drawn(rng, SOME, n), points, fixed=fixed)


@lists("PyEPOModel")
def _(rng: Rng) -> Case:
    from pyepo.model import grb

    from lpgd.oracles import PyEPOModel

    if rng.integers(2):
        oracle = PyEPOModel(grb.shortestPathModel((3, 3)))
        points = paths(oracles.PyEPOGrid(3, 3).edges, 9, (0, 8), directed=True)
        return listed(oracle, drawn(rng, SOME, 12), points, gap=1e-4)
    n, dims = int(rng.integers(2, 7)), int(rng.integers(1, 3))
    weights, room = rng.integers(1, 9, (dims, n)), rng.integers(5, 20, dims)
    points = binary(n)
    points = points[(points @ weights.T <= room).all(axis=1)]
    oracle = PyEPOModel(grb.knapsackModel(weights, room.tolist()))
    return listed(oracle, drawn(rng, SOME, n), points, gap=1e-4)


@lists("each")
def _(rng: Rng) -> Case:
    n = int(rng.integers(1, 8))
    return listed(_Cheapest(), drawn(rng, SOME, n), np.eye(n))


class _Cheapest:
    """A user's function of one cost."""

    gap = 0.0

    def reply(self, costs: Array, instances: Any = None) -> Any:
        """As an oracle's."""
        return oracles.each(lambda cost: np.eye(len(cost))[cost.argmin()]).reply(costs, instances)
