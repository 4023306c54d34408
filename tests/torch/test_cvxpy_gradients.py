"""CvxpyLayer's gradients of every parameter against differences of the layer itself."""

import numpy as np
import pytest
import torch

import lpgd
from tests.cvxpy_programs import LINEAR, MAKERS, loss, make
from tests.torch.test_cvxpy import layer_of

SHARP = {"eps": 1e-12}
SMOOTH = lpgd.LPGD(tau=3e-3)


def differences(layer, values, k, step=3e-3):
    """Five-point differences of the loss in every entry of the k-th parameter."""

    def at(entry, distance):
        moved = values[k].clone()
        moved[entry] += distance
        with torch.no_grad():
            return loss(layer(*[moved if i == k else value for i, value in enumerate(values)]))

    gradient = torch.zeros_like(values[k])
    for entry in np.ndindex(*gradient.shape):
        near = at(entry, step) - at(entry, -step)
        gradient[entry] = (8 * near - at(entry, 2 * step) + at(entry, -2 * step)) / (12 * step)
    return gradient


def agree(layer, values, tolerance):
    leaves = [value.clone().requires_grad_() for value in values]
    loss(layer(*leaves)).backward()
    wanted = [differences(layer, values, k) for k in range(len(values))]
    size = max(float(want.norm()) for want in wanted)
    for leaf, want in zip(leaves, wanted, strict=True):
        assert float((leaf.grad - want).norm()) <= tolerance * size


def doubles(case):
    return [torch.tensor(value, dtype=torch.float64) for value in case.values]


@pytest.mark.parametrize("engine", ["auto", "clarabel"])
@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_gradients_are_those_of_finite_differences(maker, engine):
    case = make(maker)
    layer = layer_of(case, engine, rule=SMOOTH, solver_args=SHARP)
    agree(layer, doubles(case), 1e-4 if case.cones == LINEAR else 1e-3)


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_exact_gradients_are_those_of_finite_differences(maker):
    case = make(maker)
    layer = layer_of(case, rule=lpgd.Exact(), solver_args=SHARP)
    agree(layer, doubles(case), 1e-4 if case.cones == LINEAR else 1e-3)


@pytest.mark.parametrize("side", ["lower", "upper"])
@pytest.mark.parametrize("rho", [0.0, 0.5])
@pytest.mark.parametrize("maker", MAKERS[:4], ids=lambda maker: maker.__name__)
def test_engines_agree_on_every_side(maker, side, rho):
    case, rule = make(maker), lpgd.LPGD(tau=0.1, rho=rho, side=side)
    gradients = []
    for engine in ("daqp", "moreau"):
        leaves = [value.requires_grad_() for value in doubles(case)]
        layer = layer_of(case, engine, rule=rule, solver_args=SHARP)
        gradients.append(torch.autograd.grad(loss(layer(*leaves)), leaves))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
