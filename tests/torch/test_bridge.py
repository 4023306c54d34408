"""Dtypes, memory layout and what is kept between forward and backward."""

import gc
import weakref

import pytest
import torch

import lpgd
from lpgd.torch import DualSolution, QPLayer
from tests.torch.programs import inf, known_qp, leaves, random_qp

RULE = lpgd.LPGD(0.3)


class RecordingEngine:
    """DAQP that remembers what it was asked to keep, and its workspaces by weak references."""

    name = "recording"

    def __init__(self):
        self.inner, self.kept, self.workspaces = lpgd.DaqpEngine(), [], []
        self.capabilities = self.inner.capabilities

    def solve(self, problem, params, *, start=None, keep=False, threads=None):
        answer = self.inner.solve(problem, params, start=start, keep=keep, threads=threads)
        self.kept.append(keep)
        if answer.workspace is not None:
            self.workspaces.append(weakref.ref(answer.workspace))
        return answer

    @property
    def alive(self):
        return sum(reference() is not None for reference in self.workspaces)


def gradients(layer, data, weight):
    """Outputs and gradients of <weight, x> + z'z + z_box'z_box + y'y."""
    solution = layer(**data, return_duals=True)
    loss = (weight * solution.x).sum() + sum(dual.square().sum() for dual in solution[1:])
    return solution, torch.autograd.grad(loss, list(data.values()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_dtype_goes_through_outputs_and_gradients(dtype):
    data, _ = known_qp(2)
    data = leaves({name: value.to(dtype) for name, value in data.items()})
    solution = QPLayer(lpgd.LPGD(1e-3))(**data, return_duals=True)
    assert {t.dtype for t in solution} == {dtype}
    sum(t.square().sum() for t in solution).backward()
    assert {t.grad.dtype for t in data.values()} == {dtype}

    exact = leaves({name: value.detach().to(torch.float64) for name, value in data.items()})
    reference = QPLayer(lpgd.LPGD(1e-3))(**exact, return_duals=True)
    for got, want in zip(solution, reference, strict=True):
        assert torch.equal(got, want.to(dtype))  # float64 inside
    sum(t.square().sum() for t in reference).backward()
    for name, value in data.items():
        want = exact[name].grad
        tolerance = 8 * torch.finfo(dtype).eps * (1 + want.abs().max())
        assert (value.grad.to(torch.float64) - want).abs().max() <= tolerance, name


def test_mixed_dtypes_promote_and_each_gradient_keeps_its_own():
    P, q, G, h = random_qp(3)
    data = leaves({"P": P.float(), "q": q.bfloat16(), "G": G.float(), "h": h.double()})
    x = QPLayer(RULE)(**data)
    assert x.dtype == torch.float64
    x.sum().backward()
    assert [t.grad.dtype for t in data.values()] == [t.dtype for t in data.values()]


def strided(t):
    return torch.stack([t, torch.full_like(t, 7.0)], dim=-1)[..., 0]


def transposed(t):
    return t.mT.contiguous().mT if t.ndim > 1 else strided(t)


def negated(t):
    return torch._neg_view(-t)  # a view with the negative bit, as imag of a conjugate has


@pytest.mark.parametrize("layout", [strided, transposed, negated])
@pytest.mark.parametrize("singular", [False, True])
def test_memory_layout_does_not_matter(layout, singular):
    data, _ = known_qp(4)
    data = {name: value.repeat(3, *[1] * value.ndim) for name, value in data.items()}
    if singular:  # DAQP then sets up afresh, along another path
        data["P"][:, 2:] = data["P"][:, :, 2:] = 0
    weight = torch.ones(3, 6, dtype=torch.float64)
    _, want = gradients(QPLayer(RULE), leaves(data), weight)
    laid = {name: layout(value) for name, value in leaves(data).items()}
    solution, got = gradients(QPLayer(RULE), laid, weight)
    assert solution.x.is_contiguous()
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)


def test_inputs_stay_untouched():
    data, _ = known_qp(5)
    data = leaves(data)
    before = {name: value.detach().clone() for name, value in data.items()}
    QPLayer(lpgd.LPGD(0.3, 1.0))(**data).square().sum().backward()
    assert all(torch.equal(data[name], before[name]) for name in data)


def test_changing_an_input_in_place_before_backward_is_an_error():
    P, q, G, h = random_qp(3)
    moving = q.requires_grad_() * 1
    x = QPLayer(RULE)(P, moving, G, h)
    moving.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        x.sum().backward()


def test_changing_outputs_in_place_changes_no_gradient():
    data, _ = known_qp(6)
    expected, changed = leaves(data), leaves(data)
    weight = torch.ones(6, dtype=torch.float64)
    solution = QPLayer(RULE)(**expected, return_duals=True)
    ((2 * solution.x) @ weight + solution.z.sum()).backward()
    solution = QPLayer(RULE)(**changed, return_duals=True)
    solution.x.mul_(2)
    solution.z.add_(3)
    (solution.x @ weight + solution.z.sum()).backward()
    for name in data:
        torch.testing.assert_close(changed[name].grad, expected[name].grad, rtol=0, atol=0)


@pytest.mark.parametrize("only", ["P", "q", "G", "h", "A", "b", "lb", "ub"])
def test_gradient_of_one_argument_alone(only):
    data, _ = known_qp(8)
    everything = leaves(data)
    QPLayer(RULE)(**everything).square().sum().backward()
    alone = data | {only: data[only].clone().requires_grad_()}
    QPLayer(RULE)(**alone).square().sum().backward()
    assert torch.equal(alone[only].grad, everything[only].grad)
    assert all(alone[name].grad is None for name in data if name != only)


def test_cotangent_of_absent_multipliers_is_no_cotangent():
    P, q, G, h = random_qp(3)
    layer = QPLayer(RULE)
    _, y, _, z_box = layer(P, q.requires_grad_(), G, h, return_duals=True)
    (y.sum() + z_box.sum()).backward()
    assert not q.grad.any()
    assert layer.stats.re_solves == 0


def test_zero_cotangent_solves_nothing():
    P, q, G, h = random_qp(3)
    layer = QPLayer(RULE)
    x = layer(P, q.requires_grad_(), G, h)
    x.backward(torch.zeros_like(x))
    assert not q.grad.any()
    assert layer.stats.re_solves == 0
    some = torch.zeros_like(x)
    some[1] = 1.0
    layer(P, q, G, h).backward(some)
    assert layer.stats.re_solves == 0  # within reach
    assert q.grad.any(dim=1).tolist() == [False, True, False]


@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode])
def test_no_workspace_without_gradients(guard):
    P, q, G, h = random_qp(3)
    engine = RecordingEngine()
    with guard():
        x = QPLayer(RULE, engine)(P, q.requires_grad_(), G, h)
    assert not x.requires_grad
    assert engine.kept == [False]
    assert engine.workspaces == []


