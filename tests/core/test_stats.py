import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

from lpgd.core.stats import Stats


def test_add_counts_and_note_replaces():
    stats = Stats()
    stats.add(solves=3, seconds_forward=0.5)
    stats.add(solves=2)
    stats.note(tau=(1.0, 2.0))
    stats.note(tau=(0.5, 0.5))
    assert stats == Stats(solves=5, seconds_forward=0.5, tau=(0.5, 0.5))


def test_threads_lose_no_count():
    stats = Stats()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: [stats.add(solves=1) for _ in range(500)], range(4)))
    assert stats.solves == 2000


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_copies_count_on_their_own(clone):
    stats = Stats(solves=1)
    other = clone(stats)
    assert other == stats
    other.add(solves=1)
    assert (stats.solves, other.solves) == (1, 2)


def test_the_lock_is_not_shown():
    assert "lock" not in repr(Stats())
