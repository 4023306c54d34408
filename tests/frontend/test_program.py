"""Calls in arrays: how many threads the algebra behind them has."""

from itertools import chain

import numpy as np
import pytest
import scipy.linalg  # noqa: F401 - which brings a BLAS of its own
from threadpoolctl import ThreadpoolController

from lpgd.frontend.mapped import Derivative
from lpgd.map.solution_map import SolutionMap
from tests.frontends.operations import OPERATIONS

BLAS = ThreadpoolController().select(user_api="blas")
with BLAS.limit(limits=2):  # some have been built without threads
    THREADED = [one for one in BLAS.lib_controllers if one.get_num_threads() == 2]
USERS = ("saddle", "oracle", "nonlinear")  # operations that run users' code


def threads():
    return {library.get_num_threads() for library in THREADED}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_algebra_of_small_matrices_starts_no_threads_and_users_code_keeps_its_own(
    operation, monkeypatch
):
    """Threads of BLAS that wait for each other take ten times as long on a busy machine."""
    seen = {}

    def watched(name):
        inner = getattr(SolutionMap, name)

        def outer(*args, **kwargs):
            seen[name] = threads()
            return inner(*args, **kwargs)

        monkeypatch.setattr(SolutionMap, name, outer)

    program, arrays = operation.core(), list(operation.data.values())
    for name in ("solve", "pullback", "pushforward"):
        watched(name)
    draw = np.random.default_rng(7)
    shapes = [array.shape for array in arrays]
    back, along = (Derivative(push=p, flags=(True,) * len(arrays)) for p in (False, True))
    derived = operation.name not in ("oracle", "saddle")
    with BLAS.limit(limits=2):
        forward, outputs = program.solve(arrays, program.batch(shapes), 2.0**-52, keep=True)
        program.pullback(forward, back, [draw.normal(size=out.shape) for out in outputs], shapes)
        if derived:
            program.pushforward(forward, along, [np.zeros_like(a) for a in arrays], arrays)
        assert threads() == {2}
    assert set(chain(*seen.values())) == ({2} if operation.name.startswith(USERS) else {1})
    assert len(seen) == 2 + derived
