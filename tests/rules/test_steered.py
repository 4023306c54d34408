"""A tau that training steers by the share of elements that move."""

import numpy as np
import pytest
import torch

import lpgd
from lpgd import rules
from lpgd.generators import shortest_path
from lpgd.oracles import PyEPOGrid
from lpgd.torch import LPLayer, OracleLayer, QPLayer

T = torch.float64


def batch(size=64, seed=3):
    """Predicted and true costs of paths on a grid."""
    _, costs = shortest_path(size, 5, (5, 5), degree=4, noise=0.5, seed=seed)
    predicted = np.random.default_rng(seed).uniform(0.5, 1.5, costs.shape) * costs
    return torch.tensor(predicted, dtype=T, requires_grad=True), torch.tensor(costs, dtype=T)


def step(layer, predicted, true):
    (found,) = torch.autograd.grad((layer(predicted) * true).sum(), predicted)
    return found


@pytest.mark.parametrize(
    "share, side", [(0.25, "average"), (0.75, "average"), (0.25, "lower"), (0.6, "lower")]
)
def test_the_share_that_moves_becomes_the_one_that_is_wanted(share, side):
    predicted, true = batch()
    layer = OracleLayer(PyEPOGrid(5, 5), rules.AdaptiveLPGD(share, 0.3, side))
    shares = []
    for _ in range(100):
        found = step(layer, predicted, true)
        shares.append(found.any(dim=1).double().mean().item())
        assert layer.state_dict()["rule.moved"].item() == shares[-1]
    assert np.mean(shares[-20:]) == pytest.approx(share, abs=0.03)
    assert layer.state_dict()["rule.alpha"].item() != 0.5


def test_its_state_travels_and_decides_what_follows():
    predicted, true = batch(16)
    layer = OracleLayer(PyEPOGrid(5, 5), rules.AdaptiveLPGD(0.3))
    for _ in range(5):
        step(layer, predicted, true)
    other = OracleLayer(PyEPOGrid(5, 5), rules.AdaptiveLPGD(0.3))
    fresh = step(other, predicted, true)
    other.load_state_dict(layer.state_dict())
    for _ in range(3):
        assert torch.equal(step(layer, predicted, true), step(other, predicted, true))
    assert layer.state_dict() == other.state_dict()
    again = OracleLayer(PyEPOGrid(5, 5), rules.AdaptiveLPGD(0.3))
    assert torch.equal(step(again, predicted, true), fresh)


def test_its_first_gradient_is_that_of_a_tilt_by_half_the_costs():
    predicted, true = batch(16)
    found = step(OracleLayer(PyEPOGrid(5, 5), rules.AdaptiveLPGD(side="lower")), predicted, true)
    c, dx, best = predicted.detach().numpy(), true.numpy(), PyEPOGrid(5, 5)
    tau = 0.5 * np.linalg.norm(c, axis=1) / np.linalg.norm(dx, axis=1)
    move = (best(c + tau[:, None] * dx) - best(c)) / tau[:, None]
    along = (move * c).sum(axis=1) / (c * c).sum(axis=1)
    np.testing.assert_allclose(found, move - along[:, None] * c, atol=1e-12)


def test_what_does_not_fit_is_refused():
    for wrong in ({"share": 1.0}, {"share": "auto"}, {"step": 0}, {"side": "left"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            rules.AdaptiveLPGD(**wrong)
    for layer in (LPLayer, QPLayer):
        given = {"c" if layer is LPLayer else "q": torch.ones(2), "lb": torch.zeros(2)}
        given |= {} if layer is LPLayer else {"P": torch.eye(2)}
        with pytest.raises(lpgd.EngineError, match="AdaptiveLPGD"):
            layer(rules.AdaptiveLPGD())(**given)
