"""Shortest paths against networkx and against lists of all flows."""

import itertools
import pickle
from dataclasses import replace

import numpy as np
import pytest

import lpgd
from lpgd.oracles import GraphPath, GridPath, Matching, PyEPOGrid, SpanningTree
from lpgd.oracles import graph as graphs
from lpgd.oracles.pyepo_grid import arcs
from tests.oracles.sets import balance, binary, hold, some_costs, some_edges

networkx = pytest.importorskip("networkx")


@pytest.mark.parametrize("rows, cols", [(5, 5), (12, 12), (1, 4), (4, 1), (3, 2), (2, 7)])
def test_pyepos_grid_is_exact_for_costs_of_any_sign(rows, cols):
    grid = PyEPOGrid(rows, cols)
    costs = np.random.default_rng(0).normal(size=(60, len(grid.edges)))
    costs[30:] = np.rint(costs[30:])  # ties
    x = grid(costs)
    ends = np.zeros(rows * cols)
    ends[0], ends[-1] = 1, -1
    assert (x @ balance(grid.edges, rows * cols).T == ends).all()
    for one, cost in zip(x, costs, strict=True):
        near = {0: 0.0}
        for node in range(1, rows * cols):
            near[node] = min(
                near[t] + c for (t, h), c in zip(grid.edges, cost, strict=True) if h == node
            )
        assert one @ cost == pytest.approx(near[rows * cols - 1], abs=1e-12)


def test_edges_are_in_pyepos_order():
    assert arcs(2, 3) == [(0, 1), (1, 2), (0, 3), (1, 4), (2, 5), (3, 4), (4, 5)]


def shortest(edges, nodes, cost, ends, directed):
    graph = networkx.MultiDiGraph()
    graph.add_nodes_from(range(nodes))
    for (tail, head), price in zip(edges, cost, strict=True):
        graph.add_edge(tail, head, weight=price)
        if not directed:
            graph.add_edge(head, tail, weight=price)
    try:
        return networkx.bellman_ford_path_length(graph, *ends)
    except networkx.NetworkXNoPath:
        return None


def is_path(edges, x, ends, directed):
    chosen = [edges[edge] for edge in np.flatnonzero(x)]
    if ends[0] == ends[1]:
        return not chosen
    graph = networkx.MultiDiGraph(chosen) if directed else networkx.MultiGraph(chosen)
    path = networkx.shortest_path(graph, *ends)
    return len(path) == len(chosen) + 1


@pytest.mark.parametrize("kind", ["directed", "undirected", "acyclic"])
@pytest.mark.parametrize("many", [1500, 0], ids=["relaxed", "dijkstra"])
def test_graph_paths_are_those_of_networkx(kind, many, monkeypatch):
    monkeypatch.setattr(graphs, "MANY", many)
    draw, met = np.random.default_rng(1), set()
    for _ in range(150):
        edges, nodes = some_edges(draw, 7, 16)
        if kind == "acyclic":
            edges = [(min(e), max(e)) for e in edges if e[0] != e[1]] or [(0, 1)]
            nodes = max(map(max, edges)) + 1
        directed = kind != "undirected"
        ends = tuple(map(int, draw.integers(0, nodes, 2)))
        costs = some_costs(draw, 2, len(edges))
        if kind != "acyclic":
            costs = np.abs(costs)  # zero costs among them
        reply = GraphPath(edges, *ends, directed=directed).reply(costs)
        for row, cost in enumerate(costs):
            best = shortest(edges, nodes, cost, ends, directed)
            met.add(best is None)
            if best is None:
                assert reply.status[row] == lpgd.Status.INFEASIBLE
            else:
                assert reply.x[row] @ cost == pytest.approx(best, abs=1e-9)
                assert is_path(edges, reply.x[row], ends, directed)
    assert met == {True, False}


def test_flows_are_exact_for_negative_costs():
    draw, met = np.random.default_rng(2), 0
    for _ in range(80):
        edges, nodes = some_edges(draw, 4, 8)
        source, target = map(int, draw.integers(0, nodes, 2))
        oracle = GraphPath(edges, source, target, negative="flow")
        if not oracle.graph.cyclic:
            continue
        ends = np.zeros(nodes)
        ends[source] += 1
        ends[target] -= 1
        points = binary(len(edges))
        points = points[(points @ balance(edges, nodes).T == ends).all(axis=1)]
        costs = -np.abs(some_costs(draw, 2, len(edges))) - 0.1
        hold(oracle.reply(costs), costs, points)
        met += len(points) > 0
    assert met > 20


def test_negative_costs_on_cycles_are_refused_or_clipped():
    edges, costs = [(0, 1), (1, 2), (2, 1), (1, 3)], np.array([[1.0, 1, -3, 1], [1, 1, 1, 1]])
    oracle = GraphPath(edges, 0, 3)
    with pytest.raises(lpgd.SolverError, match="negative costs in a graph with cycles"):
        oracle(costs)
    assert oracle.reply(costs).status.tolist() == [lpgd.Status.INVALID, 0]
    clipped = GraphPath(edges, 0, 3, negative="clip")(costs)
    assert clipped.tolist() == [[1, 0, 0, 1]] * 2
    flow = GraphPath(edges, 0, 3, negative="flow")(costs)
    assert flow.tolist() == [[1, 1, 1, 1], [1, 0, 0, 1]]
    with pytest.raises(ValueError, match="needs directed=True"):
        GraphPath(edges, 0, 3, directed=False, negative="flow")


