"""Separable programs whose variables have units of their own: all derivatives are known."""

import numpy as np
import pytest
import torch

import lpgd
from lpgd.torch import ConicLayer, QPLayer

LAYERS = {
    "daqp": lambda n: QPLayer(),
    "piqp": lambda n: QPLayer(engine="piqp"),
    "cone": lambda n: ConicLayer(lpgd.Cones(nonneg=n)),
}


def tensor(values):
    return torch.tensor(values[None], requires_grad=True)


def drawn(seed):
    """Least d x^2 / 2 + q x over x >= lb: units, d, q, lb, x, and which bounds hold.

    Multipliers of bounds are up to 1e10 times as large as the other forces on a variable.
    """
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 12))
    units = 10.0 ** rng.uniform(-3, 3, n)
    x, held = rng.normal(size=n) * units, rng.random(n) < 0.5
    held[:2] = True, False
    bend = 10.0 ** rng.uniform(-1, 1, n) / units**2
    push = np.where(held, 10.0 ** rng.uniform(-1, 9, n) / units, 0.0)
    bounds = np.where(held, x, x - units * rng.uniform(0.2, 2, n))
    return units, bend, push - bend * x, bounds, x, held


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("seed", range(40))
def test_a_large_multiplier_hides_no_other(name, seed):
    units, bend, costs, bounds, x, held = drawn(seed)
    n, loss = len(x), np.random.default_rng(seed).normal(size=len(x)) / units
    layer, q = LAYERS[name](n), tensor(costs)
    P, sides = tensor(np.diag(bend)), tensor(-bounds if name == "cone" else bounds)
    if name == "cone":
        found = layer(P=P, q=q, A=torch.tensor(-np.eye(n)[None]), b=sides)
    else:
        found = layer(P=P, q=q, lb=sides)
    np.testing.assert_allclose(found.detach().numpy()[0] / units, x / units, atol=1e-7)
    (found @ torch.tensor(loss)).sum().backward()
    # each derivative in its own unit
    slopes = np.where(held, 0.0, -loss / bend) / units**2
    np.testing.assert_allclose(
        q.grad.numpy()[0] / units**2, slopes, atol=1e-4 * np.abs(slopes).max()
    )
    turn = np.where(held, loss, 0.0) * units * (-1 if name == "cone" else 1)
    found = sides.grad.numpy()[0] * units
    np.testing.assert_allclose(found, turn, atol=1e-4 * np.abs(turn).max())
