"""Knapsacks, assignments, matchings, trees, rankings against lists of all points."""

import itertools
import pickle

import numpy as np
import pytest

import lpgd
from lpgd.oracles import Assignment, Knapsack, Matching, Ranking, SpanningTree, TopK
from tests.oracles.sets import binary, degree, hold, some_costs, some_edges


@pytest.mark.parametrize("solver", ["auto", "table", "ortools", "highs"])
@pytest.mark.parametrize("dims", [1, 2])
def test_knapsacks_are_exact(solver, dims):
    if solver == "table" and dims > 1:
        with pytest.raises(ValueError, match="one dimension"):
            Knapsack(np.ones((2, 3)), [1, 1], solver)
        return
    if solver == "ortools":
        pytest.importorskip("ortools")
    draw = np.random.default_rng(0)
    for trial in range(25 if solver == "highs" else 80):
        n = int(draw.integers(1, 9))
        weights = draw.integers(0, 9, (dims, n)).astype(float)
        if trial % 2:
            weights = np.round(draw.uniform(0, 5, (dims, n)), 2)
        room = np.round(draw.uniform(0, 12, dims), 1)
        points = binary(n)
        points = points[(points @ weights.T <= room + 1e-9).all(axis=1)]
        costs = some_costs(draw, 4, n)
        hold(Knapsack(weights, room, solver).reply(costs), costs, points)


def test_sums_of_decimals_may_just_fit():
    assert Knapsack([0.1, 0.2], 0.3)(-np.ones((1, 2))).tolist() == [[1, 1]]
    assert Knapsack([0.1, 0.2], 0.29)(-np.ones((1, 2))).sum() == 1


def test_a_medium_knapsack_has_one_optimum_by_all_solvers():
    pytest.importorskip("ortools")
    draw = np.random.RandomState(0)
    weights, values = draw.choice(range(300, 800), (2, 32)) / 100, draw.random_sample((8, 32))
    found = [Knapsack(weights, [20, 20], solver)(-values) for solver in ("ortools", "highs")]
    np.testing.assert_array_equal(*found)


def test_irrational_weights_are_highs_own():
    draw = np.random.default_rng(1)
    weights, costs = draw.random((1, 7)), draw.normal(size=(5, 7))
    points = binary(7)
    oracle = Knapsack(weights, 1.5)
    assert oracle._way(oracle.capacities) == "highs"
    hold(oracle.reply(costs), costs, points[(points @ weights[0]) <= 1.5])
    with pytest.raises(ValueError, match="at most six decimals"):
        Knapsack(weights, 1.5, "table")


def test_elements_may_have_capacities_of_their_own():
    oracle = Knapsack([1, 1, 1])
    assert oracle(-np.ones((3, 3)), [0, 1, 2.5]).sum(axis=1).tolist() == [0, 1, 2]
    assert oracle.reply(-np.ones((2, 3)), [-1, 1]).status.tolist() == [lpgd.Status.INFEASIBLE, 0]
    with pytest.raises(ValueError, match="given once"):
        oracle(-np.ones((1, 3)))
    with pytest.raises(lpgd.SolverError, match="infeasible"):
        Knapsack([1, 1], -1)(np.ones((1, 2)))


def test_a_capacity_decides_on_the_method_of_its_own_element():
    pytest.importorskip("ortools")
    oracle, draw = Knapsack([1, 1, 2, 2, 3, 3, 3, 2, 1, 1, 2, 1e5]), np.random.default_rng(6)
    costs = draw.integers(-3, 0, (60, 12)).astype(float)  # many optima
    small = draw.integers(1, 20, 60)
    for room in (2e5, -1):
        mixed = np.where(np.arange(60) % 2, small, room)
        reply = oracle.reply(costs, mixed)
        np.testing.assert_array_equal(
            np.array(reply.x)[1::2], oracle(costs[1::2], small[1::2]), f"{room}"
        )


@pytest.mark.parametrize("make", [
    lambda: Knapsack([-1, 2], 3), lambda: Knapsack([1, 2], [1, 2]), lambda: Knapsack([np.nan], 1),
    lambda: Knapsack([1], 1, "guess"), lambda: TopK(-1), lambda: SpanningTree([(0, 1), (2, 3)]),
    lambda: Matching([0, 1]),
])  # fmt: skip
def test_wrong_sets_are_refused(make):
    with pytest.raises(ValueError):
        make()


