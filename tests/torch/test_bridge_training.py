"""Training set-ups around a layer: data-parallel processes, autocast and gradient scaling."""

import os
import sys

import pytest
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

import lpgd
from lpgd.torch import LPLayer, QPLayer
from tests.torch.programs import random_qp


class Model(nn.Module):
    """A linear layer that predicts the cost, and a learned shared P."""

    def __init__(self, dtype=torch.float64):
        super().__init__()
        P, _, G, h = random_qp()
        self.root = nn.Parameter(torch.linalg.cholesky(P).to(dtype))
        self.linear = nn.Linear(3, 4, dtype=dtype)
        self.layer = QPLayer(lpgd.LPGD(1e-3))
        self.register_buffer("G", G.to(dtype))
        self.register_buffer("h", h.to(dtype))
        with torch.no_grad():
            for k, parameter in enumerate(self.linear.parameters()):
                parameter.copy_(torch.linspace(-1, k, parameter.numel()).reshape(parameter.shape))

    def forward(self, x):
        return self.layer(self.root @ self.root.mT, self.linear(x), self.G, self.h)


def inputs(dtype=torch.float64):
    draw = torch.Generator().manual_seed(0)
    return torch.randn(8, 3, dtype=torch.float64, generator=draw).to(dtype)


def train(rank, meeting, results):
    if sys.platform.startswith("linux"):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", f"file://{meeting}", rank=rank, world_size=2)
    model = DistributedDataParallel(Model())
    model(inputs().split(4)[rank]).square().mean().backward()
    torch.save([p.grad for p in model.parameters()], f"{results}/{rank}.pt")
    distributed.barrier()
    distributed.destroy_process_group()
    # gloo's threads now and then abort the interpreter's end, with any model (torch 2.13)
    os._exit(0)


def test_distributed_data_parallel(tmp_path):
    torch.multiprocessing.spawn(train, (str(tmp_path / "meeting"), str(tmp_path)), nprocs=2)
    model = Model()
    model(inputs()).square().mean().backward()  # the mean over both halves is that over all
    for rank in range(2):
        pulled = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for got, parameter in zip(pulled, model.parameters(), strict=True):
            torch.testing.assert_close(got, parameter.grad, rtol=1e-8, atol=1e-10)


def test_autocast():
    model = Model(torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        P, q = model.root @ model.root.mT, model.linear(inputs(torch.float32))
        x = model.layer(P, q, model.G, model.h)
    assert (P.dtype, q.dtype) == (torch.bfloat16, torch.bfloat16)
    assert x.dtype == torch.float32  # that of G and h: dtypes promote
    full = [t.detach().double().requires_grad_() for t in (P, q)]
    P.retain_grad()
    q.retain_grad()
    x.square().sum().backward()
    model.layer(*full, model.G.double(), model.h.double()).square().sum().backward()
    for got, want in zip((P, q), full, strict=True):
        assert got.grad.dtype == torch.bfloat16
        torch.testing.assert_close(got.grad.double(), want.grad, rtol=1e-2, atol=1e-2)
    assert all(p.grad.dtype == torch.float32 for p in model.parameters())


@pytest.mark.parametrize("overflow", [False, True])
def test_gradient_scaler(overflow):
    model = Model(torch.float32)
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    loss = model(inputs(torch.float32)).square().sum()
    scaler.scale(loss * (float("inf") if overflow else 1.0)).backward()
    scaler.step(optimizer)
    scaler.update()
    changed = [not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
    assert all(changed) is not overflow
    assert any(changed) is not overflow
    assert scaler.get_scale() == (512.0 if overflow else 1024.0)
    assert model.layer.stats.re_solves == (0 if overflow else 16)


def test_the_tilt_is_the_product_of_tau_and_the_cotangent():
    """What a scaled loss does to a finite tau: g(a dx; tau) = a g(dx; a tau)."""
    draw = torch.Generator().manual_seed(0)
    c = torch.rand(5, 3, generator=draw, dtype=torch.float64, requires_grad=True)
    ub = torch.ones(3, dtype=torch.float64)
    cotangent = torch.randn(5, 3, generator=draw, dtype=torch.float64)
    pulled = {}
    for tau, scale in ((2.0, 1.0), (0.5, 4.0)):
        x = LPLayer(lpgd.LPGD(tau))(c, lb=-ub, ub=ub)
        (pulled[tau],) = torch.autograd.grad(x, c, scale * cotangent)
    assert pulled[2.0].any()
    torch.testing.assert_close(pulled[0.5], 4.0 * pulled[2.0], rtol=1e-12, atol=0)


def test_other_leaves_of_a_graph_share_one_backward_pass():
    """Two layers in one loss, one of them used twice."""
    P, q, G, h = random_qp(3)
    one, two = QPLayer(lpgd.LPGD(1e-3)), QPLayer(lpgd.LPGD(1e-3))
    q.requires_grad_()
    (one(P, two(P, one(P, q, G, h), G, h), G, h)).square().sum().backward()
    together = q.grad.clone()
    q.grad = None
    inner = one(P, q, G, h)
    middle = two(P, inner, G, h)
    outer = one(P, middle, G, h)
    cotangent = 2 * outer.detach()
    for output, source in ((outer, middle), (middle, inner), (inner, q)):
        (cotangent,) = torch.autograd.grad(output, source, cotangent, retain_graph=True)
    torch.testing.assert_close(together, cotangent, rtol=1e-12, atol=1e-12)
