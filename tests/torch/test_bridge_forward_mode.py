"""Forward mode: torch.func.jvp, jacfwd and dual tensors."""

import pytest
import torch
from scipy import sparse
from torch.autograd import forward_ad
from torch.func import jacfwd, jacrev, jvp, vmap

import lpgd
from lpgd.testing.cone_programs import KINDS, plant
from lpgd.torch import ConicLayer, LPLayer, QPLayer, Sparse
from tests.torch.programs import known_lp, known_qp, random_qp

LAYER = QPLayer()
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's, of its torch.jit


def solve(P, q, G, h):
    return LAYER(P, q, G, h)


def near(got, want, tolerance=1e-7):
    torch.testing.assert_close(got, want, rtol=tolerance, atol=tolerance)


def like(data, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(t.shape, generator=draw, dtype=t.dtype) for t in data)


def adjointness(function, data, tangents):
    """<g, J t> and <J'g, t>, for each output's g."""
    outputs, pushed = jvp(function, data, tangents)
    leaves = [t.clone().requires_grad_() for t in data]
    cotangents = like(outputs, seed=1)
    again = function(*leaves)
    pulled = torch.autograd.grad(again, leaves, cotangents)
    left = sum((g * t).sum() for g, t in zip(cotangents, pushed, strict=True))
    right = sum((g * t).sum() for g, t in zip(pulled, tangents, strict=True))
    return left.item(), right.item()


@pytest.mark.parametrize("seed", range(4))
def test_jvp_is_the_adjoint_of_the_vjp_for_all_data_and_duals_of_a_qp(seed):
    data, _ = known_qp(seed)
    names = list(data)

    def function(*values):
        return tuple(LAYER(**dict(zip(names, values, strict=True)), return_duals=True))

    left, right = adjointness(function, tuple(data.values()), like(data.values()))
    assert left == pytest.approx(right, rel=1e-6)


@pytest.mark.parametrize("engine", ["daqp", "highs"])
def test_jvp_is_the_adjoint_of_the_vjp_of_constraints_for_an_lp(engine):
    data, _ = known_lp(0)
    names = [name for name in data if name != "c"]
    c = data.pop("c")
    layer = LPLayer(engine=engine)

    def function(*values):
        return (layer(c, **dict(zip(names, values, strict=True))),)

    left, right = adjointness(function, tuple(data.values()), like(data.values()))
    assert left == pytest.approx(right, rel=1e-6)


def test_the_costs_of_an_lp_have_the_derivative_zero():
    data, _ = known_lp(0)
    c = data.pop("c")
    _, pushed = jvp(lambda c: LPLayer()(c, **data), (c,), like([c]))
    near(pushed, torch.zeros_like(c))


@pytest.mark.parametrize("name", ["soc", "psd", "exp", "mixed"])
def test_jvp_is_the_adjoint_of_the_vjp_for_cones_and_slacks(name):
    case = plant(KINDS[name], 0)
    layer = ConicLayer(KINDS[name], lpgd.Exact())
    data = tuple(torch.tensor(case.params[k].values)[0] for k in ("P", "q", "A", "b"))

    def function(*values):
        return tuple(layer(*values, return_duals=True))

    left, right = adjointness(function, data, like(data))
    assert left == pytest.approx(right, rel=1e-3)


def test_jacobians_forward_and_backward_agree():
    P, q, G, h = random_qp(3)
    forward = jacfwd(solve, argnums=(0, 1, 2, 3))(P, q[0], G[0], h[0])
    backward = jacrev(solve, argnums=(0, 1, 2, 3))(P, q[0], G[0], h[0])
    for got, want in zip(forward, backward, strict=True):
        near(got, want)
    near(jacfwd(solve, argnums=1)(P, q, G, h), jacrev(solve, argnums=1)(P, q, G, h))


def test_jacobians_under_vmap():
    P, q, G, h = random_qp(3)
    dims = (None, 0, 0, 0)
    forward = vmap(jacfwd(solve, argnums=(1, 3)), dims)(P, q, G, h)
    backward = vmap(jacrev(solve, argnums=(1, 3)), dims)(P, q, G, h)
    for got, want in zip(forward, backward, strict=True):
        near(got, want)


def test_vmap_over_tangents_and_over_data():
    P, q, G, h = random_qp(3)
    (way,) = like([q])

    def push(q, way, h):
        return jvp(lambda q: solve(P, q, G[0], h), (q,), (way,))[1]

    one = torch.stack([push(q[i], way[i], h[i]) for i in range(3)])
    near(vmap(push)(q, way, h), one)
    near(vmap(push, in_dims=(None, 0, None))(q[0], way, h[0])[0], one[0])
    near(vmap(push, in_dims=(0, None, 0))(q, way[0], h)[0], one[0])