def test_elements_may_have_ends_of_their_own():
    oracle = GraphPath([(0, 1), (1, 2)], 0, 2)
    assert oracle(np.ones((3, 2)), [(0, 1), (1, 1), (0, 2)]).tolist() == [[1, 0], [0, 0], [1, 1]]
    with pytest.raises(lpgd.SolverError, match="1: infeasible"):
        oracle(np.ones((2, 2)), [(0, 1), (2, 0)])
    with pytest.raises(ValueError, match="the graph has 3 nodes"):
        oracle(np.ones((1, 2)), [(0, 5)])


@pytest.mark.parametrize("neighbours", [4, 8])
@pytest.mark.parametrize("costs", ["vertices", "edges"])
def test_grid_paths_are_those_of_networkx(neighbours, costs):
    draw = np.random.default_rng(3)
    for _ in range(40):
        rows, cols = map(int, draw.integers(1, 6, 2))
        if rows * cols < 2:
            continue
        grid = GridPath((rows, cols), neighbours, costs)
        price = np.abs(some_costs(draw, 3, *grid.shape))
        price[draw.random(price.shape) < 0.3] = 0.0
        found, last = grid(price), rows * cols - 1
        for x, one in zip(found, price, strict=True):
            if costs == "edges":
                best = shortest(grid.edges, last + 1, one, (0, last), directed=False)
                assert is_path(grid.edges, x, (0, last), directed=False)
            else:
                own = one.ravel()
                both = [*grid.edges, *((h, t) for t, h in grid.edges)]
                steps = [own[head] for _, head in both]
                best = own[0] + shortest(both, last + 1, steps, (0, last), directed=True)
                marked = np.flatnonzero(x)
                graph = networkx.Graph(grid.edges).subgraph(marked)
                assert networkx.has_path(graph, 0, last)
            assert (x * one).sum() == pytest.approx(best, abs=1e-9)


def test_vertex_flows_are_exact():
    draw = np.random.default_rng(4)
    costs, grid = draw.normal(size=(20, 3, 3)), GridPath((3, 3), 4, negative="flow")
    table = networkx.convert_node_labels_to_integers(networkx.grid_2d_graph(3, 3))
    points = binary(9)
    ends = (points[:, 0] > 0) & (points[:, 8] > 0)
    points = np.array([point for point in points[ends] if covered(table, point)])
    reply = grid.reply(costs)
    hold(replace(reply, x=reply.x.reshape(20, 9)), costs.reshape(20, 9), points)


def covered(table, point):
    """Whether a path between the corners and disjoint cycles cover the marked vertices."""
    nodes = [int(v) for v in np.flatnonzero(point)]
    for path in networkx.all_simple_paths(table.subgraph(nodes), 0, len(point) - 1):
        rest = [v for v in nodes if v not in path]
        for image in itertools.permutations(rest):
            if all(table.has_edge(v, w) for v, w in zip(rest, image, strict=True)):
                return True
    return False


def test_corners_may_have_negative_costs():
    costs = np.ones((1, 2, 2))
    costs[0, 0, 0] = costs[0, 1, 1] = -5.0
    assert GridPath((2, 2))(costs).tolist() == [[[1, 0], [0, 1]]]


@pytest.mark.parametrize(
    "make",
    [
        lambda: PyEPOGrid(1, 1),
        lambda: GridPath((1, 1)),
        lambda: GridPath((2, 2), 5),
        lambda: GridPath((2, 2), negative="ignore"),
        lambda: GraphPath([], 0, 0),
        lambda: GraphPath([(0, -1)], 0, 0),
        lambda: GraphPath([(0, 1)], 0, 2),
    ],
)
def test_wrong_graphs_are_refused(make):
    with pytest.raises(ValueError):
        make()


def test_answers_do_not_depend_on_the_company():
    draw = np.random.default_rng(5)
    for oracle in (PyEPOGrid(4, 4), GridPath((4, 5)), GraphPath(arcs(3, 3), 0, 8, directed=False)):
        costs = np.rint(3 * draw.random((150, *oracle.shape)))
        together = oracle(costs)
        copy = pickle.loads(pickle.dumps(oracle))
        assert all((copy(costs[i : i + 1])[0] == together[i]).all() for i in range(0, 150, 7))
        assert oracle(costs[:0]).shape == (0, *oracle.shape)


def test_wrong_shapes_are_named():
    with pytest.raises(lpgd.StructureError, match=r"expects costs of shape \(B, 2, 3\)"):
        GridPath((2, 3))(np.ones((4, 3, 2)))
    with pytest.raises(lpgd.StructureError, match="no per-instance inputs"):
        PyEPOGrid(2, 2)(np.ones((1, 4)), [0])


@pytest.mark.parametrize("graph", [lambda e: GraphPath(e, 0, 1), SpanningTree, Matching])
def test_numbers_of_nodes_from_elsewhere_are_refused_at_once(graph):
    with pytest.raises(ValueError, match=r"2 edges have 3 of them: number them 0, 1"):
        graph([(0, 10**9), (10**9, 1)])
