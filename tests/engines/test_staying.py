"""Workers that back ends start for every call stay for the next one."""

import gc
import pickle
from multiprocessing.pool import ThreadPool

import numpy as np
import pytest

from lpgd.engines.oracle.ask import Direct
from lpgd.engines.oracle.spread import Spread
from lpgd.engines.scatter import Scatter

joblib = pytest.importorskip("joblib")


class Started(joblib.parallel.MultiprocessingBackend):
    """A back end that starts its workers for a call, as Ray's does, and notes it; no process."""

    def __init__(self, notes):
        super().__init__(nesting_level=0)
        self.notes = notes

    def configure(self, n_jobs=1, parallel=None, **options):
        self._pool, self.parallel = ThreadPool(n_jobs), parallel
        self.notes.append("started")
        return n_jobs

    def terminate(self):
        if self._pool is not None:
            self.notes.append("ended")
        super().terminate()


def same(work):
    return work


def fails(work):
    raise KeyError(work)


def asked(scatter, backend, function=same):
    with joblib.parallel_config(backend=backend):
        return scatter(function, [0, 1, 2], [1, 1, 1])


@pytest.fixture
def notes():
    return []


@pytest.fixture
def backend(notes):
    return Started(notes)


def test_one_set_of_workers_serves_all_calls(notes, backend):
    scatter = Scatter(2)
    for _ in range(3):
        assert [done.result for done in asked(scatter, backend)] == [0, 1, 2]
    assert all(isinstance(done.error, KeyError) for done in asked(scatter, backend, fails))
    assert notes == ["started"]


def test_they_end_with_their_owner(notes, backend):
    scatter = Scatter(2)
    asked(scatter, backend)
    del scatter
    gc.collect()
    assert notes == ["started", "ended"]


def test_they_end_where_another_back_end_is_asked_for(notes, backend):
    scatter, others = Scatter(2), []
    asked(scatter, backend)
    asked(scatter, Started(others))
    assert notes == ["started", "ended"]
    assert others == ["started"]


def test_layers_do_not_take_one_anothers(notes, backend):
    first, second = Scatter(2), Scatter(2)
    asked(first, backend)
    asked(second, backend)
    del second
    gc.collect()
    assert [done.result for done in asked(first, backend)] == [0, 1, 2]
    assert notes == ["started", "started", "ended"]
    assert backend._pool is None  # what others do with it is not ours


def test_an_interruption_ends_them(notes, backend):
    scatter = Scatter(2)
    asked(scatter, backend)
    config, interrupted = joblib.parallel_config(backend=backend), pytest.raises(KeyboardInterrupt)
    with config, interrupted, scatter.staying.workers(joblib, 2):
        raise KeyboardInterrupt
    assert notes == ["started", "ended"]
    assert [done.result for done in asked(scatter, backend)] == [0, 1, 2]


def test_copies_have_workers_of_their_own(notes, backend):
    ask = Spread(Direct(np.sign), Scatter(2))
    costs = np.array([[1.0], [-2.0], [3.0]])
    with joblib.parallel_config(backend=backend):
        expected = ask(costs, None).x
        again = pickle.loads(pickle.dumps(ask))
        assert np.array_equal(again(costs, None).x, expected)
    assert notes == ["started", "started"]
