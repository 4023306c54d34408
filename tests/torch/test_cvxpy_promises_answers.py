"""Promised: solutions are CVXPY's own, gradients are the derivatives, batches are loops."""

import numpy as np
import pytest
import torch

from tests.torch.promised import ACCURATE, ACCURATE_GRADIENTS, PEER, Model, tensor
from tests.torch.promised_models import ALL, SMOOTH

if PEER:
    RULES = {"derivative": ACCURATE_GRADIENTS}
    NO_DERIVATIVE = {"power_cone"}  # its backward pass fails there
else:
    import lpgd

    RULES = {"default": {}, "Exact": {"rule": lpgd.Exact()}}
    NO_DERIVATIVE = set()


@pytest.mark.parametrize("name", ALL)
def test_solution_is_that_of_cvxpy(name: str) -> None:
    model = ALL[name]()
    found = model.layer(**ACCURATE)(*model.tensors())
    assert isinstance(found, tuple)
    for result, expected in zip(found, model.solve(), strict=True):
        assert result.shape == expected.shape
        np.testing.assert_allclose(result.detach().numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", sorted(set(SMOOTH) - NO_DERIVATIVE))
def test_gradient_is_the_derivative(name: str, rule: str) -> None:
    """Of a random linear loss on all variables, along a random direction of each parameter."""
    model, rng = SMOOTH[name](), np.random.default_rng(7)
    for k, direction in enumerate(model.directions(rng)):
        alone = [direction if i == k else np.zeros(p.shape) for i, p in enumerate(model.values)]
        found, expected = model.slopes(alone, rng, **RULES[rule])
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-4), list(model.values)[k]


def perturbed(model: Model, batch: int) -> list[np.ndarray]:
    """``batch`` values of each parameter, near the given ones and of the same kind."""
    rng = np.random.default_rng(11)
    scale = 1 + 0.05 * rng.normal(size=batch)
    return [np.multiply.outer(scale, value) for value in model.values.values()]


@pytest.mark.parametrize("name", ALL)
def test_batch_is_a_loop(name: str) -> None:
    model = ALL[name]()
    layer = model.layer(**ACCURATE)
    values = perturbed(model, 3)
    found = layer(*map(tensor, values))
    for k in range(3):
        alone = layer(*(tensor(value[k]) for value in values))
        for one, many in zip(alone, found, strict=True):
            assert many.shape == (3, *one.shape)
            np.testing.assert_allclose(many[k].detach(), one.detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["general_qp", "ball", "matrix_variable", "geometric_program"])
@pytest.mark.parametrize("batched", [0, 1, -1])
def test_batched_and_shared_parameters_mix(name: str, batched: int) -> None:
    """The others are broadcast, and their gradient is the sum over the batch."""
    model = SMOOTH[name]()
    layer = model.layer(**ACCURATE_GRADIENTS)
    many = tensor(perturbed(model, 3)[batched])
    shared = model.tensors()
    mixed, full = list(shared), [s.detach().expand(3, *s.shape).clone() for s in shared]
    mixed[batched] = full[batched] = many
    full = [f.detach().requires_grad_() for f in full]

    for arguments in (mixed, full):
        sum((x**3).sum() for x in layer(*arguments)).backward()
    for k, (a, b) in enumerate(zip(mixed, full, strict=True)):
        together = b.grad if k == batched % len(full) else b.grad.sum(0)
        assert a.grad.shape == a.shape
        torch.testing.assert_close(a.grad, together, rtol=1e-3, atol=1e-5)
