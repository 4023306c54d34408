"""Zeros that came out as rounding: answers and gradients are those of zeros."""

import cvxpy as cp
import numpy as np
import pytest
import torch

import lpgd
from lpgd.torch import ConicLayer, CvxpyLayer

ROUNDING = [1e-10, -1e-12, 1e-14, -1e-17, 1e-30, 1e-200, -1e-310]


def tensor(values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("eps", ROUNDING)
@pytest.mark.parametrize("rule", [lpgd.LPGD(), lpgd.Exact()])
def test_a_variable_that_only_rounding_constrains(eps, rule):
    """Entropy: x_3 = exp(-1 - q_3) whatever the others are."""
    x, q, p, b = cp.Variable(3), cp.Parameter(3), cp.Parameter((1, 3)), cp.Parameter(1)
    problem = cp.Problem(cp.Minimize(-cp.sum(cp.entr(x)) + q @ x), [p @ x == b])
    layer = CvxpyLayer(problem, [q, p, b], [x], rule=rule)
    costs = tensor([0.3, -0.4, 0.8])
    (found,) = layer(costs, tensor([[1.0, 1.0, eps]]), tensor([1.0]))
    (found @ torch.tensor([0.5, -1.0, 0.8], dtype=torch.float64)).backward()
    share = 1 / (1 + np.exp(-0.7))  # of x_2 in x_1 + x_2 = 1
    wanted = [1 - share, share, np.exp(-1.8)]
    np.testing.assert_allclose(found.detach(), wanted, rtol=1e-7)
    turn = 1.5 * share * (1 - share)
    slopes = [-turn, turn, -0.8 * np.exp(-1.8)]
    np.testing.assert_allclose(costs.grad, slopes, rtol=1e-6)


def planted(seed):
    """A program with an equality, an edge, a cone at its boundary, and many zeros."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(7, 5)) * (rng.random((7, 5)) < 0.7)
    A[:, 0] = rng.normal(size=7)
    way = rng.normal(size=2) @ [[0.6, 0.8], [-0.8, 0.6]]
    way /= np.linalg.norm(way)
    y = np.array([rng.normal(), 0.7, 0.0, 0.0, 0.8, *(-0.8 * way)])
    s = np.array([0.0, 0.0, 1.0, 0.5, 1.0, *way])
    x, sides = rng.normal(size=5), A @ rng.normal(size=5) + s
    sides[[0, 1, 5]] = 0.0
    A[:, 0] += (sides - s - A @ x) / x[0]
    return x, {"P": np.eye(5), "q": -x - A.T @ y, "A": A, "b": sides}


@pytest.mark.parametrize("eps", ROUNDING)
@pytest.mark.parametrize("seed", range(3))
def test_zeros_of_a_cone_program(eps, seed):
    x, data = planted(seed)
    layer = ConicLayer(lpgd.Cones(zero=1, nonneg=3, soc=(3,)))
    gradients = []
    for entry in (0.0, eps):
        noisy = {name: np.where(part == 0, entry, part) for name, part in data.items()}
        noisy["P"] = data["P"] + entry * (1 - np.eye(5))
        given = {name: tensor(part[None]) for name, part in noisy.items()}
        found = layer(**given)
        np.testing.assert_allclose(found.detach()[0], x, atol=1e-7)
        (found @ torch.arange(1.0, 6, dtype=torch.float64)).sum().backward()
        gradients.append({name: part.grad for name, part in given.items()})
    for name, wanted in gradients[0].items():
        size = float(wanted.abs().max())
        np.testing.assert_allclose(gradients[1][name], wanted, atol=1e-5 * size)
