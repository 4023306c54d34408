"""After any solve Ctrl-C raises KeyboardInterrupt, whatever the solver did to signals."""

import ctypes
import signal
import sys

import numpy as np
import pytest
import torch

import lpgd
from lpgd.engines.signals import interrupts_kept
from lpgd.oracles import CpSat
from lpgd.torch import OracleLayer, SaddleLayer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no libc to plant a handler with")


@pytest.fixture
def taken():
    """Something that takes Ctrl-C for itself, and whether it has been given back since."""
    replace = ctypes.CDLL(None).signal  # returns what the system called until now
    replace.argtypes, replace.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
    before = replace(signal.SIGINT, None)
    replace(signal.SIGINT, before)
    yield lambda: replace(signal.SIGINT, None), lambda: replace(signal.SIGINT, before) == before
    replace(signal.SIGINT, before)


def test_an_interrupt_is_given_back(taken):
    take, given_back = taken
    with interrupts_kept():
        take()
    assert given_back()


def test_by_a_solver_that_fails(taken):
    take, given_back = taken

    @interrupts_kept()
    def fail():
        take()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert given_back()


def test_by_an_oracle(taken):
    take, given_back = taken

    def oracle(costs):
        take()
        return (costs < 0).astype(float)

    OracleLayer(oracle)(torch.randn(3, 4))
    assert given_back()


def test_by_a_procedure(taken):
    take, given_back = taken

    def solve(params, tilt):
        take()
        return params[0]

    layer = SaddleLayer(lambda x, y, p: ((x - p) ** 2).sum() / 2, solve, lpgd.LPGD(1e-3))
    layer(torch.ones(2, dtype=torch.float64))
    assert given_back()


def test_by_cp_sat(taken):
    cp_model = pytest.importorskip("ortools.sat.python.cp_model")
    model = cp_model.CpModel()
    x = [model.new_bool_var(f"x{i}") for i in range(3)]
    model.add_exactly_one(x)
    CpSat(model, x).reply(np.arange(3.0)[None])
    assert taken[1]()
