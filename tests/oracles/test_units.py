"""Costs of any size, bad costs, and calls from several threads at once: what all oracles share."""

import itertools
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import lpgd
from lpgd.oracles import (
    CVRP,
    MILP,
    TSP,
    Assignment,
    CpSat,
    GraphPath,
    GridPath,
    Knapsack,
    Matching,
    Polytope,
    PyEPOGrid,
    Ranking,
    SpanningTree,
    TopK,
)

EDGES = list(itertools.combinations(range(4), 2))


def cp_sat():
    module = pytest.importorskip("ortools.sat.python.cp_model")
    model = module.CpModel()
    chosen = [model.new_bool_var(f"x{i}") for i in range(4)]
    model.add(sum(chosen) == 2)
    return CpSat(model, chosen)


def knapsack_by_ortools():
    pytest.importorskip("ortools")
    return Knapsack([[1, 2, 3, 4.0], [2, 2, 1, 1]], [5, 4], "ortools")


def matching(*, perfect):
    pytest.importorskip("networkx")
    return Matching(EDGES, perfect=perfect)


ORACLES = {
    "grid": lambda: PyEPOGrid(3, 3),
    "vertices": lambda: GridPath((3, 3), 4),
    "edges": lambda: GridPath((3, 3), 8, "edges"),
    "flow": lambda: GridPath((3, 3), 8, negative="flow"),
    "graph": lambda: GraphPath([(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)], 0, 3),
    "matching": lambda: matching(perfect=True),
    "any matching": lambda: matching(perfect=False),
    "tree": lambda: SpanningTree(EDGES),
    "top": lambda: TopK(2),
    "ranking": Ranking,
    "assignment": Assignment,
    "table": lambda: Knapsack([1, 2, 3, 4], 5),
    "ortools": knapsack_by_ortools,
    "highs": lambda: Knapsack([1, 2, 3, np.pi], 5),
    "tsp": lambda: TSP(5),
    "cuts": lambda: TSP(13),
    "routes": lambda: CVRP([1, 2, 1, 2], 4, 3),
    "polytope": lambda: Polytope(np.ones((1, 4)), [1.0], ub=1.0),
    "milp": lambda: MILP([[1.0, 2, 3, 4]], [5.0], ub=1.0),
    "cp-sat": cp_sat,
}
POSITIVE = {"vertices", "edges"}


def some(name, oracle, size=3):
    draw = np.random.default_rng(0)
    shape = [4 if n is None else n for n in oracle.shape]
    return draw.random((size, *shape)) - (0.0 if name in POSITIVE else 0.5)


@pytest.mark.parametrize("name", ORACLES)
def test_minimisers_do_not_depend_on_the_size_of_the_costs(name):
    oracle = ORACLES[name]()
    costs = some(name, oracle)
    x = oracle(costs)
    for size in (1e-300, 1e-250, 1e250, 2.0**1023):  # sums of the last overflow
        scaled = costs.copy()
        scaled[1] *= size  # an element of another size leaves its neighbours alone
        np.testing.assert_array_equal(oracle(scaled), x)
    tiny = np.ldexp(np.rint(costs * 64), -1074)  # the least numbers that there are
    np.testing.assert_array_equal(oracle(tiny), oracle(np.rint(costs * 64)))


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_costs_that_are_not_finite_are_refused(name, bad):
    oracle = ORACLES[name]()
    costs = some(name, oracle)
    costs[1].flat[0] = bad
    with pytest.raises(lpgd.SolverError, match=r"1 of 3 .* NaN or infinite") as caught:
        oracle(costs)
    assert caught.value.indices == (1,)
    assert caught.value.statuses == (lpgd.Status.INVALID,)


def test_instances_are_counted():
    with pytest.raises(lpgd.StructureError, match="2 instances are needed, got 1"):
        Knapsack([1, 2, 3])(-np.ones((2, 3)), [2])


def test_oracles_bear_several_threads():
    pytest.importorskip("ortools")
    draw = np.random.default_rng(0)
    weights = draw.integers(1, 100, (3, 20))
    oracle, costs = Knapsack(weights, weights.sum(axis=1) // 2), -draw.random((60, 20))
    x, often = oracle(costs), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(oracle, [costs] * 4))
    finally:
        sys.setswitchinterval(often)
    for each in found:
        np.testing.assert_array_equal(each, x)
