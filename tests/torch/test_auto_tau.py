"""The default rule, nothing tuned: learning where derivatives vanish, derivatives where they exist.

Small versions of benchmarks/auto_tau.py.
"""

import cvxpy as cp
import numpy as np
import pytest
import torch

import lpgd
from lpgd.torch import ConicLayer, CvxpyLayer, LPLayer, QPLayer


def double(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def lp_portfolio(n):
    ones, one = torch.ones(1, n, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    layer = LPLayer()
    return lambda r: layer(-r, A=ones, b=one, lb=torch.zeros(n, dtype=torch.float64))


def cvxpy_portfolio(n):
    r, w = cp.Parameter(n), cp.Variable(n)
    problem = cp.Problem(cp.Maximize(r @ w), [cp.sum(w) == 1, w >= 0])
    layer = CvxpyLayer(problem, parameters=[r], variables=[w])
    return lambda value: layer(value)[0]


def cone_portfolio(n):
    """The same on an interior-point method, which answers to a tolerance."""
    A = torch.cat([torch.ones(1, n), -torch.eye(n)]).double()
    b = torch.cat([torch.ones(1), torch.zeros(n)]).double()
    layer = ConicLayer(lpgd.Cones(zero=1, nonneg=n), engine="moreau")
    return lambda r: layer(None, -r, A, b)


@pytest.mark.parametrize("make", [lp_portfolio, cvxpy_portfolio, cone_portfolio])
@pytest.mark.parametrize("scale, shift", [(1.0, 0.0), (0.05, 0.0), (0.05, 1.0)])
def test_gradient_descent_finds_the_best_asset_and_keeps_it(make, scale, shift):
    solve, c = make(6), shift + scale * double(6, seed=1)
    r = (shift + scale * double(6, seed=2)).requires_grad_()
    held = []
    for _ in range(110):
        w = solve(r)
        held.append(bool(w.argmax() == c.argmax()))
        (gradient,) = torch.autograd.grad(-(c * w).sum(), r)
        with torch.no_grad():
            r -= gradient
    assert not held[0]
    assert all(held[100:])


def test_equal_returns_are_a_start_as_good_as_any():
    solve, c = lp_portfolio(5), double(5, seed=3)
    r = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    for _ in range(20):
        (gradient,) = torch.autograd.grad(-(c * solve(r)).sum(), r)
        with torch.no_grad():
            r -= gradient
    assert solve(r).argmax() == c.argmax()


def test_an_earth_mover_layer_learns():
    """Transport between 6 points each way: which goes to which is learned from features."""
    size, batch, width = 6, 8, 4
    left, mix = double(batch, size, width), double(width, width, seed=1)
    draw = torch.Generator().manual_seed(2)
    order = torch.stack([torch.randperm(size, generator=draw) for _ in range(batch)])
    right = torch.gather(left, 1, order[..., None].expand(-1, -1, width)) @ mix
    plan = torch.zeros(batch, size, size, dtype=torch.float64)
    plan[torch.arange(batch)[:, None], order, torch.arange(size)] = 1 / size
    eye, ones = torch.eye(size).double(), torch.ones(1, size).double()
    A = torch.cat([torch.kron(eye, ones), torch.kron(ones, eye)])
    b, lb = torch.full((2 * size,), 1 / size).double(), torch.zeros(size**2).double()
    torch.manual_seed(0)
    model, layer = torch.nn.Linear(width, width, dtype=torch.float64), LPLayer()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-2)
    losses = []
    for _ in range(21):
        costs = torch.cdist(model(left), right).square().flatten(1)
        loss = (layer(costs, A=A, b=b, lb=lb).unflatten(1, (size, size)) - plan).square().mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert min(losses) <= 0.5 * losses[0]
    assert layer.stats.degenerate > 0.5


def error(function, at, step=1e-5):
    """Largest error of directional derivatives, relative to the largest of them."""
    at = at.clone().requires_grad_()
    (slope,) = torch.autograd.grad(function(at), at)
    ways = [double(*at.shape, seed=k) for k in range(4)]
    h = step * at.detach().abs().max()
    with torch.no_grad():
        changes = [(function(at + h * w) - function(at - h * w)) / (2 * h) for w in ways]
    pulled = [(slope * w).sum() for w in ways]
    gaps = [abs(p - c) for p, c in zip(pulled, changes, strict=True)]
    return (max(gaps) / max(abs(c) for c in changes)).item()


def box_and_ball(scale):
    n = 100
    q, x = cp.Parameter(n), cp.Variable(n)
    root = 0.3 * np.random.default_rng(1).normal(size=(n, n)) / n**0.5
    objective = 0.5 * cp.sum_squares(x) + cp.sum_squares(root @ x) + q @ x
    constraints = [cp.abs(x) <= 0.25 * scale, cp.norm(x) <= 1.5 * scale]
    layer = CvxpyLayer(cp.Problem(cp.Minimize(objective), constraints), [q], [x])
    weight = double(n, seed=1)
    return lambda value: (layer(value)[0] * weight).mean(), scale * 2 * double(n)


def regression(scale, penalty, strength):
    X, Xv = double(2, 40, 15)
    true = 2 * double(15, seed=1) * (torch.arange(15) < 4)
    y = scale * (X @ true + double(40, seed=2))
    beta, weight = cp.Variable(15), cp.Parameter(nonneg=True)
    objective = 0.5 * cp.sum_squares(X.numpy() @ beta - y.numpy()) + weight * penalty(beta)
    layer = CvxpyLayer(cp.Problem(cp.Minimize(objective)), [weight], [beta])

    def function(value):
        return (Xv @ (layer(value)[0] / scale - true)).square().mean()

    return function, torch.tensor(strength, dtype=torch.float64)


def logistic(scale):
    X, target = double(20, 5), double(5, seed=1)
    labels = torch.sign(X @ double(5, seed=2) + double(20, seed=3))
    beta, strength = cp.Variable(5), cp.Parameter(nonneg=True)
    losses = cp.logistic(cp.multiply(-labels.numpy(), scale * X.numpy() @ beta))
    objective = cp.Minimize(cp.sum(losses) + strength * cp.norm1(beta))
    layer = CvxpyLayer(cp.Problem(objective), [strength], [beta])
    at = torch.tensor(scale, dtype=torch.float64)
    return lambda value: (scale * layer(value)[0] - target).square().mean(), at


def duals(scale):
    P, G = torch.eye(8).double(), double(6, 8)
    h, weight = 0.3 * scale * double(6, seed=3).abs(), double(16, 6, seed=1)
    layer = QPLayer()
    at = scale * double(16, 8, seed=2)
    return lambda q: (layer(P, q, G, h, return_duals=True).z * weight).mean(), at


def prices(scale):
    A, weight = double(4, 12), double(16, 4, seed=1)
    data = {
        "A": A,
        "b": A.sum(1) / 2,
        "lb": torch.zeros(12).double(),
        "ub": torch.ones(12).double(),
    }
    layer, at = LPLayer(), scale * double(16, 12, seed=2)
    return lambda c: (layer(c, **data, return_duals=True).y * weight).mean(), at


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e3])
@pytest.mark.parametrize(
    "case",
    [
        box_and_ball,
        lambda s: regression(s, cp.norm1, 5 * s),
        lambda s: regression(s, cp.sum_squares, 5.0),
        logistic,
        duals,
        prices,
    ],
    ids=["box and ball", "lasso", "ridge", "logistic", "duals", "prices"],
)
def test_derivatives_that_exist(case, scale):
    function, at = case(scale)
    # no Newton's method refines the solutions of these two: differences of small steps are noise
    step = 1e-3 if case in (box_and_ball, logistic) else 1e-5
    assert error(function, at, step) < 1e-3


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e3])
def test_softmax_as_an_entropy_program(scale):
    theta, x = cp.Parameter(8), cp.Variable(8)
    objective = cp.Maximize(theta @ x + scale * cp.sum(cp.entr(x)))
    layer = CvxpyLayer(cp.Problem(objective, [cp.sum(x) == 1]), [theta], [x])
    weight, pulled = double(8, seed=1), []
    for function in (lambda v: layer(v)[0], lambda v: torch.softmax(v / scale, 0)):
        at = (scale * double(8)).requires_grad_()
        found = function(at)
        (found * weight).sum().backward()
        pulled.append((found.detach(), at.grad))
    torch.testing.assert_close(pulled[0][0], pulled[1][0], rtol=0, atol=1e-7)
    gap = (pulled[0][1] - pulled[1][1]).abs().max() / pulled[1][1].abs().max()
    assert gap < 1e-3


