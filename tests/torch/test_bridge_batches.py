"""Batch dimensions: broadcasting, sharing, empty batches."""

from itertools import product

import pytest
import torch

import lpgd
from lpgd.torch import LPLayer, QPLayer
from tests.torch.programs import assignment_lp, known_qp, leaves, random_qp

RULE = lpgd.LPGD(0.3)


def gradients(layer, data, weight):
    """Outputs and gradients of <weight, x> + z'z + z_box'z_box + y'y."""
    solution = layer(**data, return_duals=True)
    loss = (weight * solution.x).sum() + sum(dual.square().sum() for dual in solution[1:])
    return solution, torch.autograd.grad(loss, list(data.values()))


@pytest.mark.parametrize("rule", [RULE, lpgd.LPGD(0.3, 1.0, "lower"), lpgd.Exact()], ids=str)
def test_several_batch_dimensions_against_a_loop(rule):
    """Each argument with other batch dimensions, (5, 1) with (1, 4) among them."""
    single, _ = known_qp(0)
    draw = torch.Generator().manual_seed(0)
    batches = {"q": (5, 1), "G": (1, 4), "h": (5, 4), "b": (4,), "lb": (1, 1), "ub": (5, 1)}
    data = {
        name: value + 0.05 * torch.randn(*batches.get(name, ()), *value.shape, generator=draw)
        for name, value in single.items()
        if name != "P"
    }
    data = leaves({"P": single["P"], **data})
    weight = torch.randn(5, 4, 6, generator=draw, dtype=torch.float64)
    solution, pulled = gradients(QPLayer(rule), data, weight)
    assert [tuple(t.shape) for t in solution] == [(5, 4, 6), (5, 4, 1), (5, 4, 4), (5, 4, 6)]

    looped = leaves(data)
    for i, j in product(range(5), range(4)):
        element = {
            name: value[tuple((i, j)[-k + d] % value.shape[d] for d in range(k))]
            for name, value in looped.items()
            for k in (len(batches.get(name, ())),)
        }
        one = QPLayer(rule)(**element, return_duals=True)
        for got, want in zip(solution, one, strict=True):
            torch.testing.assert_close(got[i, j], want, rtol=1e-9, atol=1e-9)
        loss = (weight[i, j] * one.x).sum() + sum(dual.square().sum() for dual in one[1:])
        loss.backward()
    for name, gradient in zip(data, pulled, strict=True):
        assert gradient.shape == data[name].shape
        torch.testing.assert_close(gradient, looped[name].grad, rtol=1e-8, atol=1e-8, msg=name)


@pytest.mark.parametrize("engine", ["daqp", "highs"])
def test_an_LP_batch_with_any_argument_shared_against_a_loop(engine):
    lp = assignment_lp(3) | {"ub": torch.ones(16, dtype=torch.float64)}
    draw = torch.Generator().manual_seed(0)
    lp["c"] = torch.randn(16, generator=draw, dtype=torch.float64)
    lp["b"] = lp["b"][0]
    layer = LPLayer(lpgd.LPGD(5.0, side="lower"), engine)
    weight = torch.randn(3, 16, generator=draw, dtype=torch.float64)
    for batched in lp:
        noise = torch.rand(3, *[1] * lp[batched].ndim, generator=draw, dtype=torch.float64)
        data = leaves(lp | {batched: lp[batched] * (1 + noise * (batched in "c ub"))})
        x = layer(**data)
        pulled = torch.autograd.grad((weight * x).sum(), list(data.values()))
        total = [torch.zeros_like(gradient) for gradient in pulled]
        for i in range(3):
            one = layer(**data | {batched: data[batched][i]})
            torch.testing.assert_close(x[i], one, rtol=1e-9, atol=1e-9)
            for k, g in enumerate(torch.autograd.grad(one @ weight[i], list(data.values()))):
                total[k] += g
        for name, got, want in zip(data, pulled, total, strict=True):
            torch.testing.assert_close(got, want, rtol=1e-8, atol=1e-8, msg=f"{batched}: {name}")


def test_gradient_of_a_shared_argument_is_the_sum():
    P, q, G, h = random_qp(6)
    shared = leaves({"P": P, "q": q, "G": G[0], "h": h})
    copied = leaves({"P": P.repeat(6, 1, 1), "q": q, "G": G[0].repeat(6, 1, 1), "h": h})
    for data in (shared, copied):
        QPLayer(RULE)(**data).square().sum().backward()
    assert shared["G"].grad.abs().max() > 1e-3
    for name in shared:
        want = copied[name].grad if name in "qh" else copied[name].grad.sum(0)
        torch.testing.assert_close(shared[name].grad, want, rtol=1e-9, atol=1e-12)


def test_expanded_arguments_share_one_set_up_and_get_their_own_gradients():
    P, q, G, h = random_qp(2, 3)
    plain = leaves({"P": P.repeat(2, 3, 1, 1), "q": q, "G": G[0, 0].repeat(2, 3, 1, 1), "h": h})
    roots = leaves({"P": P, "G": G[0, 0]})
    expanded = leaves({"q": q, "h": h})
    for name, root in roots.items():
        expanded[name] = root.expand(2, 3, *root.shape)
        expanded[name].retain_grad()
    layer, copied = QPLayer(RULE), QPLayer(RULE)
    layer(**expanded).square().sum().backward()
    copied(**plain).square().sum().backward()
    assert layer.stats.set_ups == 1
    assert copied.stats.set_ups == 6
    for name in plain:
        torch.testing.assert_close(expanded[name].grad, plain[name].grad, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(roots["G"].grad, plain["G"].grad.sum((0, 1)))


@pytest.mark.parametrize("make", [QPLayer, LPLayer])
@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
def test_batch_of_zero(make, shape):
    P, _, G, h = random_qp()
    cost = torch.zeros(*shape, 4, dtype=torch.float64)
    data = leaves({"P": P, "q": cost, "G": G, "h": h.expand(shape[-1], 5), "lb": -torch.ones(4)})
    if make is LPLayer:
        data = {"c" if k == "q" else k: v for k, v in data.items() if k != "P"}
    solution = make(RULE)(**data, return_duals=True)
    assert [tuple(t.shape) for t in solution] == [(*shape, k) for k in (4, 0, 5, 4)]
    sum(t.sum() for t in solution).backward()
    for value in data.values():
        assert value.grad.shape == value.shape
        assert not value.grad.any()


@pytest.mark.parametrize("engine", ["daqp", "highs"])
def test_a_shared_cost_with_batched_constraints(engine):
    c = torch.tensor([1.0, -2.0, 3.0, -4.0], dtype=torch.float64)
    ub = torch.arange(1.0, 13.0, dtype=torch.float64).reshape(3, 4)
    x = LPLayer(RULE, engine)(c, lb=-ub, ub=ub)
    assert torch.equal(x, -c.sign() * ub)
