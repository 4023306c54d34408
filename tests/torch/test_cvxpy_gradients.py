"""CvxpyLayer's gradients of every parameter against differences of the layer itself."""

import cvxpy as cp
import numpy as np
import pytest
import torch

import lpgd
from lpgd.torch import CvxpyLayer
from tests.cvxpy_programs import LINEAR, MAKERS, loss, make
from tests.torch.test_cvxpy import layer_of

SMOOTH = lpgd.LPGD(tau=5e-4)


def differences(layer, values, k, step):
    """Five-point differences of the loss in every entry of the k-th parameter."""

    def at(entry, distance):
        moved = values[k].clone()
        moved[entry] += distance
        with torch.no_grad():
            return loss(layer(*[moved if i == k else value for i, value in enumerate(values)]))

    gradient = torch.zeros_like(values[k])
    for entry in np.ndindex(*gradient.shape):
        near = at(entry, step) - at(entry, -step)
        gradient[entry] = (8 * near - at(entry, 2 * step) + at(entry, -2 * step)) / (12 * step)
    return gradient


def agree(layer, case, tolerance, step=1e-3):
    values = doubles(case)
    leaves = [value.clone().requires_grad_() for value in values]
    loss(layer(*leaves)).backward()
    for k, leaf in enumerate(leaves):
        want = differences(layer, values, k, step)
        assert float((leaf.grad - want).norm()) <= tolerance * float(want.norm())


def doubles(case):
    return [torch.tensor(value, dtype=torch.float64) for value in case.values]


@pytest.mark.parametrize("rule", [lpgd.LPGD(), SMOOTH, lpgd.Exact()], ids=["auto", "tau", "Exact"])
@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_gradients_are_those_of_finite_differences(maker, rule):
    case = make(maker)
    agree(layer_of(case, rule=rule), case, 1e-4)


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_gradients_of_interior_points_are_as_good_as_their_solutions(maker):
    case = make(maker)
    layer = layer_of(case, "clarabel", rule=lpgd.LPGD(tau=3e-3), solver_args={"eps": 1e-12})
    agree(layer, case, 1e-4 if case.cones == LINEAR else 3e-3, step=3e-3)


@pytest.mark.parametrize("side", ["lower", "upper"])
@pytest.mark.parametrize("rho", [0.0, 0.5])
@pytest.mark.parametrize("maker", MAKERS[:4], ids=lambda maker: maker.__name__)
def test_engines_agree_on_every_side(maker, side, rho):
    case, rule = make(maker), lpgd.LPGD(tau=0.1, rho=rho, side=side)
    gradients = []
    for engine in ("daqp", "moreau"):
        leaves = [value.requires_grad_() for value in doubles(case)]
        layer = layer_of(case, engine, rule=rule)
        gradients.append(torch.autograd.grad(loss(layer(*leaves)), leaves))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rule", [lpgd.LPGD(), lpgd.Exact()])
@pytest.mark.parametrize("power", [-60, 17, 33, 53, 240])
def test_a_unit_of_some_variables_costs_no_digits(rule, power):
    """The bound on the norm is an auxiliary variable that keeps its size."""
    rng, x, c, F = np.random.default_rng(0), cp.Variable(3), cp.Parameter(3), cp.Parameter((3, 3))
    layer = CvxpyLayer(
        cp.Problem(cp.Minimize(c @ x), [cp.norm(F @ x) <= 1.3]), [c, F], [x], rule=rule
    )
    matrix, costs = rng.normal(size=(3, 3)) + 3 * np.eye(3), torch.tensor(rng.normal(size=3))
    found = []
    for unit in (1.0, 2.0**power):
        given = torch.tensor(unit * matrix, requires_grad=True)
        (unit * layer(costs, given)[0]).sum().backward()
        found.append(unit * given.grad)
    torch.testing.assert_close(found[1], found[0], rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("rule", [lpgd.LPGD(), lpgd.Exact()])
def test_softmax_as_saturated_as_can_be(rule):
    """Its last entries are rounding beside the first: they do not move."""
    x, v = cp.Variable(3), cp.Parameter(3)
    objective = cp.Maximize(v @ x + 0.5 * cp.sum(cp.entr(x)))
    layer = CvxpyLayer(cp.Problem(objective, [cp.sum(x) == 1]), [v], [x], rule=rule)
    gaps = torch.linspace(10, 24, 57, dtype=torch.float64)
    given = torch.stack([-0.8 * gaps, 0 * gaps, -gaps], dim=1).requires_grad_()
    for place in range(3):
        given.grad = None
        layer(given)[0][:, place].sum().backward()
        found, given.grad = given.grad, None
        torch.softmax(given / 0.5, dim=1)[:, place].sum().backward()
        torch.testing.assert_close(found, given.grad, rtol=1e-6, atol=1e-9)
