"""CasADi's objects count references as if there were no threads: one thread uses them at a time."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from lpgd.engines.lagrangian.symbolic import ALONE, Symbolic


class Busy:
    """A function of CasADi's, and its answer, that lets other threads run meanwhile."""

    def __init__(self):
        self.inside, self.most = 0, 0

    def call(self, arguments):
        self._use()
        return [self]

    def is_dense(self):
        return True

    def full(self):
        self._use()
        return np.ones((1, 1))

    def _use(self):
        self.inside += 1
        self.most = max(self.most, self.inside)
        time.sleep(0.005)
        self.inside -= 1


def test_functions_serve_one_thread_at_a_time():
    busy = Busy()
    symbolic = Symbolic({"f": busy, "slope": busy}, (), (), 1, 0, 0)
    x = np.zeros(1)
    with ThreadPoolExecutor(4) as pool:
        values = pool.map(lambda _: (symbolic.objective({}, x), symbolic.slope({}, x)), range(8))
        assert [(value, slope.tolist()) for value, slope in values] == [(1.0, [1.0])] * 8
    assert busy.most == 1


def test_functions_wait_for_a_solve_of_another_thread():
    busy = Busy()
    symbolic = Symbolic({"f": busy}, (), (), 1, 0, 0)
    with ThreadPoolExecutor(1) as pool:
        with ALONE:
            value = pool.submit(symbolic.objective, {}, np.zeros(1))
            time.sleep(0.02)
            assert busy.most == 0
        assert value.result() == 1.0
