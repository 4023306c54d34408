"""Costs that stand for "never": whatever their size, they forbid, and nothing else."""

from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
import torch

import lpgd
from lpgd.map.solution_map import SolutionMap
from lpgd.torch import ConicLayer, CvxpyLayer, LPLayer, QPLayer

N = 6
MASKS = [1e6, 1e9, 1e15, 1e30, 1e300]
RULES = {"default": lpgd.LPGD(), "exact": lpgd.Exact()}
WEIGHTS = torch.arange(1.0, N + 1, dtype=torch.float64)
PROGRAMS = {
    "squares": lambda x, q: (cp.sum_squares(x) + q @ x, [cp.sum(x) == 1, x >= 0]),
    "box": lambda x, q: (cp.sum_squares(x) - q @ x, [x >= -1, x <= 2]),
    "softmax": lambda x, q: (q @ x - cp.sum(cp.entr(x)), [cp.sum(x) == 1]),
    "norm": lambda x, q: (q @ x + cp.norm(x), [cp.sum(x) == 1, x >= 0]),
    "logarithms": lambda x, q: (q @ x - cp.sum(cp.log(1 + x)), [cp.sum(x) == 1, x >= 0]),
    "penalty": lambda x, q: (  # a constraint that may be violated, for a price
        cp.sum_squares(x[:4] - 1) + q @ x,
        [x[:2] <= 0.2 + x[4:], x[4:] >= 0],
    ),
}


def leaf(mask, seed=0, count=2):
    """Costs, the last ones of which are masks."""
    q = torch.tensor(np.random.default_rng(seed).normal(size=N))
    q[N - count :] = mask
    return q.requires_grad_()


def derived(layer, q):
    (x,) = layer(q)
    (x @ WEIGHTS).backward()
    assert not layer.stats.unverified
    assert not layer.stats.degenerate
    return x.detach().numpy(), q.grad.numpy()


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", PROGRAMS)
def test_a_mask_of_any_size_is_one_of_a_hundred(kind, rule, mask):
    x, q = cp.Variable(N), cp.Parameter(N)
    cost, constraints = PROGRAMS[kind](x, q)
    layer = CvxpyLayer(cp.Problem(cp.Minimize(cost), constraints), [q], [x], rule=RULES[rule])
    right, found = (derived(layer, leaf(size)) for size in (100.0, mask))
    np.testing.assert_allclose(found[0], right[0], atol=1e-7)
    np.testing.assert_allclose(found[1], right[1], atol=1e-5)


@pytest.mark.parametrize("mask", MASKS)
def test_kinks_beside_masks_are_found(mask):
    """x_1 is at zero, and would be without its bound: the difference lies between both sides."""
    gradients = []
    for size in (100.0, mask):
        q = torch.tensor([0.0, -1.0, 0.5, size], dtype=torch.float64, requires_grad=True)
        layer = QPLayer()
        given = {"lb": torch.zeros(4, dtype=torch.float64)}
        x = layer(torch.eye(4, dtype=torch.float64), q, **given)
        x.sum().backward()
        assert layer.stats.degenerate == 1
        assert not layer.stats.unverified
        gradients.append(q.grad)
    torch.testing.assert_close(*gradients, atol=1e-7, rtol=1e-5)
    assert -1 <= gradients[1][0] <= 0
    torch.testing.assert_close(gradients[1][1:], torch.tensor([-1.0, 0, 0]).double())


def test_a_cost_that_is_rounding_is_no_size_of_a_vertex():
    """Beside 1e-17 all costs are forbidding: tilts go on to where the vertex moves."""
    gradients = []
    for speck in (0.0, 1e-17):
        q = torch.tensor([speck, 1, 2, 3, 4, 5], dtype=torch.float64, requires_grad=True)
        x = LPLayer()(q, **simplex())
        (x @ WEIGHTS.flip(0)).backward()
        gradients.append(q.grad)
    assert gradients[0].any()
    torch.testing.assert_close(*gradients, atol=1e-12, rtol=1e-6)


