"""Oracles spread over workers: what becomes of faults, and what does not change."""

import os
import pickle
import time

import numpy as np
import pytest

import lpgd
from lpgd.core.params import batched
from lpgd.core.solution import Status
from lpgd.engines.oracle.ask import Direct
from lpgd.engines.oracle.engine import OracleEngine
from lpgd.engines.oracle.spread import Spread
from lpgd.engines.scatter import Pace, Scatter, portable
from lpgd.families.oracle.oracle import Oracle

joblib = pytest.importorskip("joblib")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:joblib")
LOST = 5  # the element whose first cost is above 9


def sign(costs):
    return np.sign(costs)


def raising(costs):
    if (costs[:, 0] > 9).any():
        raise KeyError("too dear")
    return np.sign(costs)


def deadly(costs):
    if (costs[:, 0] > 9).any():
        os._exit(1)
    return np.sign(costs)


def hanging(costs):
    if (costs[:, 0] > 9).any():
        time.sleep(1000)
    return np.sign(costs)


def holes(costs):
    return np.where(costs[:, :1] > 9, np.nan, np.sign(costs))


def shapeless(costs):
    return [np.zeros(7) if cost[0] > 9 else np.sign(cost) for cost in costs]


def solve(oracle, size=12, timeout=None, n_jobs=2, instances=None):
    costs = np.random.default_rng(0).normal(size=(size, 3))
    costs[LOST:LOST + 1, 0] = 10.0  # fmt: skip
    ask = Spread(Direct(oracle), Scatter(n_jobs, timeout))
    params = {"q": batched(costs)} | ({} if instances is None else {"instances": instances})
    return OracleEngine(oracle, ask).solve(Oracle(3), params), costs


@pytest.mark.parametrize("oracle, timeout, status, why", [
    (raising, None, Status.CRASHED, "crashed: KeyError: 'too dear'"),
    (deadly, None, Status.CRASHED, "its worker died"),
    (hanging, 0.3, Status.TIME_LIMIT, "the oracle did not answer in time"),
    (holes, None, Status.NUMERICAL, "the oracle returned a NaN or infinite entry"),
    (shapeless, None, Status.NUMERICAL, "the oracle returned shape (7,), expected (3,)"),
])  # fmt: skip
def test_a_fault_costs_its_element_alone(oracle, timeout, status, why):
    answer, costs = solve(oracle, timeout=timeout)
    expected = np.full(12, Status.OPTIMAL)
    expected[LOST] = status
    assert answer.solution.status.tolist() == expected.tolist()
    assert answer.notes[LOST].startswith(why)
    fine = np.arange(12) != LOST
    assert (answer.solution.x[fine] == np.sign(costs[fine])).all()


def test_answers_are_those_of_one_process():
    answer, costs = solve(sign, size=50)
    assert (answer.solution.x == np.sign(costs)).all()
    with joblib.parallel_config(backend="threading"):
        threads, _ = solve(sign, size=50)
    assert (threads.solution.x == answer.solution.x).all()
    alone, _ = solve(sign, size=50, n_jobs=1)
    assert (alone.solution.x == answer.solution.x).all()
    assert len(solve(sign, size=0)[0].solution) == 0


def test_lambdas_and_inputs_travel():
    inputs = np.arange(4).astype(object)
    answer, _ = solve(lambda c, k: c * 0 + np.array(k)[:, None], size=4, instances=batched(inputs))
    assert answer.solution.x[:, 0].tolist() == [0, 1, 2, 3]


def test_a_missing_package_is_no_fault_of_an_element():
    def needs(costs):
        import no_such_package  # noqa: F401

    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        solve(needs)


def test_threads_isolate_exceptions():
    with joblib.parallel_config(backend="threading"):
        answer, _ = solve(raising, timeout=5.0)
    assert np.flatnonzero(answer.solution.status).tolist() == [LOST]


def test_chunks_follow_the_pace():
    pace = Pace()
    assert [len(rows) for rows in pace.chunks(64, 2)] == [8] * 8
    pace.seconds = 1.0  # slow elements travel alone
    assert [len(rows) for rows in pace.chunks(6, 2)] == [1] * 6
    pace.seconds = 1e-6  # fast ones share what there is
    assert [len(rows) for rows in pace.chunks(64, 2)] == [32, 32]
    for size in (1, 5, 7):
        assert np.concatenate(pace.chunks(size, 3)).tolist() == list(range(size))


def test_exceptions_that_cannot_travel_say_the_same():
    class OddError(Exception):  # local: it cannot be pickled
        pass

    assert str(portable(OddError("why"))) == "OddError: why"
    error = lpgd.EngineError("no")
    assert portable(error) is error


def test_a_chain_travels():
    ask = Spread(Direct(sign), Scatter(2))
    assert pickle.loads(pickle.dumps(ask)).scatter == ask.scatter


def test_many_batches_leave_nothing_behind():
    psutil = pytest.importorskip("psutil")
    ask = Spread(Direct(raising), Scatter(2))
    costs = np.random.default_rng(0).normal(size=(8, 3))
    costs[2, 0] = 10.0
    for _ in range(5):
        ask(costs, None)
    here = psutil.Process()
    workers, memory = len(here.children(recursive=True)), here.memory_info().rss
    for _ in range(60):
        reply = ask(costs, None)
        assert np.flatnonzero(reply.status).tolist() == [2]
    assert len(here.children(recursive=True)) <= workers
    assert here.memory_info().rss - memory < 8e6
