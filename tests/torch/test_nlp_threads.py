"""Programs of CasADi's expressions in several threads, which CasADi and IPOPT know nothing of."""

import subprocess
import sys

import pytest

pytest.importorskip("casadi")

CODE = """
from concurrent.futures import ThreadPoolExecutor

import casadi
import torch

import lpgd
from lpgd.torch import NLPLayer

x, p = casadi.SX.sym("x", 4), casadi.SX.sym("p", 4)
layer = NLPLayer.from_casadi(
    x, p, casadi.sumsqr(x - p), casadi.sum1(x) - 1, rule=lpgd.LPGD(0.5), engine=lpgd.IpoptEngine()
)
c = torch.linspace(-1, 1, 64, dtype=torch.float64).reshape(16, 4)


def solve(_):
    given = c.clone().requires_grad_()
    found = layer(given)
    (gradient,) = torch.autograd.grad(found.square().sum(), given)
    return torch.cat([found.detach(), gradient])


with ThreadPoolExecutor(4) as pool:
    found = list(pool.map(solve, range(8)))
assert all(torch.equal(each, found[0]) for each in found)
"""


def test_threads_have_the_answers_of_one():
    # in a process of its own: what shares CasADi's objects unguarded dies of a segmentation fault
    path = f"import sys; sys.path[:] = {sys.path!r}\n"
    command = [sys.executable, "-W", "ignore", "-c", path + CODE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
