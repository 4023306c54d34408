"""Tensors that are no plain arrays, floats of few bits and memory layouts, on all four layers."""

import cvxpy as cp
import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.masked import masked_tensor

import lpgd
from lpgd.oracles import TopK
from lpgd.torch import ConicLayer, CvxpyLayer, LPLayer, NLPLayer, OracleLayer, QPLayer, losses

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


ALONE = {
    "oracle": lambda c: OracleLayer(TopK(1))(c),
    "oracle, max": lambda c: OracleLayer(TopK(1), sense="max")(c),
    "nlp": lambda c: NLPLayer(lambda x, c: (x - c).square().sum(), 2, engine="slsqp")(c),
    "spo+": lambda c: losses.SPOPlus(TopK(1))(c, c, ones()),
    "pg": lambda c: losses.PerturbationGradient(TopK(1))(ones(), c),
    "fy": lambda c: losses.FenchelYoung(TopK(1))(ones(), c),
    "cmap": lambda c: losses.ContrastiveMAP(torch.eye(2))(c, ones()),
    "ltr": lambda c: losses.LearningToRank(torch.eye(2))(ones(), c),
    "cave": lambda c: losses.CaVE()(ones(), c),
}


@pytest.mark.filterwarnings("ignore:The PyTorch API of:UserWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["meta", "nested", "jagged", "masked", "fake", "list"])
@pytest.mark.parametrize("name", ALONE)
def test_costs_and_targets_without_values_are_refused_by_name(name, kind):
    given = [1.0, 2.0] if kind == "list" else KINDS[kind][0](ones())
    with pytest.raises(lpgd.StructureError, match="|".join(["meta", "plain", "torch.Tensor"])):
        ALONE[name](given)


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


def transposed(t):
    return t.mT.contiguous().mT if t.ndim > 1 else strided(t)


def strided(t):
    return torch.stack([t, torch.full_like(t, 7.0)], dim=-1)[..., 0]


def shifted(t):
    """A view whose first entry is not aligned to 16 bytes."""
    return torch.cat([torch.zeros(1, dtype=t.dtype), t.reshape(-1)])[1:].view(t.shape)


def negated(t):
    return torch._neg_view(-t)


def conjugated(t):
    return torch.complex(torch.zeros_like(t), -t).conj().imag


def borrowed(t):
    """Memory of numpy, in which the last dimension is the slowest."""
    return torch.from_numpy(np.asfortranarray(t.numpy()))


def programs():
    draw = torch.Generator().manual_seed(0)
    n, m, B = 12, 9, 5
    P, q, A, b = (
        torch.randn(*shape, generator=draw, dtype=torch.float64)
        for shape in ((B, n, n), (B, n), (B, m, n), (B, m))
    )
    P, b = P @ P.mT + torch.eye(n, dtype=torch.float64), b.abs() + 1
    apex = torch.cat([b[:, :1] + 5, b[:, 1:]], dim=1)
    bounded = {"lb": -b[:, :1].expand(B, n).clone(), "ub": b[:, :1].expand(B, n).clone()}
    x, C, d = cp.Variable(n), cp.Parameter((m, n)), cp.Parameter(m)
    problem = cp.Problem(
        cp.Minimize(cp.sum_squares(C @ x - d) + cp.sum_squares(x)), [cp.norm(x) <= 1]
    )
    tracked = CvxpyLayer(problem, [C, d], [x], rule=RULE)
    soc = ConicLayer(lpgd.Cones(soc=(m,)), RULE)
    return {
        "qp": (lambda **data: QPLayer(RULE)(**data), {"P": P, "q": q, "G": A, "h": b} | bounded),
        "lp": (lambda **data: LPLayer(RULE)(**data), {"c": q, "G": A, "h": b} | bounded),
        "soc": (lambda P, q, A, b: soc(P, q, A, b), {"P": P, "q": q, "A": A, "b": apex}),
        "cvxpy": (lambda C, d: tracked(C, d)[0], {"C": A, "d": b}),
    }  # fmt: skip


PROGRAMS = programs()
LAYOUTS = [transposed, strided, shifted, negated, conjugated, borrowed]


@pytest.mark.filterwarnings("ignore::lpgd.StuckWarning")  # of an LP at its vertex
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_memory_layout_changes_no_bit(name, layout):
    solve, data = PROGRAMS[name]
    bits = []
    for change in (torch.clone, layout):
        given = {k: change(v).detach().requires_grad_() for k, v in data.items()}
        x = solve(**given)
        weight = torch.linspace(-1, 1, x.numel(), dtype=x.dtype).reshape(x.shape)
        pulled = torch.autograd.grad((change(weight) * x).sum(), list(given.values()))
        bits.append([x.detach(), *pulled])
    for got, want in zip(*bits, strict=True):
        assert torch.equal(got, want)


@pytest.mark.filterwarnings("ignore::lpgd.StuckWarning")
@pytest.mark.parametrize("name", PROGRAMS)
def test_cotangents_of_any_layout(name):
    solve, data = PROGRAMS[name]
    given = {k: v.clone().requires_grad_() for k, v in data.items()}
    x = solve(**given)
    weight = torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=x.dtype)
    want = torch.autograd.grad(x, list(given.values()), weight, retain_graph=True)
    for layout in LAYOUTS:
        got = torch.autograd.grad(x, list(given.values()), layout(weight), retain_graph=True)
        assert all(map(torch.equal, got, want)), layout.__name__