@pytest.mark.parametrize("solver", ["CLARABEL", "SCS"])
@pytest.mark.parametrize("kind", ["softmax", "norm"])
def test_every_solver(kind, solver):
    x, q = cp.Variable(N), cp.Parameter(N)
    cost, constraints = PROGRAMS[kind](x, q)
    layer = CvxpyLayer(cp.Problem(cp.Minimize(cost), constraints), [q], [x], solver=solver)
    right, found = (derived(layer, leaf(size)) for size in (100.0, 1e9))
    np.testing.assert_allclose(found[0], right[0], atol=1e-7)
    np.testing.assert_allclose(found[1], right[1], atol=1e-5)


def simplex():
    ones = torch.ones(1, N, dtype=torch.float64)
    return {"A": ones, "b": ones[0, :1], "lb": 0 * ones[0]}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("rule", RULES)
def test_multipliers_take_what_masks_cost(rule, mask):
    """min 1/2 |x|^2 + q'x on the simplex: z_box = -(q + x + y) where x = 0."""
    layer, q = QPLayer(rule=RULES[rule]), leaf(mask)
    bound = torch.zeros(N, dtype=torch.float64, requires_grad=True)
    given = {**simplex(), "lb": bound}
    out = layer(torch.eye(N, dtype=torch.float64), q, return_duals=True, **given)
    with torch.no_grad():
        rest = -(q + out.x + out.y)
        torch.testing.assert_close(out.z_box, torch.where(out.x == 0, rest, 0 * rest))
    (out.x @ WEIGHTS + out.y.sum()).backward()
    small = leaf(100.0)
    other = torch.zeros(N, dtype=torch.float64, requires_grad=True)
    given["lb"] = other
    out = QPLayer(rule=RULES[rule])(
        torch.eye(N, dtype=torch.float64), small, return_duals=True, **given
    )
    (out.x @ WEIGHTS + out.y.sum()).backward()
    torch.testing.assert_close(q.grad, small.grad, atol=1e-7, rtol=1e-7)
    torch.testing.assert_close(bound.grad, other.grad, atol=1e-7, rtol=1e-7)


@pytest.mark.parametrize("mask", MASKS)
def test_the_gradient_of_an_lp_is_as_if_the_masked_were_not_there(mask):
    found, pull = leaf(mask), torch.where(torch.arange(N) < N - 2, WEIGHTS, 0.0)
    x = LPLayer()(found, **simplex())
    (x @ pull).backward()
    part = leaf(mask)[: N - 2].detach().requires_grad_()
    given = {k: v[..., : N - 2] if k != "b" else v for k, v in simplex().items()}
    small = LPLayer()(part, **given)
    (small @ WEIGHTS[: N - 2]).backward()
    np.testing.assert_allclose(x[: N - 2].detach(), small.detach(), atol=1e-12)
    assert not x[N - 2 :].any()
    assert part.grad.any()
    ratio = found.grad[: N - 2].norm() / part.grad.norm()  # masks count like the largest of others
    torch.testing.assert_close(found.grad[: N - 2], ratio * part.grad, atol=1e-12, rtol=1e-6)
    assert 0.5 < ratio <= 1
    assert not found.grad[N - 2 :].any()


