"""Gradients of programs on which small tilts are wrong in silence, and their closed forms."""

import warnings

import cvxpy as cp
import numpy as np
import pytest
import torch

import lpgd
from lpgd.torch import ConicLayer, CvxpyLayer, LPLayer

RULES = [lpgd.LPGD(), lpgd.Exact()]
SLACK = {
    "norm": lambda x: cp.norm(x) <= 10,
    "exp": lambda x: cp.exp(x) <= 99,
    "norm1": lambda x: cp.norm1(x) <= 50,
}


def slope(problem, parameter, variable, value, loss, rule, **options):
    layer = CvxpyLayer(problem, [parameter], [variable], rule=rule, **options)
    leaf = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    loss(layer(leaf)[0]).backward()
    return leaf.grad.numpy(), layer.stats


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("constraint", SLACK.values(), ids=SLACK)
def test_costs_that_vanish_beside_a_slack_cone(rule, constraint):
    """x* = p, dx/dp = I, though the costs are zero there; and nothing is degenerate."""
    x, p = cp.Variable(3), cp.Parameter(3)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - p)), [constraint(x)])
    found, stats = slope(problem, p, x, [1.0, 2.0, 3.0], torch.sum, rule)
    np.testing.assert_allclose(found, 1.0, rtol=1e-6)
    assert (stats.degenerate, stats.unverified) == (0, 0)


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("alpha", [1.0, 0.3, 0.2])
def test_a_saturated_softmax_is_no_vertex(rule, alpha):
    """x = softmax((1, b) / alpha) with b = -2."""
    x, b = cp.Variable(2), cp.Parameter()
    objective = cp.Maximize(x[0] + b * x[1] + alpha * cp.sum(cp.entr(x)))
    found, stats = slope(cp.Problem(objective, [cp.sum(x) == 1]), b, x, -2.0, lambda x: x[1], rule)
    share = 1 / (1 + np.exp(3 / alpha))
    np.testing.assert_allclose(found, share * (1 - share) / alpha, rtol=1e-4)
    assert stats.unverified == 0


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("budget", [1e-3, 1.0, 1e3])
def test_log_utility_in_any_unit(rule, budget):
    """x = budget w / sum w."""
    x, w = cp.Variable(2), cp.Parameter(2, nonneg=True)
    problem = cp.Problem(cp.Maximize(w @ cp.log(x)), [cp.sum(x) <= budget])
    found, _ = slope(problem, w, x, [1.0, 1.0], lambda x: x[0], rule)
    np.testing.assert_allclose(found, [budget / 4, -budget / 4], rtol=1e-5)


@pytest.mark.parametrize("engine", [None, "clarabel", "scs"])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_flat_objectives(rule, engine):
    """x_0 = 1/2 + (a_0 - a_1) / 4e-3 on the simplex."""
    x, a = cp.Variable(2), cp.Parameter(2)
    objective = cp.Maximize(a @ x - 1e-3 * cp.sum_squares(x))
    problem = cp.Problem(objective, [cp.sum(x) == 1, x >= 0, cp.norm(x) <= 1])
    found, _ = slope(problem, a, x, [1.0, 1.0002], lambda x: x[0], rule, solver=engine)
    np.testing.assert_allclose(found, [250, -250], rtol=1e-4)


@pytest.mark.parametrize("unit", [1e-6, 1e-3, 1.0, 1e3])
def test_constraints_of_an_lp_in_small_units(unit):
    """dx = G^-1 dh over the active rows, whatever the unit of h."""
    rng = np.random.default_rng(3)
    G, h = rng.normal(size=(6, 3)), unit * rng.uniform(0.5, 1.0, 6)
    active = [0, 2, 5]
    c = -G[active].T @ [0.3, 0.8, 0.4]
    point = np.linalg.solve(G[active], h[active])
    h = np.where(np.isin(np.arange(6), active), h, G @ point + unit)
    layer, leaf = LPLayer(), torch.tensor(h, requires_grad=True)
    layer(torch.tensor(c), torch.tensor(G), leaf)[0].backward()
    want = np.zeros(6)
    want[active] = np.linalg.inv(G[active])[0]
    np.testing.assert_allclose(leaf.grad.numpy(), want, atol=1e-8)


