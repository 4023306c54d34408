"""Promised: geometric programs, and quadratic forms whose matrix is a parameter."""

import cvxpy as cp
import numpy as np
import pytest
import torch

from tests.torch.promised import ACCURATE_GRADIENTS, CvxpyLayer, Model, tensor

MATRIX = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, -0.2], [0.0, -0.2, 3.0]])
COST = np.array([1.0, -1.0, 0.5])


def test_geometric_program_in_closed_form() -> None:
    """minimise x + y subject to xy >= p: both are the root of p, in units of p, not of its log."""
    x, y, p = cp.Variable(pos=True), cp.Variable(pos=True), cp.Parameter(pos=True)
    problem = cp.Problem(cp.Minimize(x + y), [x * y >= p])
    at = tensor([1.0, 4.0, 9.0])
    found = CvxpyLayer(problem, [p], [x, y], gp=True, **ACCURATE_GRADIENTS)(at)
    for root in found:
        torch.testing.assert_close(root, at.detach().sqrt(), rtol=1e-4, atol=1e-5)
    found[0].sum().backward()
    torch.testing.assert_close(at.grad, 0.5 / at.detach().sqrt(), rtol=1e-3, atol=1e-4)


def test_geometric_program_with_arrays() -> None:
    x, costs = cp.Variable(3, pos=True), cp.Parameter(3, pos=True)
    volume = cp.Parameter(pos=True)
    problem = cp.Problem(cp.Minimize(costs @ x), [cp.prod(x) >= volume])
    values = (tensor([[1.0, 2.0, 0.5], [1.0, 1.0, 8.0]]), tensor(8.0))
    (found,) = CvxpyLayer(problem, [costs, volume], [x], gp=True, **ACCURATE_GRADIENTS)(*values)
    at, amount = (value.detach() for value in values)
    expected = (amount * at.prod(-1, keepdim=True)) ** (1 / 3) / at
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def quadratic(kind: str) -> Model:
    """Unconstrained but for equalities; all with the same solution."""
    x, q = cp.Variable(3), cp.Parameter(3)
    P, Q = cp.Parameter((3, 3), PSD=True), cp.Parameter((3, 3), PSD=True)
    N = cp.Parameter((3, 3), NSD=True)
    objective, values = {
        "one": (cp.Minimize(0.5 * cp.quad_form(x, P) + q @ x), {P: MATRIX}),
        "sum": (
            cp.Minimize(0.5 * cp.quad_form(x, P + Q) + q @ x),
            {Q: MATRIX - np.eye(3) / 2, P: np.eye(3) / 2},
        ),
        "two": (
            cp.Minimize(0.5 * cp.quad_form(x, P) + cp.quad_form(x, Q) + q @ x),
            {P: np.eye(3) / 2, Q: MATRIX / 2 - np.eye(3) / 4},
        ),
        "negated": (cp.Minimize(0.5 * cp.quad_form(x, -N) + q @ x), {N: -MATRIX}),
        "maximum": (cp.Maximize(0.5 * cp.quad_form(x, N) - q @ x), {N: -MATRIX}),
    }[kind]
    return Model(cp.Problem(objective, [cp.sum(x) == 1]), {**values, q: COST}, [x])


def solution() -> np.ndarray:
    system = np.block([[MATRIX, np.ones((3, 1))], [np.ones((1, 3)), np.zeros((1, 1))]])
    return np.linalg.solve(system, np.append(-COST, 1.0))[:3]


@pytest.mark.parametrize("kind", ["one", "sum", "two", "negated", "maximum"])
def test_quadratic_forms_with_a_parameter(kind: str) -> None:
    model = quadratic(kind)
    layer = model.layer(solver="MOREAU")
    (found,) = layer(*model.tensors())
    np.testing.assert_allclose(found.detach(), solution(), atol=1e-5)
    (many,) = layer(*(t.expand(2, *t.shape) for t in model.tensors()))
    np.testing.assert_allclose(many.detach(), [solution()] * 2, atol=1e-5)


@pytest.mark.parametrize("kind", ["one", "sum", "two", "negated", "maximum"])
def test_gradient_of_the_matrix(kind: str) -> None:
    """Along a symmetric direction of each parameter."""
    model, rng = quadratic(kind), np.random.default_rng(1)
    for k, direction in enumerate(model.directions(rng)):
        alone = [direction if i == k else np.zeros(p.shape) for i, p in enumerate(model.values)]
        found, expected = model.slopes(alone, rng, solver="MOREAU")
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-4)


def refused(kind: str) -> cp.Problem:
    x, p = cp.Variable(2), cp.Parameter(2)
    P, S = cp.Parameter((2, 2), PSD=True), cp.Parameter((2, 2), symmetric=True)
    return {
        "in a constraint": cp.Problem(cp.Minimize(cp.sum(x)), [cp.quad_form(x, P) <= 1]),
        "not known to be convex": cp.Problem(cp.Minimize(cp.quad_form(x, S) + p @ x)),
        "parameter beside the variable": cp.Problem(cp.Minimize(cp.quad_form(x + p, P))),
        "product of parameters": cp.Problem(cp.Minimize(cp.quad_form(x, P @ P, assume_PSD=True))),
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        "in a constraint",
        "not known to be convex",
        "parameter beside the variable",
        "product of parameters",
    ],
)
def test_quadratic_forms_outside_dpp_are_refused(kind: str) -> None:
    problem = refused(kind)
    with pytest.raises(ValueError, match=r"DPP|DCP"):
        CvxpyLayer(problem, problem.parameters(), problem.variables(), solver="MOREAU")