@pytest.mark.parametrize("rule", RULES)
def test_masks_of_many_sizes_leave_the_gradients_of_matrices_alone(rule):
    gradients = []
    for masks in ((10.0,) * 4, (1e9, 1e18, 1e27, 1e36)):
        q = torch.tensor([-1.0, -0.7, *masks], dtype=torch.float64)
        P, A = torch.eye(6, dtype=torch.float64).requires_grad_(), simplex()["A"].requires_grad_()
        x = QPLayer(rule=RULES[rule])(P, q, **{**simplex(), "A": A})
        (x[0] - 2 * x[1]).backward()
        gradients.append((P.grad, A.grad))
    assert gradients[0][0].any()
    for right, found in zip(*gradients, strict=True):
        torch.testing.assert_close(found, right, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("far", [1e3, 1e4, 1e6, 1e20])
@pytest.mark.parametrize("mask", [1e8, 1e9, 1e12])
def test_bounds_that_are_slack_say_nothing_of_costs(mask, far):
    q = torch.tensor([-1.0, -2.0, 0.5, mask], dtype=torch.float64, requires_grad=True)
    layer, zero = QPLayer(), torch.zeros(4, dtype=torch.float64)
    x = layer(torch.eye(4, dtype=torch.float64), q, lb=zero, ub=zero + far)
    (x @ WEIGHTS[:4]).backward()
    torch.testing.assert_close(q.grad, torch.tensor([-1.0, -2, 0, 0]).double())
    assert layer.stats.degenerate == 0


@pytest.mark.parametrize("mask", [1e2, 1e9, 1e20])
def test_small_multipliers_beside_masks_are_some(mask):
    """That of x_1 <= 0.5 is 1e-4 of the costs: no vertex that is degenerate."""
    ub = torch.tensor([0.5, 0.4, 0.3, 1], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([0.9], dtype=torch.float64, requires_grad=True)
    c = torch.tensor([-1, -1.0001, -3, mask], dtype=torch.float64)
    x = LPLayer()(c, A=torch.ones(1, 4).double(), b=b, lb=0 * c, ub=ub)
    (x @ torch.tensor([1.0, 2, 4, 3]).double()).backward()
    torch.testing.assert_close(ub.grad, torch.tensor([0.0, 1, 3, 0]).double())
    torch.testing.assert_close(b.grad, torch.ones(1).double())


@pytest.mark.parametrize("length", [2e5, 1e8])
def test_a_cost_that_curvature_balances_is_none_that_forbids(length):
    q = torch.tensor([-length, -0.2, 0.1], dtype=torch.float64)
    P, zero = torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    for share in (0.3, 0.4, 0.6):
        ub = torch.tensor([length, 1, 1], dtype=torch.float64)
        x = QPLayer()(share * P, q, lb=zero, ub=ub)
        right = [length, min(0.2 / share, 1.0), 0.0]
        torch.testing.assert_close(x, torch.tensor(right, dtype=torch.float64))


@pytest.mark.parametrize("mask", [1e9, 1e20])
def test_what_cannot_be_avoided_is_paid(mask):
    """All but one of the variables are masked, and two are needed: the cheaper one is taken."""
    q = leaf(mask, count=N - 1).detach()
    q[-1] *= 0.5
    given = {**simplex(), "b": torch.tensor([2.0], dtype=torch.float64)}
    x = LPLayer()(q, **given, ub=torch.ones(N, dtype=torch.float64))
    right = torch.tensor([1.0, 0, 0, 0, 0, 1], dtype=torch.float64)
    torch.testing.assert_close(x, right, atol=1e-9, rtol=0)


@pytest.mark.parametrize("engine", ["daqp", "highs"])
def test_company_changes_nothing(engine):
    """Masked, forced and plain elements, together and alone, forward and backward."""
    rng = np.random.default_rng(3)
    q = torch.tensor(rng.normal(size=(5, N)))
    q[1, 3:], q[2, :], q[3, 1:] = 1e9, 1e12 * (1 + torch.rand(N)), 1e30
    layer = LPLayer(engine=engine)
    together = q.clone().requires_grad_()
    x = layer(together, **simplex())
    (x @ WEIGHTS).sum().backward()
    for row in range(5):
        alone = q[row].clone().requires_grad_()
        one = LPLayer(engine=engine)(alone, **simplex())
        (one @ WEIGHTS).backward()
        assert torch.equal(one, x[row])
        assert torch.equal(alone.grad, together.grad[row])


@pytest.mark.parametrize("kind", ["softmax", "norm"])
def test_a_lost_workspace_starts_where_the_kept_one_does(kind, monkeypatch):
    """From the multipliers of the eased program, or the last digits would be others."""
    pull, gradients = SolutionMap.pullback, []
    for lost in (False, True):
        if lost:
            monkeypatch.setattr(
                SolutionMap,
                "pullback",
                lambda self, forward, *rest: pull(self, replace(forward, workspace=None), *rest),
            )
        x, q = cp.Variable(N), cp.Parameter(N)
        cost, constraints = PROGRAMS[kind](x, q)
        problem = cp.Problem(cp.Minimize(cost), constraints)
        layer = CvxpyLayer(problem, [q], [x], rule=lpgd.LPGD(tau=0.1))
        costs = leaf(1e9)
        (layer(costs)[0] @ WEIGHTS).backward()
        gradients.append(costs.grad)
    torch.testing.assert_close(*gradients, atol=1e-11, rtol=0)


@pytest.mark.parametrize("rule", RULES)
def test_the_multiplier_of_a_masked_row_follows_its_entry(rule):
    """g x_1 <= 0 with g = -2 and x_2 = 1: the multiplier is -(m + x_1) / g, its slope m / g^2."""
    q = torch.tensor([1e9, -1.0], dtype=torch.float64, requires_grad=True)
    G = torch.tensor([[-2.0, 0.0]], dtype=torch.float64, requires_grad=True)
    h = torch.zeros(1, dtype=torch.float64)
    out = QPLayer(rule=RULES[rule])(torch.eye(2).double(), q, G, h, return_duals=True)
    out.z.sum().backward()
    torch.testing.assert_close(out.z.detach(), torch.tensor([5e8]).double())
    torch.testing.assert_close(G.grad, torch.tensor([[2.5e8, 0.25]]).double())
    torch.testing.assert_close(q.grad, torch.tensor([0.5, 0.0]).double())


def test_cone_programs_with_masks_and_constraints_that_stand_for_none():
    A = torch.cat([-torch.eye(3), torch.eye(3), torch.ones(1, 3), -torch.eye(3)]).double()
    b = torch.tensor([0.0, 0, 0, 1e20, 1e20, 1e20, 1, 0, 0, 0], dtype=torch.float64)
    c = torch.tensor([1e12, -1.0, -2.0], dtype=torch.float64, requires_grad=True)
    layer = ConicLayer(lpgd.Cones(nonneg=6, soc=(4,)))
    x = layer(torch.eye(3, dtype=torch.float64), c, A, b)
    plain = torch.tensor([10.0, -1.0, -2.0], dtype=torch.float64, requires_grad=True)
    right = ConicLayer(lpgd.Cones(nonneg=3, soc=(4,)))(
        torch.eye(3, dtype=torch.float64), plain, torch.cat([A[:3], A[6:]]),
        torch.cat([b[:3], b[6:]]),
    )  # fmt: skip
    torch.testing.assert_close(x, right, atol=1e-8, rtol=0)
    (x @ WEIGHTS[:3]).backward()
    (right @ WEIGHTS[:3]).backward()
    torch.testing.assert_close(c.grad, plain.grad, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("engine", ["auto", "moreau", "clarabel", "scs", "daqp", "piqp"])
@pytest.mark.parametrize("far", [np.inf, 1e-4, 1.0, 1e4])
@pytest.mark.parametrize("seed", range(4))
def test_where_masks_leave_zero_its_rounding_is_no_size(engine, far, seed):
    """Bounds of zero hold what has costs, and nothing else does: x = 0 to any rounding."""
    rng = np.random.default_rng(seed)
    n, held = int(rng.integers(3, 25)), int(rng.integers(1, 3))
    M, q, bounds = rng.normal(size=(n, n)), np.zeros(n), -far * rng.uniform(0.5, 2, n)
    bounds[:held], q[:held] = 0.0, rng.uniform(0.3, 2, held)
    q[0] = 10.0 ** rng.uniform(3, 12)
    P, q, lb = (torch.tensor(v) for v in (M @ M.T / n + np.eye(n), q, bounds))
    if engine in ("daqp", "piqp"):
        x = QPLayer(engine=engine)(P=P, q=q, lb=lb)
    else:
        there = torch.isfinite(lb)
        layer = ConicLayer(lpgd.Cones(nonneg=int(there.sum())), engine=engine)
        x = layer(P=P, q=q, A=-torch.eye(n, dtype=torch.float64)[there], b=-lb[there])
    assert x.abs().max() < 1e-4 * min(far, 1.0)
