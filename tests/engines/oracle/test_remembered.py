"""Answers from memory: of costs that were seen, and of solutions that were."""

import numpy as np
import pytest

from lpgd.core.reply import Reply
from lpgd.core.solution import Flag, Status
from lpgd.engines.oracle.remembered import Cached, Pooled

COSTS = np.array([[1.0, -1.0], [2.0, 3.0], [1.0, -1.0], [-1.0, 0.5]])
LARGE = 10**6


class Asked:
    """An oracle that takes down what it is asked, and answers with signs."""

    def __init__(self, status=None, flags=None):
        self.calls, self.status, self.flags = [], status, flags

    def __call__(self, costs, instances):
        self.calls.append(costs.tolist())
        state = [None if part is None else part(costs) for part in (self.status, self.flags)]
        return Reply(list(-np.sign(costs)), *state)


def first(value):
    """One state for costs that begin with 2, zero for the others."""
    return lambda costs: np.where(costs[:, 0] == 2, np.int8(value), np.int8(0)).astype(np.int8)


def answers(reply):
    return np.array(reply.x).tolist()


def test_equal_costs_are_asked_for_once_and_then_never_again():
    ask = Asked()
    cached = Cached(ask, LARGE)
    reply = cached(COSTS, None)
    assert answers(reply) == (-np.sign(COSTS)).tolist()
    assert ask.calls == [COSTS[[0, 1, 3]].tolist()]
    assert reply.counts["cached"] == 1
    again = cached(COSTS[::-1], None)
    assert answers(again) == (-np.sign(COSTS[::-1])).tolist()
    assert len(ask.calls) == 1
    assert again.counts["cached"] == 4


def test_costs_of_other_bits_or_shapes_are_others():
    ask = Asked()
    cached = Cached(ask, LARGE)
    for costs in (COSTS[:1], COSTS[:1] * (1 + 2.0**-52), COSTS[:1].reshape(1, 2, 1)):
        assert cached(costs, None).counts["cached"] == 0
    assert len(ask.calls) == 3


def test_the_least_recently_used_are_dropped():
    ask = Asked()
    cached = Cached(ask, 2 * (2 * 8 * 2 + 200))  # two of them
    one, two, three = COSTS[:1], COSTS[1:2], COSTS[3:]
    for costs in (one, two, one, three):
        cached(costs, None)
    assert len(ask.calls) == 3
    cached(one, None)
    assert len(ask.calls) == 3
    cached(two, None)
    assert len(ask.calls) == 4


def test_what_is_kept_is_no_array_of_the_oracles():
    own = np.array([-1.0, 1.0])
    cached = Cached(lambda costs, instances: Reply([own]), LARGE)
    cached(COSTS[:1], None)
    own[:] = 9.0
    assert answers(cached(COSTS[:1], None)) == [[-1.0, 1.0]]


@pytest.mark.parametrize(
    "state",
    [{"status": first(Status.INFEASIBLE)}, {"flags": first(Flag.INCUMBENT)}],
    ids=["failures", "incumbents"],
)
def test_failures_and_incumbents_are_asked_for_again(state):
    ask = Asked(**state)
    cached = Cached(ask, LARGE)
    first_reply = cached(COSTS, None)
    name = next(iter(state))
    assert getattr(first_reply, name).tolist() == state[name](COSTS).tolist()
    assert cached(COSTS, None).counts["cached"] == 3
    assert ask.calls[1] == COSTS[[1]].tolist()


@pytest.mark.parametrize("link", [Cached, Pooled])
def test_inputs_of_elements_pass(link):
    seen = []

    def ask(costs, instances):
        seen.append(instances)
        return Reply(list(costs))

    way = link(ask, LARGE) if link is Cached else link(ask, 0.5, [[9.0, 9.0]], 1, 0)
    for _ in range(2):
        assert answers(way(COSTS, list("abcd"))) == COSTS.tolist()
    assert seen == [list("abcd")] * 2


POINTS = [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]


@pytest.mark.parametrize("sign, best", [(1, [1, 0, 1, 0]), (-1, [0, 1, 0, 1])])
def test_a_pool_answers_with_its_best_point(sign, best):
    ask = Asked()
    pooled = Pooled(ask, 1e-12, POINTS, sign, 0)
    reply = pooled(COSTS, None)
    assert answers(reply) == [POINTS[place] for place in best]
    assert reply.counts["pooled"] == 4
    assert not ask.calls


def test_a_share_is_solved_and_joins_the_pool():
    ask = Asked()
    pooled = Pooled(ask, 0.5, [], 1, 3)
    assert len(pooled(COSTS, None).x) == 4
    assert ask.calls == [COSTS.tolist()]  # of an empty pool nothing is known
    assert sorted(point.tolist() for point in pooled.pools[(2,)]) == [[-1, -1], [-1, 1], [1, -1]]
    many = np.random.default_rng(0).normal(size=(400, 2))
    reply = pooled(many, None)
    solved = len(ask.calls[1])
    assert 150 < solved < 250
    assert reply.counts["pooled"] == 400 - solved
    draws = np.random.default_rng(3)
    draws.random(4)
    assert ask.calls[1] == many[draws.random(400) < 0.5].tolist()


def test_a_pool_takes_neither_failures_nor_points_that_are_no_numbers():
    pooled = Pooled(Asked(status=first(Status.INFEASIBLE)), 1.0, [[np.nan, 0.0]], 1, 0)
    assert not pooled.pools
    reply = pooled(COSTS, None)
    assert reply.status.tolist() == first(Status.INFEASIBLE)(COSTS).tolist()
    assert sorted(point.tolist() for point in pooled.pools[(2,)]) == [[-1, 1], [1, -1]]


def test_an_idle_pool_asks_and_learns_nothing():
    ask = Asked()
    pooled = Pooled(ask, 0.5, POINTS, 1, 0)
    pooled.active = False
    assert answers(pooled(COSTS, None)) == (-np.sign(COSTS)).tolist()
    assert ask.calls == [COSTS.tolist()]
    assert len(pooled.pools[(2,)]) == 3