def test_dual_tensors():
    P, q, G, h = random_qp(3)
    (way,) = like([q])
    with forward_ad.dual_level():
        x = solve(P, forward_ad.make_dual(q, way), G, h)
        pushed = forward_ad.unpack_dual(x).tangent
    near(pushed, jvp(lambda q: solve(P, q, G, h), (q,), (way,))[1])


def test_shared_and_sparse_arguments():
    P, q, _, _ = random_qp(3)
    ub = torch.full((4,), 0.3, dtype=torch.float64)
    _, pushed = jvp(lambda ub: QPLayer()(P, q, ub=ub), (ub,), like([ub]))
    each = [jvp(lambda ub, i=i: QPLayer()(P, q[i], ub=ub), (ub,), like([ub]))[1] for i in range(3)]
    near(pushed, torch.stack(each))


def test_values_of_a_sparse_argument():
    data, _ = known_lp(0)
    G = data.pop("G")
    pattern = sparse.csr_matrix(G)

    def function(values):
        return (LPLayer()(G=Sparse(pattern, values), **data),)

    values = (torch.from_numpy(pattern.data),)
    left, right = adjointness(function, values, like(values))
    assert left == pytest.approx(right, rel=1e-6)


def test_the_step_has_no_scale():
    """Tangents and data of other sizes give the same relative answer."""
    P, q, G, h = random_qp(3)
    (way,) = like([q])
    push = lambda s, t: jvp(lambda q: solve(s * P, q, G, h), (s * q,), (t * way,))[1]  # noqa: E731
    near(push(1.0, 1e6) / 1e6, push(1.0, 1.0))
    near(push(1e4, 1.0) * 1e4, push(1.0, 1.0))


def test_only_a_kink_needs_solves():
    """min 1/2 (x - q)^2 over x <= 0 at q = -1, 0, 1: the mean of both sides at the kink."""
    layer, one = QPLayer(), torch.ones(1, 1)
    q = torch.tensor([[1.0], [0.0], [-1.0]])
    _, pushed = jvp(lambda q: layer(one, q, one, 0 * one[0]), (q,), (-torch.ones_like(q),))
    torch.testing.assert_close(pushed, torch.tensor([[1.0], [0.5], [0.0]]))
    assert layer.stats.re_solves == 2


def test_zero_tangents_and_derivatives_need_no_solve():
    P, q, G, h = random_qp(3)
    layer = QPLayer()
    way = torch.zeros_like(q)
    way[1] = 1.0
    _, pushed = jvp(lambda q: layer(P, q, G, h), (q,), (way,))
    assert layer.stats.re_solves == 0
    assert pushed[1].any()
    assert not pushed[[0, 2]].any()


def box(lb):
    return QPLayer(on_failure="nan")(torch.eye(2), 2 * torch.ones(2), lb=lb, ub=torch.zeros(2))


def test_a_failed_perturbed_solve_is_no_zero():
    """lb = ub moves past ub on one side."""
    lb = torch.tensor([[0.0, 0.0], [-1.0, -1.0]])
    with pytest.warns(lpgd.SolverWarning, match="perturbed solve of forward mode: 1 of 2.*lb"):
        _, pushed = jvp(box, (lb,), (torch.ones(2, 2),))
    assert pushed[0].isnan().all()
    near(pushed[1], torch.ones(2), 1e-5)
    layer = QPLayer()
    with pytest.raises(lpgd.SolverError, match=r"perturbed solve.*0: lb exceeds ub"):
        jvp(
            lambda lb: layer(torch.eye(2), 2 * torch.ones(2), lb=lb, ub=torch.zeros(2)),
            (lb,),
            (torch.ones(2, 2),),
        )


def test_elements_that_failed_before_have_no_tangent():
    lb = torch.tensor([[1.0, 0.0], [-1.0, -1.0]])
    with pytest.warns(lpgd.SolverWarning) as caught:
        x, pushed = jvp(box, (lb,), (torch.ones(2, 2),))
    told = [w for w in caught if w.category is lpgd.SolverWarning]
    assert len(told) == 1  # of the forward solve
    assert x[0].isnan().all()
    assert pushed[0].isnan().all()
    near(pushed[1], torch.ones(2), 1e-5)


def test_float32():
    P, q, G, h = (t.float() for t in random_qp(3))
    _, pushed = jvp(lambda q: solve(P, q, G, h), (q,), (torch.ones_like(q),))
    assert pushed.dtype == torch.float32