@pytest.mark.parametrize("seed", range(4))
def test_at_a_kink_the_gradient_lies_between_the_sides(seed):
    """No trade: turnover costs hold the position; a change of r moves it one way or not at all."""
    n, rng = 4, np.random.default_rng(seed)
    x, r = cp.Variable(n), cp.Parameter(n)
    held, loss = np.full(n, 1 / n), torch.tensor(rng.normal(size=n))
    objective = r @ x - cp.sum_squares(x) - 0.05 * cp.norm1(x - held)
    layer = CvxpyLayer(cp.Problem(cp.Maximize(objective), [cp.sum(x) == 1]), [r], [x])
    at = torch.zeros(n, dtype=torch.float64)
    at[0], at[1] = 0.05, -0.05  # where buying 0 for 1 just begins to pay
    leaf, way = at.clone().requires_grad_(), torch.tensor(rng.normal(size=n))
    (layer(leaf)[0] @ loss).backward()
    with torch.no_grad():
        here = layer(at)[0] @ loss
        sides = [(layer(at + h * way)[0] @ loss - here) / h for h in (1e-4, -1e-4)]
    lo, hi = min(sides).item(), max(sides).item()
    room = 1e-3 * (hi - lo) + 1e-6
    assert lo - room <= (leaf.grad @ way).item() <= hi + room
    assert layer.stats.degenerate == 1


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_slack_exponentials_of_any_size(rule, seed):
    """Their curvature, 1e9 times that of the costs, hides nothing: x* solves the equality QP."""
    n, rng = 5, np.random.default_rng(seed)
    L = np.linalg.cholesky(np.cov(rng.normal(size=(n, 3 * n))) + 0.1 * np.eye(n))
    x, q = cp.Variable(n), cp.Parameter(n)
    rows = [cp.norm(x) <= 50, cp.sum(cp.exp(x)) <= 1e6, cp.sum(x) == 1]
    problem = cp.Problem(cp.Minimize(cp.sum_squares(L.T @ x) + q @ x), rows)
    loss = torch.tensor(rng.normal(size=n))
    found, stats = slope(problem, q, x, 3 * rng.normal(size=n), lambda x: x @ loss, rule)
    K = np.block([[2 * L @ L.T, np.ones((n, 1))], [np.ones((1, n)), np.zeros((1, 1))]])
    want = -np.linalg.solve(K, [*loss.numpy(), 0.0])[:n]
    np.testing.assert_allclose(found, want, rtol=1e-7)
    assert stats.unverified == 0


def test_gradients_of_the_largest_cotangents_are_numbers_in_any_company():
    """Terms overflow whose difference does not; log utility on a budget: x = w b / (a sum(w))."""
    x, a = cp.Variable(3), cp.Parameter(3)
    w = np.array([0.6, 0.45, 0.54])
    layer = CvxpyLayer(cp.Problem(cp.Maximize(w @ cp.log(x)), [a @ x <= 1.4]), [a], [x])
    rows = torch.tensor([[0.6, 0.64, 0.41], [6e8, 6.4e8, 4.1e8]], dtype=torch.float64)
    pull = torch.tensor([[6e307, -7e307, 3e307], [1.0, 1.0, 1.0]], dtype=torch.float64)
    found = []
    for some in (slice(0, 1), slice(None)):
        leaf = rows[some].clone().requires_grad_()
        layer(leaf)[0].backward(pull[some])
        found.append(leaf.grad[0].numpy())
    np.testing.assert_array_equal(*found)
    expected = -w * 1.4 / (rows[0].numpy() ** 2 * w.sum())
    np.testing.assert_allclose(found[0] / 1e307, pull[0].numpy() / 1e307 * expected, rtol=1e-6)


def transported(C):
    """Entropic transport between uniform distributions, by Sinkhorn's iterations."""
    kernel, u = np.exp(-C), np.ones(len(C))
    for _ in range(500):
        v = 1 / len(C) / (kernel.T @ u)
        u = 1 / len(C) / (kernel @ v)
    return u[:, None] * kernel * v


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_equations_that_depend_on_each_other_ask_for_no_tilt(rule):
    """Rows and columns of a transport plan sum to the same, so that one equation is spare."""
    P, C = cp.Variable((3, 3)), cp.Parameter((3, 3))
    third = np.full(3, 1 / 3)
    rows = [cp.sum(P, axis=1) == third, cp.sum(P, axis=0) == third]
    problem = cp.Problem(cp.Minimize(cp.sum(cp.multiply(C, P)) - cp.sum(cp.entr(P))), rows)
    at, way = np.random.default_rng(0).normal(size=(2, 3, 3))
    found, stats = slope(problem, C, P, at, lambda plan: plan[2, 2], rule)
    ends = [transported(at + t * way)[2, 2] for t in (1e-4, -1e-4)]
    np.testing.assert_allclose((found * way).sum(), (ends[0] - ends[1]) / 2e-4, rtol=1e-6)
    assert (stats.re_solves, stats.degenerate, stats.unverified) == (0, 1, 0)


