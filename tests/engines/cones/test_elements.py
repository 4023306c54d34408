import threading

import numpy as np
import pytest
from scipy import sparse

from lpgd import Cones
from lpgd.core.params import batched, shared
from lpgd.core.solution import Solution, Status
from lpgd.engines.cones import elements
from lpgd.engines.cones.elements import Elements
from lpgd.engines.cones.solver import Request
from lpgd.families.conic.conic import Conic


class Sums:
    """Answers with sums of its data, and counts its calls."""

    def __init__(self, log, P, A):
        self.log, self.P, self.A, self.busy = log, P, A, threading.Lock()

    def solve(self, q, b, start):
        assert self.busy.acquire(blocking=False), "two threads at once"
        self.log.append((q[0], start))
        x = q + self.A.sum() + (0 if self.P is None else self.P.sum())
        if b[0] == 2:
            x = x * np.nan
        self.busy.release()
        return Status.INFEASIBLE if b[0] == 1 else Status.OPTIMAL, x, b


def loaded(*, quadratic=True, threads=1, log=None):
    rng = np.random.default_rng(0)
    params = {
        "q": batched(rng.normal(size=(3, 2))),
        "A": batched(rng.normal(size=(3, 1, 2))),
        "b": batched(np.array([[0.0], [1.0], [2.0]])),
    }
    if quadratic:
        params["P"] = shared(np.array([[1.0, 5.0], [5.0, 2.0]]), 3)
    conic, made = Conic(2, Cones(zero=1), {}, quadratic), []

    def make(P, q, A, b):
        assert P is None or (sparse.isspmatrix_csc(P) and not P.toarray()[1, 0])
        assert sparse.isspmatrix_csc(A)
        made.append(q)
        return Sums([] if log is None else log, P, A)

    return conic, params, Elements(conic, params, make, Request(1e-8, threads=threads)), made


@pytest.mark.parametrize("quadratic", [True, False])
def test_statuses_and_points_are_those_of_the_elements(quadratic):
    _, params, loader, _ = loaded(quadratic=quadratic)
    found = loader.solve(params, np.arange(3), None)
    expected = [Status.OPTIMAL, Status.INFEASIBLE, Status.NUMERICAL]
    assert found.status.tolist() == expected
    total = params["A"].values[0].sum() + (8 if quadratic else 0)
    np.testing.assert_allclose(found.x[0], params["q"].values[0] + total)
    np.testing.assert_array_equal(found.x[1:], 0)


@pytest.mark.parametrize("threads", [1, 2])
def test_each_element_is_made_once_and_serves_one_thread(threads, monkeypatch):
    monkeypatch.setattr(elements, "PAYS", 0)
    log = []
    _, params, loader, made = loaded(threads=threads, log=log)
    rows = np.array([2, 0, 2, 0])
    part = {name: param.take(rows) for name, param in params.items()}
    start = Solution(np.ones((4, 2)), np.ones((4, 1)), np.zeros(4, np.int8))
    found = loader.solve(part, rows, start)
    loader.solve(part, rows, start)
    assert len(made) == 2
    assert len(log) == 8
    x, y, s = log[0][1]
    assert (x.tolist(), y.tolist(), s.shape) == ([1, 1], [1], (1,))
    np.testing.assert_array_equal(found.x[1], found.x[3])
