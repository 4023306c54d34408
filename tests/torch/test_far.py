"""Constraints that stand for none: beside x <= 1e20 nothing else may be rounding."""

import cvxpy as cp
import numpy as np
import pytest
import torch

import lpgd
from lpgd.torch import CvxpyLayer, LPLayer, QPLayer

N = 4
ROWS = np.random.default_rng(1).normal(size=(2, N))
OBJECTIVES = {
    "norm": lambda x, p: (cp.norm(x - p) + cp.sum_squares(x), []),
    "huber": lambda x, p: (cp.sum(cp.huber(x - p)), []),
    "entropy": lambda x, p: (-cp.sum(cp.entr(x)) - p @ x, [cp.sum(x) == 1]),
    "log_sum_exp": lambda x, p: (cp.log_sum_exp(x) + cp.sum_squares(x - p), []),
    "ball": lambda x, p: (cp.sum_squares(x - p), [cp.norm(x) <= 0.5]),
}
FAR = {
    "above": lambda x, far: [x <= far],
    "below": lambda x, far: [x >= -far],
    "norm": lambda x, far: [cp.norm(x) <= far],
    "rows": lambda x, far: [ROWS @ x <= far],
    "exp": lambda x, far: [cp.exp(x) <= far],
    "shares": lambda x, far: [x / far <= 1],
    "norm of shares": lambda x, far: [cp.norm(x / far) <= 1],
    "matrix": lambda x, far: [cp.diag(x) << far * np.eye(N)],
}
RULES = [lpgd.LPGD(), lpgd.Exact()]


def derived(objective, rule, constraints=lambda x: [], **options):
    """The solution, and the gradient of a loss on it."""
    x, p = cp.Variable(N), cp.Parameter(N)
    cost, own = OBJECTIVES[objective](x, p)
    problem = cp.Problem(cp.Minimize(cost), [*own, *constraints(x)])
    layer = CvxpyLayer(problem, [p], [x], rule=rule, **options)
    leaf = torch.tensor(np.random.default_rng(0).normal(size=N), requires_grad=True)
    (found,) = layer(leaf)
    (found * torch.arange(1.0, N + 1)).sum().backward()
    assert not layer.stats.unverified
    return found.detach().numpy(), leaf.grad.numpy()


@pytest.mark.parametrize("far", [1e6, 1e10, 1e20])
@pytest.mark.parametrize("rule", RULES, ids=["default", "exact"])
@pytest.mark.parametrize("kind", FAR)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_cone_programs(objective, kind, rule, far):
    x, gradient = derived(objective, rule)
    found = derived(objective, rule, lambda x: FAR[kind](x, far))
    np.testing.assert_allclose(found[0], x, atol=1e-7)
    np.testing.assert_allclose(found[1], gradient, atol=1e-5 * np.abs(gradient).max())


