"""Workers that back ends start for every call stay for the next one."""

import gc
import os
import pickle

import numpy as np
import pytest

from lpgd.engines.oracle.ask import Direct
from lpgd.engines.oracle.spread import Spread
from lpgd.engines.scatter import Done, Scatter

joblib = pytest.importorskip("joblib")
psutil = pytest.importorskip("psutil")
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def where(work):
    return os.getpid() + 0 * work


def fails(work):
    raise KeyError(work)


@pytest.fixture
def processes():
    with joblib.parallel_config(backend="multiprocessing"):
        yield


def asked(scatter, function=where):
    return scatter(function, [0, 0, 0], [1, 1, 1])


def alive(pids):
    gc.collect()
    return {pid for pid in pids if psutil.pid_exists(pid)}


def test_one_set_of_workers_serves_all_calls(processes):
    scatter = Scatter(2)
    pids = {done.result for _ in range(3) for done in asked(scatter)}
    assert len(pids) <= 2
    assert os.getpid() not in pids
    assert all(isinstance(done.error, KeyError) for done in asked(scatter, fails))
    assert {done.result for done in asked(scatter)} <= alive(pids)


def test_they_end_with_their_owner(processes):
    scatter = Scatter(2)
    pids = {done.result for done in asked(scatter)}
    assert alive(pids) == pids
    del scatter
    assert not alive(pids)


def test_they_end_where_another_back_end_is_asked_for(processes):
    scatter = Scatter(2)
    pids = {done.result for done in asked(scatter)}
    with joblib.parallel_config(backend="multiprocessing"):
        others = {done.result for done in asked(scatter)}
    assert others.isdisjoint(pids)
    assert not alive(pids)
    assert alive(others) == others


def test_layers_do_not_take_one_anothers(processes):
    first, second = Scatter(2), Scatter(2)
    pids = {done.result for done in asked(first)}
    assert pids.isdisjoint({done.result for done in asked(second)})
    del second
    gc.collect()
    assert {done.result for done in asked(first)} <= pids


def test_an_interruption_ends_them(processes):
    scatter = Scatter(2)
    pids = {done.result for done in asked(scatter)}
    with pytest.raises(GeneratorExit), scatter.staying.workers(joblib, 2):
        raise GeneratorExit
    assert not alive(pids)
    assert all(isinstance(done, Done) for done in asked(scatter))


def test_copies_have_workers_of_their_own(processes):
    ask = Spread(Direct(np.sign), Scatter(2))
    costs = np.array([[1.0], [-2.0], [3.0]])
    expected = ask(costs, None).x
    again = pickle.loads(pickle.dumps(ask))
    assert again.scatter.staying is not ask.scatter.staying
    assert np.array_equal(again(costs, None).x, expected)
