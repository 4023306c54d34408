"""Tours and routes against lists of all of them."""

import itertools
import pickle

import numpy as np
import pytest

import lpgd
from lpgd.oracles import CVRP, TSP, cvrp, tsp
from tests.oracles.sets import hold, some_costs


def tours(cities):
    table = {edge: place for place, edge in enumerate(itertools.combinations(range(cities), 2))}
    for order in itertools.permutations(range(1, cities)):
        x = np.zeros(len(table))
        for step in zip((0, *order), (*order, 0), strict=True):
            x[table[min(step), max(step)]] += 1
        yield x


@pytest.mark.parametrize("cities", [3, 4, 5, 6, 7])
@pytest.mark.parametrize("most", [12, 2], ids=["table", "cuts"])
def test_tours_are_the_best_of_all(cities, most, monkeypatch):
    monkeypatch.setattr(tsp, "CITIES", most)
    costs = some_costs(np.random.default_rng(cities), 12, cities * (cities - 1) // 2)
    points = np.unique(list(tours(cities)), axis=0)
    hold(TSP(cities).reply(costs), costs, points)


def test_twelve_cities_by_two_methods(monkeypatch):
    costs = np.random.default_rng(0).normal(size=(3, 66))
    oracle = TSP(12)
    by_table = oracle(costs)
    monkeypatch.setattr(tsp, "CITIES", 2)
    by_cuts = oracle(costs)
    np.testing.assert_allclose((by_cuts * costs).sum(1), (by_table * costs).sum(1), atol=1e-9)


def partitions(customers):
    if not customers:
        yield []
        return
    first, *others = customers
    for size in range(len(others) + 1):
        for more in itertools.combinations(others, size):
            rest = [customer for customer in others if customer not in more]
            for found in partitions(rest):
                yield [(first, *more), *found]


def routes(demands, capacity, vehicles, *, round_trips):
    nodes = len(demands) + 1
    table = {edge: place for place, edge in enumerate(itertools.combinations(range(nodes), 2))}
    for groups in partitions(list(range(1, nodes))):
        loads = [sum(demands[customer - 1] for customer in group) for group in groups]
        alone = not round_trips and any(len(group) == 1 for group in groups)
        if len(groups) > vehicles or max(loads) > capacity or alone:
            continue
        for orders in itertools.product(*map(itertools.permutations, groups)):
            x = np.zeros(len(table))
            for order in orders:
                for step in zip((0, *order), (*order, 0), strict=True):
                    x[table[min(step), max(step)]] += 1
            yield x


@pytest.mark.parametrize("most", [12, 0], ids=["table", "cuts"])
@pytest.mark.parametrize("round_trips", [True, False])
def test_routes_are_the_best_of_all(most, round_trips, monkeypatch):
    monkeypatch.setattr(cvrp, "CUSTOMERS", most)
    draw, met = np.random.default_rng(1), set()
    for _ in range(25):
        customers, vehicles = int(draw.integers(1, 6)), int(draw.integers(1, 4))
        demands, capacity = draw.integers(1, 5, customers), float(draw.integers(4, 10))
        oracle = CVRP(demands, capacity, vehicles, round_trips=round_trips)
        costs = some_costs(draw, 2, len(oracle.edges)) + draw.integers(2)
        points = list(routes(demands, capacity, vehicles, round_trips=round_trips))
        met.add(bool(points))
        hold(oracle.reply(costs), costs, np.array(points))
    assert met == {True, False}


def test_a_dozen_customers():
    """The best routes of three depots' worth of customers far apart are the three tours."""
    oracle = CVRP([1] * 12, 4, 3)
    costs = np.array(
        [[9.0 if i and (i - 1) // 4 != (j - 1) // 4 else 1.0 for i, j in oracle.edges]]
    )
    assert (oracle(costs) @ costs[0]) == [15.0]


def test_wrong_sizes_are_refused():
    for make in (
        lambda: TSP(2),
        lambda: CVRP([], 1, 1),
        lambda: CVRP([1], 0, 1),
        lambda: CVRP([-1], 1, 1),
    ):
        with pytest.raises(ValueError):
            make()
    with pytest.raises(lpgd.SolverError, match="infeasible"):
        CVRP([3], 2, 1)(np.ones((1, 1)))


@pytest.mark.parametrize("oracle", [TSP(6), TSP(13), CVRP([1, 2, 1], 3, 2)])
def test_they_travel(oracle):
    costs = np.random.default_rng(2).random((3, *oracle.shape))
    x = oracle(costs)
    copy = pickle.loads(pickle.dumps(oracle))
    assert (copy(costs) == x).all()
    assert (oracle(costs[::-1])[::-1] == x).all()
    assert oracle(costs[:0]).shape == (0, *oracle.shape)
