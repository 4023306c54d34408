"""Gradients whose parts are too large for numbers, though they may not be."""

import numpy as np
import pytest
import torch

import lpgd
from lpgd.torch import ConicLayer, LPLayer, QPLayer


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


def test_both_kinds_of_failures_are_named_together():
    """A tilted problem of the second row fails, and no numbers hold the first gradient."""
    layer = QPLayer(lpgd.LPGD(tau=1.0, side="lower", retries=0))
    q, A, b = leaf([0.0, 0.0]), leaf([[1.0, 1.0]]), leaf([[1.0]] * 3)
    out = layer(torch.eye(2).double(), q, A=A, b=b, return_duals=True)
    pull = torch.tensor([[1e200, 0.0], [1.7e308, 1.7e308], [1.0, 0.0]], dtype=torch.float64)
    with pytest.raises(lpgd.SolverError, match=r"2 of 3 .*no numbers hold the gradient") as raised:
        out.x.backward(pull)
    assert sorted(raised.value.indices) == [0, 1]


ROWS = {
    "LP": lambda: (LPLayer, {"c": [1.0, 1.2], "G": [[-1.0, -1.1]], "h": [-1.0], "lb": [0.0, 0.1]}),
    "QP": lambda: (QPLayer, {"P": [[2.0, 0.5], [0.5, 1.0]], "q": [-1.0, 2.0], "lb": [0.0, 0.1]}),
}


@pytest.mark.parametrize("rule", [lpgd.LPGD(), lpgd.Exact(), lpgd.LPGD(side="lower")], ids=repr)
@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize("power", [-1000, -700, 600, 1000])
def test_gradients_of_cotangents_of_any_size(rule, kind, power):
    """A far cotangent between usual ones has its multiple of the gradient."""
    layer, data = ROWS[kind]()
    pull, found = np.array([[0.3, -0.7], [1.1, 0.4], [0.3, -0.7]]), []
    for scale in (0, power):
        leaves = {k: leaf([v] * 3 if k in ("c", "q") else v) for k, v in data.items()}
        rows = pull * np.array([[1.0], [2.0**scale], [1.0]])
        layer(rule)(**leaves).backward(torch.tensor(rows))
        first = leaves["c" if kind == "LP" else "q"].grad.numpy()
        first[1] /= 2.0**scale
        found.append((first, {k: v.grad.numpy() for k, v in leaves.items() if k not in "cq"}))
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=1e-12, atol=1e-15)
    assert np.abs(found[0][0]).max() > 0.1 or rule == lpgd.Exact()
    if power < 0:  # a shared argument has the sum
        for name, part in found[1][1].items():
            assert np.isfinite(part).all(), name


def test_the_tilt_that_is_told_is_the_one_that_was_made():
    taus = []
    for power in (0, -700):
        layer = LPLayer()
        x = layer(leaf([1.0, 1.2]), leaf([[-1.0, -1.1]]), leaf([-1.0]), lb=torch.zeros(2).double())
        x.backward(torch.tensor(np.ldexp([0.3, -0.7], power)))
        taus.append(layer.stats.tau)
    assert taus[0][0] > 0
    np.testing.assert_allclose(np.ldexp(taus[1], -700), taus[0], rtol=1e-12)


def test_gradients_whose_parts_vanish():
    """dlb = g_1 - g_2 G_1 / G_2, though g_2 / G_2 is below all numbers."""
    c, G, h = [8.8e162, 1.6e162], [[-2.5e216, -2.7e216]], [-1.2e93]
    for rule in (lpgd.LPGD(), lpgd.Exact()):
        leaves = [leaf(part) for part in (c, G, h, [1.1e-123, -4.4e-123])]
        layer = LPLayer(rule)
        x = layer(leaves[0], leaves[1], leaves[2], lb=leaves[3])
        x.backward(torch.tensor([-8.6e-179, 5.0e-178], dtype=torch.float64))
        expected = -8.6e-179 - 5.0e-178 * 2.5 / 2.7
        np.testing.assert_allclose(leaves[3].grad.numpy(), [expected, 0.0], rtol=1e-12)
        assert layer.stats.unverified == 0


@pytest.mark.parametrize("rule", [lpgd.LPGD(), lpgd.Exact()], ids=repr)
@pytest.mark.parametrize("costs, rows", [(-700, 250), (700, -250)])
def test_losses_on_multipliers_in_far_units(rule, costs, rows):
    """Multipliers have the units of costs over rows, cotangents of theirs the inverse ones."""
    found = []
    for far, side in ((0, 0), (costs, rows)):
        P, q = np.ldexp(np.eye(2), far), leaf(np.ldexp([-3.0, -1.0], far))
        A, b = leaf(np.ldexp([[1.0, 2.0]], side)), leaf(np.ldexp([1.0], side))
        out = QPLayer(rule)(torch.tensor(P), q, A=A, b=b, return_duals=True)
        out.y.backward(torch.tensor(np.ldexp([1.0], side - far)))
        scales = (far, side, side)
        found.append([np.ldexp(t.grad.numpy(), k) for t, k in zip((q, A, b), scales, strict=True)])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-12)
