"""Gradients whose parts are too large for numbers, though they may not be."""

import numpy as np
import pytest
import torch

import lpgd
from lpgd.torch import ConicLayer, QPLayer


def leaf(value):
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


def test_parts_that_overflow_may_have_a_sum_that_does_not():
    """The gradient is that of a smaller cotangent: rho holds x, so that only multipliers grow."""
    q, A = [-0.0717, -0.0777], [[-1.0, 0.0], [0.0, -1.0], [0.0, -1.0], [0.0, -1.0]]
    b, pull = [0.576, -0.29, 0.915, 0.533], np.array([5.1e307, -2.9e307])
    layer, found = ConicLayer(lpgd.Cones(zero=1, exp=1), lpgd.LPGD(tau=1.0, rho=0.5)), []
    for scale in (1.0, 2.0**-10):
        leaves = [leaf(part) for part in (q, A, b)]
        layer(None, *leaves).backward(torch.tensor(scale * pull))
        found.append([part.grad.numpy() / (scale * 1e307) for part in leaves])
    assert all(np.isfinite(part).all() for part in found[0])
    for whole, part in zip(found[0][1:], found[1][1:], strict=True):
        np.testing.assert_allclose(whole, part, rtol=1e-2, atol=1e-2)


def pulled(pull, **options):
    """Gradients of P = I and of q = 0 and A = (1, 1), shared, at one end of a long tilt."""
    layer = QPLayer(lpgd.LPGD(tau=1.0, side="lower"), **options)
    q, A, b = leaf([0.0, 0.0]), leaf([[1.0, 1.0]]), leaf([[1.0]] * len(pull))
    layer(torch.eye(2).double(), q, A=A, b=b).backward(torch.tensor(pull, dtype=torch.float64))
    return layer, q.grad.numpy(), A.grad.numpy()


def test_products_that_no_number_holds_fail_and_leave_others_alone():
    """y x' of the first two rows are infinities of both signs, whose sum is none."""
    pull = [[1e200, 0.0], [0.0, 1e200], [1.0, 0.0]]
    with pytest.raises(lpgd.SolverError, match=r"2 of 3 .*index 0: .*smaller cotangent or tau"):
        pulled(pull)
    with pytest.warns(lpgd.SolverWarning, match="smaller cotangent or tau"):
        layer, *found = pulled(pull, on_failure="nan")
    assert layer.stats.failures == 2
    for part, alone in zip(found, pulled(pull[2:])[1:], strict=True):
        np.testing.assert_array_equal(part, alone)
