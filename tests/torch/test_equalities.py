"""Gradients of programs with equations alone, which one linear system knows, for every layer.

Rows may depend on each other, the solution may be zero, and costs may be in any unit.
"""

import numpy as np
import pytest
import scipy.sparse
import torch

import lpgd
from lpgd.torch import ConicLayer, QPLayer, Sparse

UNITS = [1.0, 2.0**-20, 2.0**-40, 2.0**-60, 2.0**40]


def program(n, m, *, dependent, zero, density=1.0):
    """P, q, A, b, a cotangent of x and the gradient of q."""
    rng = np.random.default_rng(0)
    P = np.diag(rng.uniform(1, 2, n))
    if density == 1:
        P += (root := rng.normal(size=(n, n))) @ root.T / n
    A = rng.normal(size=(m, n)) * (rng.random((m, n)) < density)
    A[:, :m] += np.eye(m)
    cotangent = rng.normal(size=n)
    K = np.block([[P, A.T], [A, np.zeros((m, m))]])
    due = -np.linalg.solve(K, np.concatenate([cotangent, np.zeros(m)]))[:n]
    A = np.concatenate([A, A[:1]]) if dependent else A
    x = np.zeros(n) if zero else rng.normal(size=n)
    return P, -P @ x - A.T @ rng.normal(size=len(A)), A, A @ x, cotangent, due


def tensors(matrix, *, sparse):
    """A matrix as a layer takes it."""
    if not sparse:
        return torch.tensor(matrix)
    stored = scipy.sparse.csc_matrix(matrix)
    return Sparse(stored, torch.tensor(stored.data))


def gradient(layer, data, unit, *, sparse):
    """That of q, in units of the costs."""
    P, q, A, b, cotangent, _ = data
    q, b = torch.tensor(unit * q, requires_grad=True), torch.tensor(b)
    P, A = tensors(unit * P, sparse=sparse), tensors(A, sparse=sparse)
    x = layer(P, q, A=A, b=b) if isinstance(layer, QPLayer) else layer(P, q, A, b)
    x.backward(torch.tensor(cotangent))
    assert not layer.stats.unverified
    return unit * q.grad.numpy()


def made(name, rule, rows):
    """A layer."""
    if name == "qp":
        return QPLayer(rule)
    return ConicLayer(lpgd.Cones(zero=rows), rule=rule, engine=name)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("rule", [lpgd.Exact(), lpgd.LPGD()], ids=["exact", "default"])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("name", ["qp", "clarabel"])
@pytest.mark.parametrize(("dependent", "zero"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_small_programs(dependent, zero, name, sparse, rule, unit):
    data = program(5, 2, dependent=dependent, zero=zero)
    found = gradient(made(name, rule, 2 + dependent), data, unit, sparse=sparse)
    np.testing.assert_allclose(found, data[-1], atol=1e-8)


@pytest.mark.parametrize("unit", [1.0, 2.0**-20])
@pytest.mark.parametrize("rule", [lpgd.Exact(), lpgd.LPGD()], ids=["exact", "default"])
@pytest.mark.parametrize("name", ["qp", "clarabel"])
@pytest.mark.parametrize(("dependent", "zero"), [(0, 0), (1, 0), (1, 1)])
def test_large_programs(dependent, zero, name, rule, unit):
    data = program(400, 120, dependent=dependent, zero=zero, density=0.03)
    found = gradient(made(name, rule, 120 + dependent), data, unit, sparse=True)
    np.testing.assert_allclose(found, data[-1], atol=1e-8)
