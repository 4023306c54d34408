"""Envelopes of losses that are CVXPY expressions."""

import copy

import pytest
import torch
from torch.autograd import gradcheck

import lpgd
from lpgd.torch import CvxpyLayer, EnvelopeLoss, QPLayer

cp = pytest.importorskip("cvxpy")
F = torch.float64


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F)


def portfolio(n=3, *, maximise=False):
    """Costs with a constant that depends on a parameter, two variables, a cone."""
    x, s = cp.Variable(n, name="x"), cp.Variable(name="s")
    c, a, t = cp.Parameter(n, name="c"), cp.Parameter(name="a"), cp.Parameter(n, name="t")
    k = cp.Parameter(n, name="k")
    cost = c @ x + cp.sum_squares(x) + 0.1 * s + 3 * a
    kind = cp.Maximize(-cost) if maximise else cp.Minimize(cost)
    problem = cp.Problem(kind, [cp.norm(x) <= s, k @ x == a, s <= 5])
    return problem, [c, a, k], x, t


LOSSES = {
    "squares": lambda x, t: cp.sum_squares(x - t),
    "absolute": lambda x, t: cp.norm1(x - t),
    "norm": lambda x, t: cp.norm(x - t),
    "hinge": lambda x, t: cp.sum(cp.pos(x - t)),
    "affine": lambda x, t: cp.sum(x) * 0.5 - cp.sum(t) + 2 * x[0],
}


def value_of(name, x, t):
    gap = x - t
    return {
        "squares": gap.square().sum(-1),
        "absolute": gap.abs().sum(-1),
        "norm": gap.norm(dim=-1),
        "hinge": gap.clamp(min=0).sum(-1),
        "affine": 0.5 * x.sum(-1) - t.sum(-1) + 2 * x[..., 0],
    }[name]


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("maximise", [False, True])
def test_lower_sides_are_below_the_loss_and_their_gradients_exact(name, maximise):
    problem, parameters, x, t = portfolio(maximise=maximise)
    layer = CvxpyLayer(problem, parameters, [x])
    loss = EnvelopeLoss(layer, LOSSES[name](x, t), 0.3, targets=[t], reduction="none")
    c, a, target, k = (
        draw(1, 20, 3),
        1 + 0.1 * draw(2, 20),
        draw(3, 20, 3),
        1 + 0.1 * draw(6, 20, 3),
    )
    found = loss(c, a, k, target=target)
    (solution,) = layer(c, a, k)
    own = value_of(name, solution, target)
    assert (found <= own + 1e-7).all()
    assert (found < own - 1e-4).any()
    some = [part[:2].clone().requires_grad_() for part in (target, c, a, k)]
    check = lambda target, c, a, k: loss(c, a, k, target=target)  # noqa: E731
    assert gradcheck(check, some, eps=1e-4, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("side", ["upper", "average"])
def test_other_sides_of_affine_losses(side):
    problem, parameters, x, t = portfolio()
    layer = CvxpyLayer(problem, parameters, [x])
    loss = EnvelopeLoss(layer, LOSSES["affine"](x, t), 0.3, side, targets=[t], reduction="none")
    c, a, target, k = (
        draw(1, 20, 3),
        1 + 0.1 * draw(2, 20),
        draw(3, 20, 3),
        1 + 0.1 * draw(6, 20, 3),
    )
    if side == "upper":
        own = value_of("affine", layer(c, a, k)[0], target)
        assert (loss(c, a, k, target=target) >= own - 1e-7).all()
    some = [part[:2].clone().requires_grad_() for part in (target, c, a, k)]
    check = lambda target, c, a, k: loss(c, a, k, target=target)  # noqa: E731
    assert gradcheck(check, some, eps=1e-4, atol=1e-6, rtol=1e-6)


def test_an_expression_is_the_loss_of_a_qp_layer():
    x, q, t = cp.Variable(3), cp.Parameter(3), cp.Parameter(3)
    problem = cp.Problem(cp.Minimize(0.5 * cp.sum_squares(x) + q @ x), [x >= 0, cp.sum(x) == 1])
    layer = CvxpyLayer(problem, [q], [x])
    ones = torch.ones(1, 3, dtype=F)
    sides = {"A": ones, "b": ones[0, :1], "lb": torch.zeros(3, dtype=F)}
    costs, target = draw(4, 10, 3).requires_grad_(), draw(5, 10, 3)
    stated = EnvelopeLoss(layer, cp.norm1(x - t), 0.2, targets=[t])(costs, target=target)
    named = EnvelopeLoss(QPLayer(), "absolute", 0.2)
    named = named(torch.eye(3, dtype=F), costs, **sides, target=target)
    assert stated.item() == pytest.approx(named.item(), abs=1e-8)
    gradients = [torch.autograd.grad(value, costs)[0] for value in (stated, named)]
    assert torch.allclose(*gradients, atol=1e-6)


def test_shared_parameters_sum_their_gradients():
    problem, parameters, x, t = portfolio()
    loss = EnvelopeLoss(
        CvxpyLayer(problem, parameters, [x]), LOSSES["squares"](x, t), 0.3, targets=[t],
        reduction="sum",
    )  # fmt: skip
    c, a, k = draw(1, 3), torch.tensor(1.0, dtype=F), torch.ones(3, dtype=F)
    inputs, target = [part.requires_grad_() for part in (c, a, k)], draw(3, 4, 3)
    shared = torch.autograd.grad(loss(*inputs, target=target), inputs)
    each = [part.detach().expand(4, *part.shape).clone().requires_grad_() for part in inputs]
    own = torch.autograd.grad(loss(*each, target=target), each)
    for left, right in zip(shared, own, strict=True):
        assert torch.allclose(left, right.sum(0), atol=1e-9)


def test_what_cannot_be_stated_is_refused():
    problem, parameters, x, t = portfolio()
    layer, stranger = CvxpyLayer(problem, parameters, [x]), cp.Variable(3, name="stranger")
    refused = {
        "must be convex": -cp.sum_squares(x - t),
        "must be a scalar": x - t,
        "the problem lacks: stranger": cp.sum(stranger),
        "must be a CVXPY expression": "quadratic",
    }
    for why, loss in refused.items():
        with pytest.raises(lpgd.StructureError, match=why):
            EnvelopeLoss(layer, loss, 0.3, targets=[t])
    for side in ("upper", "average"):
        for name in ("squares", "absolute", "norm", "hinge"):
            with pytest.raises(lpgd.IllPosedError, match="convex objective"):
                EnvelopeLoss(layer, LOSSES[name](x, t), 0.3, side, targets=[t])
    with pytest.raises(lpgd.StructureError, match="rho must be 0"):
        EnvelopeLoss(layer, LOSSES["squares"](x, t), 0.3, rho=1.0, targets=[t])
    with pytest.raises(lpgd.StructureError, match="copies of layers have none"):
        EnvelopeLoss(copy.deepcopy(layer), LOSSES["squares"](x, t), 0.3, targets=[t])
    with pytest.raises(lpgd.StructureError, match="exactly match"):
        EnvelopeLoss(layer, LOSSES["squares"](x, t), 0.3)
    loss = EnvelopeLoss(layer, LOSSES["squares"](x, t), 0.3, targets=[t])
    c, a, k = draw(1, 3), torch.tensor(1.0, dtype=F), torch.ones(3, dtype=F)
    with pytest.raises(lpgd.StructureError, match="target must have 1 tensors, got 2"):
        loss(c, a, k, target=(c, c))
    with pytest.raises(lpgd.StructureError, match="weight must be None"):
        loss(c, a, k, target=c, weight=c)
