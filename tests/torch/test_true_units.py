"""Programs whose unit the costs alone tell, or a cone of factors far apart, and closed forms."""

import cvxpy as cp
import numpy as np
import pytest
import torch

import lpgd
from lpgd.torch import CvxpyLayer

RULES = [lpgd.LPGD(), lpgd.Exact()]
UNITS = [1e-7, 1e-4, 1.0, 1e7]


def derived(problem, parameter, variable, value, rule, **options):
    """Solution, and gradient of its sum relative to its size."""
    layer = CvxpyLayer(problem, [parameter], [variable], rule=rule, **options)
    leaf = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    (found,) = layer(leaf)
    (found.sum() / found.detach().abs().max()).backward()
    return found.detach().numpy(), leaf.grad.numpy(), layer.stats


def alike(found, expected, rtol):
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * np.abs(expected).max())


PRICED = {
    "log": (lambda x: cp.sum(cp.log(x)), -1.0),
    "sqrt": (lambda x: 2 * cp.sum(cp.sqrt(x)), -2.0),
    "inv_pos": (lambda x: -cp.sum(cp.inv_pos(x)), -0.5),
}


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize(("utility", "power"), PRICED.values(), ids=PRICED)
def test_utilities_against_prices_in_any_unit(utility, power, unit, rule):
    """u'(x) = c: x = c^power, of which nothing but c tells the unit."""
    x, c = cp.Variable(3), cp.Parameter(3)
    prices = unit * np.array([0.5, 1.0, 2.0])
    problem = cp.Problem(cp.Maximize(utility(x) - c @ x))
    found, gradient, stats = derived(problem, c, x, prices, rule)
    expected = prices**power
    alike(found, expected, 1e-8)
    alike(gradient, power * prices ** (power - 1) / expected.max(), 1e-6)
    assert stats.unverified == 0


@pytest.mark.parametrize("mask", [1e4, 1e6, 1e9, 1e12, 1e15, 1e20])
def test_costs_that_mask_entries_do_not_hide_the_others(mask):
    """Softmax as an entropy program: solved, or refused, but never another answer."""
    x, c = cp.Variable(4), cp.Parameter(4)
    problem = cp.Problem(cp.Maximize(c @ x + cp.sum(cp.entr(x))), [cp.sum(x) == 1])
    scores = np.array([0.6, 0.1, -mask, 0.3 - mask])
    due = np.exp(scores - 0.6)
    try:
        found, _, stats = derived(problem, c, x, scores, lpgd.LPGD())
    except lpgd.SolverError:
        assert mask > 1e6
    else:
        alike(found, due / due.sum(), 1e-6)
        assert stats.unverified == 0


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("unit", [2.0**-36, 1e-4, 1.0, 1e6])
def test_costs_that_vanish_at_the_solution_size_no_tilt(unit, rule):
    """x = p, next to constraints that are slack: a tilt by other sizes would meet them."""
    x, p = cp.Variable(3), cp.Parameter(3)
    value = unit * np.array([-1.76450945, 1.34083881, 1.905798974])
    row = np.array([0.957651767, 0.374901613, -0.418879681])
    bound = 0.542534263 * unit
    problem = cp.Problem(
        cp.Minimize(cp.sum_squares(x - p)), [row @ x + 0.798926184 * cp.norm(x) <= bound]
    )
    found, gradient, stats = derived(problem, p, x, value, rule)
    alike(found, value, 1e-8)
    alike(gradient, np.ones(3) / np.abs(value).max(), 1e-8)
    assert stats.unverified == 0


# By products of pairs of factors, or by one cone.
POWERS = [*((p, True) for p in (1.5, 0.25, -0.5, 3.0)), *((p, False) for p in (2.3, 0.3, -0.7))]


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("unit", [1e-8, 1e-3, 1e4, 1e8])
@pytest.mark.parametrize(("power", "approx"), POWERS)
def test_powers_against_prices_in_any_unit(power, approx, unit, rule):
    """|p| x^(p - 1) = c: multipliers of x y >= z^2 drown in the sum of the factors."""
    x, c = cp.Variable(3), cp.Parameter(3)
    prices = unit * np.array([0.5, 1.0, 2.0])
    powers = cp.sum(cp.power(x, power, approx=approx))
    gain = powers - c @ x if 0 < power < 1 else np.sign(power - 1) * (c @ x) - powers
    problem = cp.Problem(cp.Maximize(gain))
    found, gradient, stats = derived(problem, c, x, prices, rule)
    rate = 1 / (power - 1)
    expected = (prices / abs(power)) ** rate
    alike(found, expected, 1e-8)
    alike(gradient, rate * expected / prices / expected.max(), 1e-6)
    assert stats.unverified == 0


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("unit", UNITS)
def test_precisions_of_covariances_in_any_unit(unit, rule):
    """X = S^-1, dX = -X dS X."""
    X, S = cp.Variable((3, 3), PSD=True), cp.Parameter((3, 3), symmetric=True)
    covariance = unit * (np.eye(3) + 0.3)
    problem = cp.Problem(cp.Maximize(cp.log_det(X) - cp.trace(S @ X)))
    found, gradient, _ = derived(problem, S, X, covariance, rule)
    expected = np.linalg.inv(covariance)
    alike(found, expected, 1e-8)
    alike(gradient, -expected @ np.ones((3, 3)) @ expected / expected.max(), 1e-6)