def test_no_workspace_survives_where_nothing_requires_a_gradient():
    P, q, G, h = random_qp(3)
    engine = RecordingEngine()
    gc.disable()
    try:
        x = QPLayer(RULE, engine)(P, q, G, h)
        assert not x.requires_grad
        assert engine.alive == 0
    finally:
        gc.enable()


def test_the_workspace_lives_and_dies_with_the_graph():
    P, q, G, h = random_qp(3)
    engine = RecordingEngine()
    gc.disable()  # reference counts alone must free it: no cycles
    try:
        solution = QPLayer(RULE, engine)(P, q.requires_grad_(), G, h, return_duals=True)
        assert engine.kept == [True]
        assert engine.alive == 1
        solution.x.sum().backward()
        del solution
        assert engine.alive == 0
    finally:
        gc.enable()


def test_infinite_right_hand_sides_are_no_constraints():
    P, q, G, h = random_qp(3)
    free = leaves({"P": P, "q": q, "G": G, "h": torch.full_like(h, inf)})
    solution = QPLayer(RULE)(**free, return_duals=True)
    assert isinstance(solution, DualSolution)
    torch.testing.assert_close(solution.x, -torch.linalg.solve(P, q.T).T)
    solution.x.sum().backward()
    assert not free["h"].grad.any()
    assert not free["G"].grad.any()
    assert torch.isfinite(free["q"].grad).all()