@pytest.mark.parametrize("rows, cols", [(3, 3), (2, 4), (4, 2), (1, 1)])
def test_assignments_are_exact(rows, cols):
    costs = some_costs(np.random.default_rng(rows), 40, rows, cols)
    few, many = sorted((rows, cols))
    points = []
    for chosen in itertools.permutations(range(many), few):
        x = np.zeros((few, many))
        x[np.arange(few), chosen] = 1
        points.append((x if rows <= cols else x.T).ravel())
    reply = Assignment().reply(costs)
    hold(type(reply)(reply.x.reshape(40, -1)), costs.reshape(40, -1), np.array(points))


@pytest.mark.parametrize("perfect", [True, False])
def test_matchings_are_exact(perfect):
    pytest.importorskip("networkx")
    draw, met = np.random.default_rng(2), set()
    for _ in range(150):
        edges, nodes = some_edges(draw, 6, 9)
        costs, points = some_costs(draw, 2, len(edges)), binary(len(edges))
        degrees = points @ degree(edges, nodes).T
        fits = (degrees == 1) if perfect else (degrees <= 1)
        points = points[fits.all(axis=1)]
        met.add(len(points) > 0)
        hold(Matching(edges, perfect=perfect).reply(costs), costs, points)
    assert True in met
    assert (False in met) == perfect


def test_spanning_trees_are_those_of_networkx():
    networkx, draw, met = pytest.importorskip("networkx"), np.random.default_rng(3), 0
    for _ in range(150):
        edges, nodes = some_edges(draw, 8, 20)
        graph = networkx.MultiGraph(edges)
        if len(graph) < nodes or not networkx.is_connected(graph):
            continue
        met += 1
        costs = some_costs(draw, 3, len(edges))
        for x, cost in zip(SpanningTree(edges)(costs), costs, strict=True):
            priced = networkx.MultiGraph()
            for (tail, head), price in zip(edges, cost, strict=True):
                priced.add_edge(tail, head, weight=price)
            best = networkx.minimum_spanning_tree(priced).size("weight")
            assert x @ cost == pytest.approx(best, abs=1e-9)
            assert (
                networkx.is_tree(networkx.MultiGraph([edges[e] for e in np.flatnonzero(x)]))
                or nodes == 1
            )
    assert met > 40


@pytest.mark.parametrize("k", [0, 1, 3, 5])
def test_the_cheapest_entries_are_chosen(k):
    costs, points = some_costs(np.random.default_rng(k), 50, 5), binary(5)
    hold(TopK(k).reply(costs), costs, points[points.sum(axis=1) == k])


def test_elements_may_have_a_k_of_their_own():
    assert TopK()(np.array([[3.0, 1, 2]] * 3), [0, 1, 3]).sum(axis=1).tolist() == [0, 1, 3]
    assert TopK(4).reply(np.ones((2, 3))).status.tolist() == [lpgd.Status.INFEASIBLE] * 2
    with pytest.raises(lpgd.StructureError, match="k is given once"):
        TopK()(np.ones((1, 2)))


def test_rankings_minimise_over_permutations():
    costs = some_costs(np.random.default_rng(4), 40, 5)
    hold(Ranking().reply(costs), costs, np.array(list(itertools.permutations(range(1, 6)))))
    assert Ranking()(np.array([[3.0, 1, 2, 1]])).tolist() == [[1, 3, 2, 4]]


def test_oracles_travel_and_take_empty_batches():
    pytest.importorskip("networkx")
    edges = [(0, 1), (1, 2), (0, 2), (2, 3)]
    for oracle, shape in [
        (Knapsack([1, 2, 3], 3), (3,)), (Knapsack([[1, 2], [2, 1]], [2, 2]), (2,)),
        (Assignment(), (2, 3)),
        (Matching(edges), (4,)), (SpanningTree(edges), (4,)), (TopK(1), (4,)), (Ranking(), (4,)),
    ]:  # fmt: skip
        costs = np.random.default_rng(5).normal(size=(6, *shape))
        x = oracle(costs)
        copy = pickle.loads(pickle.dumps(oracle))
        assert (copy(costs) == x).all()
        assert repr(copy) == repr(oracle)
        assert oracle(costs[:0]).shape == (0, *shape)
        np.testing.assert_array_equal(oracle(costs[::-1])[::-1], x)