@pytest.mark.parametrize("solver", ["CLARABEL", "SCS"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_solver(objective, solver):
    x, gradient = derived(objective, RULES[0])
    found = derived(objective, RULES[0], lambda x: [x <= 1e20], solver=solver)
    np.testing.assert_allclose(found[0], x, atol=1e-7)
    np.testing.assert_allclose(found[1], gradient, atol=1e-5 * np.abs(gradient).max())


@pytest.mark.parametrize("far", [1e6, 1e12])
def test_constraints_that_matter_after_all_are_met(far):
    """Costs without curvature and nothing else: x goes as far as it may."""
    x, p = cp.Variable(2), cp.Parameter(2)
    problem = cp.Problem(cp.Maximize(p @ x), [cp.norm(x) <= far, x[0] <= 1])
    layer = CvxpyLayer(problem, [p], [x])
    (found,) = layer(torch.tensor([1.0, 2.0], dtype=torch.float64))
    np.testing.assert_allclose(found, [1.0, np.sqrt(far**2 - 1)], rtol=1e-6, atol=1e-10 * far)


@pytest.mark.parametrize("far", [1e10, 1e20, 1e30])
@pytest.mark.parametrize("rule", RULES, ids=["default", "exact"])
def test_quadratic_programs(rule, far):
    rng = np.random.default_rng(0)
    data = {"P": np.eye(N), "q": rng.normal(size=N), "G": rng.normal(size=(2, N)), "h": -np.ones(2)}
    some = {"lb": np.full(N, -far), "ub": np.full(N, far)}
    answers = []
    for given in (data, {**data, **some}):
        leaves = {k: torch.tensor(v, requires_grad=k == "q") for k, v in given.items()}
        x = QPLayer(rule)(**leaves)
        x.sum().backward()
        answers.append((x.detach().numpy(), leaves["q"].grad.numpy()))
    np.testing.assert_allclose(answers[1], answers[0], atol=1e-9)


@pytest.mark.parametrize("engine", ["daqp", "highs"])
@pytest.mark.parametrize("far", [1e6, 1e10, 1e20])
def test_linear_programs_whose_solution_is_zero(far, engine):
    """All other rows pass through zero, so that nothing else has a length."""
    rng = np.random.default_rng(3)
    near = rng.normal(size=(N, N))
    G, h = np.concatenate([near, ROWS]), np.array([0.0] * N + [far] * 2)
    q = -near.T @ rng.uniform(0.5, 2, N)
    x = LPLayer(engine=engine)(torch.tensor(q), G=torch.tensor(G), h=torch.tensor(h))
    assert x.abs().max() < 1e-9


@pytest.mark.parametrize(
    "powers",
    [(-36, 45, 15), (30, -40, 20), (0, 60, 0), (-40, 0, 40), (0, 0, -60), (-300, -100, 50)],
)
@pytest.mark.parametrize("rule", RULES)
def test_log_utility_in_any_units(rule, powers):
    """x = w b / (a sum(w)) has its own unit, which the constants of logarithms do not follow."""
    x, w, a = cp.Variable(3), cp.Parameter(3, nonneg=True), cp.Parameter(3, nonneg=True)
    b = cp.Parameter(nonneg=True)
    unit = 2.0 ** (powers[2] - powers[1])
    problem = cp.Problem(cp.Maximize(w @ cp.log(x)), [a @ x <= b, x <= 1e30 * unit])
    layer = CvxpyLayer(problem, [w, a, b], [x], rule=rule)
    fair = [np.array([[1.2, 0.4, 0.9]]), np.array([[0.5, 1.4, 0.8]]), np.array([1.5])]
    pull = torch.tensor([[0.3, -1.2, 0.7]], dtype=torch.float64)
    scaled = map(np.ldexp, fair, powers)
    given = [torch.tensor(part, requires_grad=True) for part in scaled]
    (found,) = layer(*given)
    ours = torch.autograd.grad((found / unit * pull).sum(), given)
    W, A, B = (torch.tensor(part, requires_grad=True) for part in fair)
    right = W * B[:, None] / (A * W.sum())
    expected = torch.autograd.grad((right * pull).sum(), [W, A, B])
    torch.testing.assert_close(found / unit, right, rtol=1e-9, atol=1e-9)
    for gradient, other, power in zip(ours, expected, powers, strict=True):
        np.testing.assert_allclose(np.ldexp(gradient.numpy(), power), other, rtol=1e-7, atol=1e-7)
    assert layer.stats.unverified == 0


SMOOTH = {  # with the solution, of costs c
    "exp": (lambda x, c: cp.sum(cp.exp(x)) - c @ x, torch.log),
    "log": (lambda x, c: c @ x - cp.sum(cp.log(x)), torch.reciprocal),
    "entr": (lambda x, c: c @ x - cp.sum(cp.entr(x)), lambda c: torch.exp(-1 - c)),
}


@pytest.mark.parametrize("far", [(1e11, None, None), (1e30, 1e20, 1e30), (None, 1e30, 1e16)])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", SMOOTH)
def test_constants_of_exponential_cones_may_be_all_that_is_near(name, rule, far):
    x, c = cp.Variable(2), cp.Parameter(2)
    cost, right = SMOOTH[name]
    rows = [cp.norm(x) <= far[1]] if far[1] else []
    rows += ([x <= far[0]] if far[0] else []) + ([cp.sum(x) <= far[2]] if far[2] else [])
    layer = CvxpyLayer(cp.Problem(cp.Minimize(cost(x, c)), rows), [c], [x], rule=rule)
    leaf = torch.tensor([1.3, 1.7], dtype=torch.float64, requires_grad=True)
    (found,), expected = layer(leaf), right(leaf)
    pull = torch.tensor([1.0, -0.4], dtype=torch.float64)
    gradients = [torch.autograd.grad((part * pull).sum(), leaf)[0] for part in (found, expected)]
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-6)
    assert layer.stats.unverified == 0
