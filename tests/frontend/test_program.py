"""Calls in arrays: how many threads the algebra behind them has."""

from importlib import import_module
from itertools import chain

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from lpgd.families.lagrangian.system import System
from lpgd.frontend.mapped import Derivative
from lpgd.map.solution_map import SolutionMap
from tests.frontends.operations import OPERATIONS

import_module("scipy.linalg")  # which brings a BLAS of its own
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


@pytest.mark.parametrize("name", ["nonlinear", "saddle, linearised"])
def test_the_library_s_own_algebra_beside_users_code_has_one_thread(name, monkeypatch):
    operation = next(each for each in OPERATIONS if each.name == name)
    seen, honest = [], System.solve

    def watched(*args, **options):
        seen.append(threads())
        return honest(*args, **options)

    monkeypatch.setattr(System, "solve", watched)
    program, arrays = operation.core(), list(operation.data.values())
    shapes, draw = [array.shape for array in arrays], np.random.default_rng(7)
    way = Derivative(push=False, flags=(True,) * len(arrays))
    with BLAS.limit(limits=2):
        forward, outputs = program.solve(arrays, (), 2.0**-52, keep=True)
        program.pullback(forward, way, [draw.normal(size=out.shape) for out in outputs], shapes)
    assert seen
    assert all(found == {1} for found in seen)
