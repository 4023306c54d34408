"""The store of forward passes."""

import threading

import pytest

import lpgd
from lpgd.frontend.kept import AROUND, Store
from lpgd.map.solution_map import SolutionMap
from tests.maps import BOX, boxes, forward


@pytest.fixture
def solved():
    solver = SolutionMap(lpgd.LPGD(), "daqp")
    return [forward(solver, BOX, boxes([cost, -1.0])) for cost in (0.5, 1.0, 1.5, 2.0)]


def found(store, token):
    with store.using(token) as kept:
        return kept


def test_tokens_differ_and_find_their_own(solved):
    store = Store()
    tokens = [store.put(own) for own in solved + solved]
    assert len(set(tokens)) == 8
    for token, own in zip(tokens, solved + solved, strict=True):
        assert found(store, token) is own
    assert found(store, b"nothing!") is None
    assert (store.hits, store.misses) == (8, 1)


def test_the_oldest_go_first_those_that_were_used_before_others(solved):
    store = Store(entries=3)
    first, second, third = (store.put(own) for own in solved[:3])
    assert found(store, second) is solved[1]
    fourth = store.put(solved[3])
    assert found(store, second) is None
    assert [found(store, token) for token in (first, third, fourth)] == [
        solved[0], solved[2], solved[3]
    ]  # fmt: skip


def test_of_used_ones_few_stay(solved):
    store = Store(used=1)
    tokens = [store.put(own) for own in solved]
    for token in tokens:
        found(store, token)
    assert len(store) == 1
    assert found(store, tokens[-1]) is solved[-1]


def test_bytes_are_bounded_but_for_the_newest(solved):
    arrays = [p.values for p in solved[0].params.values()]
    own = AROUND * sum(a.nbytes for a in (*arrays, solved[0].solution.x, solved[0].solution.y))
    store = Store(size=2 * own)
    tokens = [store.put(each) for each in solved]
    assert len(store) == 2
    assert found(store, tokens[1]) is None
    tiny = Store(size=1)
    token = [tiny.put(each) for each in solved][-1]
    assert len(tiny) == 1
    assert found(tiny, token) is solved[-1]
    tiny.clear()
    assert len(tiny) == 0
    assert tiny.put(solved[0])


def test_a_forward_pass_serves_one_at_a_time(solved):
    store, order = Store(), []
    token, entered = store.put(solved[0]), threading.Event()

    def other():
        entered.wait(5)
        with store.using(token):
            order.append("second")

    thread = threading.Thread(target=other)
    thread.start()
    with store.using(token):
        entered.set()
        thread.join(0.2)
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]


def test_who_must_not_wait_goes_without(solved):
    store = Store()
    token = store.put(solved[0])
    with store.using(token) as first, store.using(token, wait=False) as second:
        assert (first, second) == (solved[0], None)
    with store.using(token, wait=False) as third:
        assert third is solved[0]
    assert (store.hits, store.misses) == (2, 1)


def test_many_threads_leave_it_whole(solved):
    store = Store(entries=5)

    def work():
        for _ in range(200):
            token = store.put(solved[0])
            with store.using(token) as kept:
                assert kept is None or kept is solved[0]

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store) <= 5
    assert store.hits + store.misses == 800
