"""torch.compile, checkpointing, repeated and second derivatives."""

import pytest
import torch
from torch.func import grad, hessian, jacfwd, jacrev
from torch.utils.checkpoint import checkpoint

import lpgd
from lpgd.torch import QPLayer
from tests.torch.programs import leaves, random_qp

LAYER = QPLayer(lpgd.LPGD(1e-4))


def solve(P, q, G, h):
    return LAYER(P, q, G, h)


def loss(P, q, G, h):
    return solve(P, q, G, h).square().sum()


def near(got, want, tolerance=1e-9):
    torch.testing.assert_close(got, want, rtol=tolerance, atol=tolerance)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4, dtype=torch.float64)
        self.layer = QPLayer(lpgd.LPGD(1e-3))
        self.P, _, self.G, self.h = random_qp(6)

    def forward(self, x):
        solution = self.layer(self.P, self.linear(x), self.G, self.h, return_duals=True)
        return torch.relu(solution.x) * 2 + solution.z.sum(-1, keepdim=True)


@pytest.mark.filterwarnings("ignore")  # of the compiler about itself
def test_compiled_models_break_the_graph_and_agree():
    torch._dynamo.reset()
    model = Model()
    breaks = []

    def backend(graph, inputs):
        breaks.append(graph)
        return graph.forward

    compiled = torch.compile(model, backend=backend)
    x = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    near(compiled(x), model(x))
    assert len(breaks) >= 2  # what comes before and after the layer was compiled
    pulled = []
    for function in (model, compiled):
        model.zero_grad()
        function(x).square().sum().backward()
        pulled.append(model.linear.weight.grad.clone())
    near(*pulled)
    compiled = torch.compile(model, backend="eager")
    near(compiled(x), model(x))


@pytest.mark.parametrize("reentrant", [True, False])
def test_activation_checkpointing(reentrant):
    P, q, G, h = random_qp(4)
    plain, saved = leaves({"q": q, "h": h}), leaves({"q": q, "h": h})
    loss(P, plain["q"], G, plain["h"]).backward()
    layer = QPLayer(lpgd.LPGD(1e-4))
    x = checkpoint(lambda q, h: layer(P, q, G, h), saved["q"], saved["h"], use_reentrant=reentrant)
    x.square().sum().backward()
    assert layer.stats.solves == 8  # solved again for the backward pass
    for name in plain:
        assert torch.equal(saved[name].grad, plain[name].grad)


def test_backward_twice():
    P, q, G, h = random_qp(4)
    x = solve(P, q.requires_grad_(), G, h)
    (first,) = torch.autograd.grad(x.sum(), q, retain_graph=True)
    (second,) = torch.autograd.grad(x.sum(), q)
    assert torch.equal(first, second)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        x.sum().backward()


SECOND = "lpgd layers have no second derivative"


@pytest.mark.parametrize("rule", [lpgd.LPGD(1e-3), lpgd.Exact()], ids=str)
@pytest.mark.parametrize("linear", [True, False])
def test_double_backward_raises(rule, linear):
    data = leaves(dict(zip("PqGh", random_qp(3), strict=True)))
    x = QPLayer(rule)(**data)
    first = torch.autograd.grad(
        x.sum() if linear else x.square().sum(), list(data.values()), create_graph=True
    )
    for gradient in first:
        with pytest.raises(RuntimeError, match=SECOND):
            gradient.square().sum().backward(retain_graph=True)


def test_a_gradient_penalty_raises():
    P, q, G, h = random_qp(3)
    x = solve(P, q.requires_grad_(), G, h)
    (gradient,) = torch.autograd.grad(x.sum(), q, create_graph=True)
    with pytest.raises(RuntimeError, match=SECOND):
        (x.sum() + gradient.norm()).backward()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's, of its own torch.jit
@pytest.mark.parametrize("linear", [True, False])
def test_hessians_raise(linear):
    P, q, G, h = random_qp()

    def value(q):
        x = solve(P, q, G, h)
        return x.sum() if linear else x.square().sum()

    with pytest.raises(RuntimeError, match=SECOND):
        torch.autograd.functional.hessian(value, q)
    with pytest.raises(RuntimeError, match=SECOND):
        jacrev(jacrev(value))(q)
    with pytest.raises(RuntimeError, match=SECOND):
        grad(lambda q: grad(value)(q).sum())(q)
    with pytest.raises(RuntimeError, match=SECOND):
        hessian(value)(q)
    with pytest.raises(RuntimeError, match=SECOND):
        jacrev(jacfwd(value))(q)
    with pytest.raises(RuntimeError, match=SECOND):
        jacfwd(jacfwd(value))(q)


def test_a_detached_gradient_may_be_used_further():
    P, q, G, h = random_qp(3)
    x = solve(P, q.requires_grad_(), G, h)
    (gradient,) = torch.autograd.grad(x.sum(), q, create_graph=True)
    (x * gradient.detach()).sum().backward()
    assert torch.isfinite(q.grad).all()
