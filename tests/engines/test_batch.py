import threading

import numpy as np
import pytest

from lpgd.engines import batch


@pytest.mark.parametrize("size, threads", [(0, 4), (1, 4), (5, 1), (5, 2), (3, 8)])
def test_spread_covers_every_row_once(size, threads):
    hits = np.zeros(size, dtype=int)

    def work(rows):
        hits[rows] += 1

    batch.spread(work, size, threads)
    assert (hits == 1).all()


def test_spread_uses_threads_of_its_own():
    meet = threading.Barrier(2, timeout=10)
    seen = []

    def work(_):
        meet.wait()  # passes only if two threads are here at once
        seen.append(threading.get_ident())

    batch.spread(work, 4, 2)
    assert threading.get_ident() not in seen


def test_spread_hands_errors_on():
    def work(_):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        batch.spread(work, 4, 2)


def test_work_apart_leaves_the_calling_thread():
    seen = []
    batch.spread(lambda rows: seen.append((threading.get_ident(), *rows)), 3, 1, apart=True)
    assert [row for _, *rows in seen for row in rows] == [0, 1, 2]
    assert threading.get_ident() not in [ident for ident, *_ in seen]


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_ends_the_work_after_the_pieces_at_hand(threads):
    done, met = [], threading.Event()

    def work(rows):
        if 0 in rows:
            met.wait(10)
            raise KeyboardInterrupt
        done.extend(rows)
        met.set()
        threading.Event().wait(0.02 * len(rows))

    met.set() if threads == 1 else None
    with pytest.raises(KeyboardInterrupt):
        batch.spread(work, 200, threads, apart=True)
    threading.Event().wait(0.2)
    assert len(done) < 20


def test_small_elements_stay_in_one_thread(monkeypatch):
    monkeypatch.setattr(batch, "processors", lambda: 8)
    assert batch.useful_threads(None, 99, 100) == 1
    assert batch.useful_threads(4, 99, 100) == 1


def test_large_elements_use_what_is_allowed(monkeypatch):
    monkeypatch.setattr(batch, "processors", lambda: 8)
    assert batch.useful_threads(None, 100, 100) == 8
    assert batch.useful_threads(3, 100, 100) == 3
    assert batch.useful_threads(30, 100, 100) == 8


def test_processors_without_affinity(monkeypatch):
    monkeypatch.delattr(batch.os, "sched_getaffinity", raising=False)
    assert batch.processors() >= 1