@pytest.mark.parametrize("unit", [1e-6, 1e-3, 1e3])
def test_weights_of_a_matrix_fraction_do_not_know_its_unit(unit):
    """c'(sum of w_i e_i e_i')^-1 c = sum of c_i^2 / w_i, w on the simplex: w = |c| / sum(|c|)."""
    w, c = cp.Variable(2), cp.Parameter(2)
    problem = cp.Problem(cp.Minimize(cp.matrix_frac(c, cp.diag(w))), [cp.sum(w) == 1])
    value = unit * np.array([1.0, 3.0])
    layer = CvxpyLayer(problem, [c], [w])
    leaf = torch.tensor(value, requires_grad=True)
    (found,) = layer(leaf)
    found[0].backward()
    alike(found.detach().numpy(), [0.25, 0.75], 1e-8)
    alike(leaf.grad.numpy() * unit, [3 / 16, -1 / 16], 1e-6)


@pytest.mark.parametrize("unit", [1e-6, 1e-3, 1e6])
def test_shares_of_a_budget_among_reciprocals(unit):
    """Smallest sum of w_i / x_i with sum(x) <= b: x = b sqrt(w) / sum(sqrt(w))."""
    x, b = cp.Variable(3), cp.Parameter()
    w = np.array([1.0, 4.0, 9.0])
    problem = cp.Problem(cp.Minimize(unit * (w @ cp.inv_pos(x))), [cp.sum(x) <= b])
    found, gradient, _ = derived(problem, b, x, unit, lpgd.LPGD())
    alike(found, unit * np.array([1.0, 2.0, 3.0]) / 6, 1e-8)
    alike(gradient, 2 / unit, 1e-6)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_what_is_fitted_exactly_by_variables_that_are_not_unique(rule):
    """y = b at the tip of a cone; its multipliers are zero, and move with the loss."""
    A = np.array([[1.0, 2.0, -1.0], [0.5, -1.0, 3.0]])
    x, y, b = cp.Variable(3), cp.Variable(2), cp.Parameter(2)
    problem = cp.Problem(cp.Minimize(cp.norm(y - b)), [y == A @ x, cp.norm(x) <= 100])
    _, gradient, _ = derived(problem, b, y, [1.0, -0.5], rule)
    alike(gradient, np.ones(2), 1e-8)


def test_gradients_do_not_know_the_units_of_their_neighbours():
    """Some of these have units of their own in a product of factors, and some have not."""
    x, c = cp.Variable(2), cp.Parameter(2)
    problem = cp.Problem(cp.Minimize(cp.sum(cp.power(x, 3)) - c @ x), [x >= 0])
    values = np.array([[1.9, 0.37], [9.6e8, 2.1e9], [1.2e5, 5.6e4], [3e-25, 6.2e-25]])
    layer = CvxpyLayer(problem, [c], [x], rule=lpgd.Exact(), on_failure="nan", solver="SCS")

    def pulled(rows):
        leaf = torch.tensor(rows, requires_grad=True)
        (layer(leaf)[0] * torch.tensor([1.6, -0.33])).sum().backward()
        return leaf.grad.numpy()

    together = pulled(values)
    for row, value in enumerate(values):
        np.testing.assert_array_equal(pulled(value[None])[0], together[row])


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize(("costs", "sizes"), [(600, -400), (700, -530), (-530, 400)])
def test_cotangents_of_far_units_neither_vanish_nor_overflow(costs, sizes, rule):
    """Least c'x in a ball: cotangents of x are as far from 1 as x is, the other way."""
    rng, n = np.random.default_rng(0), 4
    x, c, p, r = cp.Variable(n), cp.Parameter(n), cp.Parameter(n), cp.Parameter(nonneg=True)
    layer = CvxpyLayer(cp.Problem(cp.Minimize(c @ x), [cp.norm(x - p) <= r]), [c, p, r], [x],
                       rule=rule)  # fmt: skip
    data, pull = (rng.normal(size=n), rng.normal(size=n), np.array(1.0)), rng.normal(size=n)

    def pulled(costs, sizes):
        powers = (costs, sizes, sizes)
        leaves = [
            torch.tensor(np.ldexp(v, k), requires_grad=True)
            for v, k in zip(data, powers, strict=True)
        ]
        (found,) = layer(*leaves)
        found.backward(torch.tensor(np.ldexp(pull, -sizes)))
        return [np.ldexp(leaf.grad.numpy(), k) for leaf, k in zip(leaves, powers, strict=True)]

    for found, expected in zip(pulled(costs, sizes), pulled(0, 0), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
