"""Tensors that are no plain arrays, floats of few bits and memory layouts, on all four layers."""

import cvxpy as cp
import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.masked import masked_tensor

import lpgd
from lpgd.torch import ConicLayer, CvxpyLayer, LPLayer, QPLayer

RULE = lpgd.LPGD(0.1)
SMALL = [torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2]


def ball():
    x, p, r = cp.Variable(2), cp.Parameter(2), cp.Parameter(2)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - p)), [cp.norm(x) <= 1, x <= r])
    return CvxpyLayer(problem, [p, r], [x], rule=RULE)


def ones(dtype=torch.float64):
    return torch.ones(2, dtype=dtype)


def plain(value, like):
    """An array of the dtype of a tensor, where arrays can have it."""
    dtype = like.dtype if like.dtype.is_floating_point else torch.float64
    return torch.as_tensor(value).to(dtype)


EYE, LOW = [[1.0, 0.0], [0.0, 1.0]], [-1.0, -1.0]
LAYERS = {
    "qp": lambda q, u: QPLayer(RULE)(plain(EYE, u), q, ub=u),
    "lp": lambda q, u: LPLayer(RULE)(q, lb=plain(LOW, u), ub=u),
    "conic": lambda q, u: ConicLayer(lpgd.Cones(nonneg=2), RULE)(
        plain(EYE, q), q, plain(EYE, q), u
    ),
    "cvxpy": lambda q, u: ball()(q, u)[0],
}


@pytest.fixture(params=LAYERS)
def layer(request):
    return LAYERS[request.param]


def nested(layout):
    def make(t):
        return torch.nested.nested_tensor([t, t], layout=layout)

    return make


KINDS = {
    "meta": (lambda t: t.to("meta"), "meta"),
    "nested": (nested(torch.strided), "a NestedTensor"),
    "jagged": (nested(torch.jagged), "a NestedTensor"),
    "masked": (lambda t: masked_tensor(t, torch.tensor([True, False])), "a MaskedTensor"),
    "fake": (lambda t: FakeTensorMode().from_tensor(t), "a FakeTensor"),
    "sparse": (lambda t: t.to_sparse(), "must be dense"),
    "float8": (lambda t: t.to(torch.float8_e5m2), "a common one, got .*convert them to float64"),
    "quantized": (
        lambda t: torch.quantize_per_tensor(t.float(), 1.0, 0, torch.quint8),
        "real floating dtype",
    ),
}


@pytest.mark.filterwarnings("ignore:The PyTorch API of:UserWarning")  # nested, masked: torch's own
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", [0, 1])
def test_tensors_without_one_array_of_values_are_refused_by_name(layer, kind, place):
    make, given = KINDS[kind]
    arguments = [ones(), ones()]
    arguments[place] = make(arguments[place])
    with pytest.raises(lpgd.StructureError, match=given) as caught:
        layer(*arguments)
    assert str(caught.value).startswith(("q ", "c ", "b ", "ub ", "parameter ", "arguments "))


def test_all_arguments_on_the_meta_device():
    with pytest.raises(lpgd.StructureError, match=r"q is on the meta device .* \.to_empty"):
        QPLayer(RULE)(torch.eye(2, device="meta"), torch.ones(2, device="meta"))


class Tagged(torch.Tensor):
    """An ordinary tensor underneath."""


def test_subclasses_with_values_are_welcome(layer):
    want = layer(ones(), ones())
    for kind in (Tagged, torch.nn.Parameter):
        got = layer(torch.Tensor._make_subclass(kind, ones()), ones())
        np.testing.assert_array_equal(got.detach(), want)


@pytest.mark.filterwarnings("ignore::lpgd.StuckWarning")  # of an LP at its vertex
@pytest.mark.parametrize("dtype", SMALL)
def test_floats_of_few_bits(layer, dtype):
    q = torch.tensor([0.5, -0.25]).to(dtype).requires_grad_()
    u = torch.tensor([1.0, 2.0]).to(dtype).requires_grad_()
    x = layer(q, u)
    assert x.dtype == dtype
    exact = layer(q.detach().double(), u.detach().double())
    assert torch.equal(x.double(), exact.to(dtype).double())
    x.float().sum().backward()
    assert (q.grad.dtype, u.grad.dtype) == (dtype, dtype)
    assert torch.isfinite(q.grad.float()).all()