@pytest.mark.parametrize("seed", [15, 18])
def test_kinks_at_inaccurate_solutions_are_told(seed):
    """An idle position of w^1.5: its cone is at a tip that solvers do not find exactly."""
    draw, n = np.random.default_rng(seed), 4
    draw.normal(size=(n, n))
    values, pull = 0.3 * draw.normal(size=n), draw.normal(size=n)
    w, mu = cp.Variable(n), cp.Parameter(n)
    cost = 0.2 * cp.sum(cp.power(cp.abs(w), 1.5))
    problem = cp.Problem(cp.Maximize(mu @ w - cost), [cp.sum(w) == 1, cp.norm1(w) <= 1.5])
    found = {}
    for rule in (lpgd.LPGD(), lpgd.Exact()):
        layer = CvxpyLayer(problem, [mu], [w], rule=rule)
        leaf = torch.tensor(values, requires_grad=True)
        (layer(leaf)[0] @ torch.tensor(pull)).backward()
        found[rule] = leaf.grad.numpy()
        if rule == lpgd.LPGD():
            told = layer.stats.unverified
    near = np.allclose(*found.values(), rtol=1e-3, atol=1e-3 * np.abs(found[lpgd.Exact()]).max())
    assert near or told


def test_numbers_that_lose_digits_are_the_same_in_company():
    """Programs that are fair on the whole, and one that is not."""
    tiny = 1e-310
    q = [[-1.5992782846735896, -21.41630039268785], [2.276308150861439e-05, -7.7398314414049425]]
    fair = [
        [tiny, -1.4305002437652543], [-0.3045864858467556, tiny], [0.70959042689142, tiny],
        [tiny, tiny], [tiny, tiny], [-0.3483335230341814, tiny],
    ]  # fmt: skip
    other = [
        [-5.914983428668263, -3.4242172948966383], [-2.5690621170692984, 8.753517475221855],
        [-7.853728674917987, -5.001311262884527], [-0.004065182169563978, -0.003364988471720662],
        [-0.0018088197888605747, -0.001984148877205369],
        [0.009579381240575965, -0.0033753455497373777],
    ]  # fmt: skip
    b = [
        [15.919766380211211, 18.130605584558616, 92.94202563834618,
         -0.008613781811526241, 0.0018279480060978712, -0.0018971799209129918],
        [1.9033718933917017, -0.07361152338673524, 0.17149162793257133,
         -1.08888691842073e-310, -1.08888691842073e-310, -0.0841841725378298],
    ]  # fmt: skip
    data = [np.array(part) for part in (q, [other, fair], b)]
    loss = torch.tensor([0.1459964650555464, 2.7254605404705607], dtype=torch.float64)

    def gradients(rows):
        leaves = [torch.tensor(part[rows], requires_grad=True) for part in data]
        x = ConicLayer(lpgd.Cones(exp=2))(None, *leaves)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", lpgd.StuckWarning)
            (x * loss).sum().backward()
        return [leaf.grad[-1].numpy() for leaf in leaves]

    for alone, along in zip(gradients([1]), gradients([0, 1]), strict=True):
        np.testing.assert_array_equal(alone, along)


def test_multipliers_that_move_less_than_numbers_tell_take_a_step_of_their_own():
    """Log utility: x of 1e164 moves by 1e248, and the multiplier, 0 for 4e-341, by 3e-256."""
    w, a = (cp.Parameter(3, nonneg=True) for _ in range(2))
    b, x = cp.Parameter(nonneg=True), cp.Variable(3)
    layer = CvxpyLayer(cp.Problem(cp.Maximize(w @ cp.log(x)), [a @ x <= b]), [w, a, b], [x])
    shares, prices, loss = ([2.0, 0.8, 2.2], [1.1, 2.3, 2.2], [-0.8, 0.7, -0.5])
    weights, costs = (torch.tensor(v, dtype=torch.float64) for v in (shares, prices))
    budget = torch.tensor(1.2e255, dtype=torch.float64, requires_grad=True)
    (found,) = layer(1e-86 * weights, 1e91 * costs, budget)
    (found @ torch.tensor(loss, dtype=torch.float64) * 1e-165).backward()
    slope = (np.array(shares) / prices / 5.0 * loss).sum() * 1e-165 / 1e91
    np.testing.assert_allclose(budget.grad, slope, rtol=1e-9)