def test_the_default_rule_and_its_report():
    for layer in (QPLayer(), LPLayer(), ConicLayer(lpgd.Cones(nonneg=1))):
        assert layer.rule == lpgd.LPGD(tau="auto", rho=0.0, side="average")
    layer = LPLayer()
    c = torch.tensor([[1.0, 2.0], [-1.0, 3.0]], requires_grad=True)
    layer(c, lb=torch.zeros(2), ub=torch.ones(2)).square().sum().backward()
    assert layer.stats.degenerate == 1.0
    low, high = layer.stats.tau
    assert 0 < low <= high


def test_a_strictly_convex_program_at_a_kink_keeps_its_derivative():
    """x stays at the kink of |x|, an epigraph's vertex; it is no LP for that."""
    x, q, kink = cp.Variable(3), cp.Parameter(3), cp.Parameter(3)
    size = cp.norm(cp.hstack([x[0] + 2, 1]))  # a curved cone
    objective = 0.1 * cp.sum_squares(x) + q @ x + size + 5 * cp.norm1(x - kink)
    layer = CvxpyLayer(cp.Problem(cp.Minimize(objective)), [q, kink], [x])
    at = double(3).requires_grad_(), double(3, seed=1).requires_grad_()
    (found,) = layer(*at)
    (found * double(3, seed=2)).sum().backward()
    torch.testing.assert_close(found.detach(), at[1].detach(), atol=1e-8, rtol=0)
    torch.testing.assert_close(at[0].grad, torch.zeros(3).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(at[1].grad, double(3, seed=2), atol=1e-6, rtol=1e-6)
    assert layer.stats.degenerate == 0


@pytest.mark.parametrize("engine", ["moreau", "clarabel", "scs"])
def test_tilts_stand_out_of_answers_that_are_asked_for_coarsely(engine):
    n = 20
    x, w = cp.Variable(n), cp.Parameter(n)
    root, value, c = double(n, n).numpy() / n, double(n, seed=1), double(n, seed=2)
    curve = cp.quad_form(x, cp.psd_wrap(root @ root.T + np.eye(n)))
    problem = cp.Problem(cp.Minimize(curve + w @ x), [cp.norm(x) <= 1])

    def gradient(**options):
        layer = CvxpyLayer(problem, [w], [x], solver=engine, **options)
        at = value.clone().requires_grad_()
        return torch.autograd.grad(c @ layer(at)[0], at)[0], layer.stats

    exact, _ = gradient(rule=lpgd.Exact())
    found, stats = gradient(solver_args={"eps": 1e-3, "polish": False})
    assert stats.degenerate == 0
    assert torch.norm(found - exact) <= 0.15 * torch.norm(exact)
