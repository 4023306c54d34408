"""Inference mode, in which nothing can be differentiated, not even by a user's solver."""

import pytest
import torch

import lpgd
from lpgd.torch import LPLayer, NLPLayer, SaddleLayer
from tests.torch.procedures import by_descent

T = torch.float64


def distance(x, y, c):
    return (x - c).square().sum()


@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode])
def test_procedures_may_differentiate(guard):
    c = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=T)
    with guard():
        layer = SaddleLayer(distance, by_descent(distance, 2), lpgd.LPGD(0.1), ranks=(1,))
        torch.testing.assert_close(layer(c), c)
        torch.testing.assert_close(layer(c.clone()), c)
    c.requires_grad_()
    layer(c).sum().backward()
    torch.testing.assert_close(c.grad, torch.ones_like(c))


@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode])
def test_a_diagnosis_is_the_same(guard):
    c = torch.tensor([-3.0, -2.0], dtype=T, requires_grad=True)
    row = torch.ones(1, 2, dtype=T)
    simplex = {"G": row, "h": row[0, :1], "lb": torch.zeros(2, dtype=T)}
    with guard():
        report = lpgd.diagnose(LPLayer(lpgd.LPGD(0.1)), c, **simplex, loss=lambda x: x[0])
    assert report.cause == "tau below the breakpoint"


@pytest.mark.parametrize("n", [0, -1, 2.5, True, "2"])
def test_a_number_of_variables_is_one(n):
    with pytest.raises(ValueError, match="n must be an integer >= 1"):
        NLPLayer(distance, n, engine="slsqp")


@pytest.mark.parametrize("functions", [(3, None), (distance, 3)])
def test_functions_are_callables(functions):
    f, g = functions
    with pytest.raises(TypeError, match="must be a callable, got 3"):
        NLPLayer(f, 2, g, engine="slsqp")
