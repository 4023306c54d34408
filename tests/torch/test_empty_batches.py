"""Batches of no elements, with every argument batched: all layers, all derivatives."""

import cvxpy as cp
import pytest
import torch
from torch.func import jacrev, jvp, vmap

import lpgd
from lpgd.torch import ConicLayer, CvxpyLayer, LPLayer, QPLayer

RULE = lpgd.LPGD(0.3)
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # of its own jvp
CORES = {"P": (2, 2), "q": (2,), "c": (2,), "G": (3, 2), "h": (3,), "A": (1, 2), "b": (1,)}
SHAPES = [(0,), (0, 3), (3, 0), (2, 0, 1)]


def qp(**data):
    return tuple(QPLayer(RULE)(**data, return_duals=True))


def lp(**data):
    return tuple(LPLayer(RULE)(**data, return_duals=True))


def conic(cones):
    def solve(P, q, G, h):
        return tuple(ConicLayer(cones, RULE)(P, q, G, h, return_duals=True))

    return solve


def fitted():
    x = cp.Variable(2)
    G, h = cp.Parameter((3, 2)), cp.Parameter(3)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(G @ x - h)), [cp.norm(x) <= 1])
    layer = CvxpyLayer(problem, [G, h], [x], rule=RULE)
    return lambda G, h: layer(G, h)


MAKERS = {
    "qp": (lambda: qp, ("P", "q", "G", "h", "A", "b", "lb", "ub")),
    "lp": (lambda: lp, ("c", "G", "h", "A", "b", "lb", "ub")),
    "soc": (lambda: conic(lpgd.Cones(soc=(3,))), ("P", "q", "G", "h")),
    "nonneg": (lambda: conic(lpgd.Cones(nonneg=3)), ("P", "q", "G", "h")),
    "cvxpy": (fitted, ("G", "h")),
}


@pytest.fixture(params=MAKERS)
def case(request):
    make, names = MAKERS[request.param]
    return make(), names


def empty(names, shape):
    sizes = {name: CORES.get(name, (2,)) for name in names}
    return {name: torch.zeros(*shape, *core).requires_grad_() for name, core in sizes.items()}


@pytest.mark.parametrize("shape", SHAPES)
def test_forward_and_backward(case, shape):
    solve, names = case
    data = empty(names, shape)
    outputs = solve(**data)
    assert all(output.shape[: len(shape)] == shape for output in outputs)
    sum(output.sum() for output in outputs).backward()
    for value in data.values():
        assert value.grad.shape == value.shape


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("shared", range(2))
def test_a_shared_argument_gets_a_gradient_of_zero(case, shape, shared):
    solve, names = case
    data = empty(names, shape) | empty(names[shared : shared + 1], ())
    sum(output.sum() for output in solve(**data)).backward()
    assert not data[names[shared]].grad.any()


@pytest.mark.parametrize("shape", SHAPES)
def test_tangents(case, shape):
    solve, names = case
    values = tuple(value.detach() for value in empty(names, shape).values())

    def function(*given):
        return solve(**dict(zip(names, given, strict=True)))

    outputs, tangents = jvp(function, values, values)
    assert [t.shape for t in tangents] == [x.shape for x in outputs]


@pytest.mark.parametrize("shape", SHAPES)
def test_mapped(case, shape):
    solve, names = case
    values = tuple(value.detach() for value in empty(names, (*shape, 2)).values())

    def function(*given):
        return solve(**dict(zip(names, given, strict=True)))

    outputs = vmap(function, in_dims=len(shape))(*values)
    assert all(x.shape[: len(shape) + 1] == (2, *shape) for x in outputs)
    rows = jacrev(function, argnums=1)(*values)
    assert all(row.numel() == 0 for row in rows)
