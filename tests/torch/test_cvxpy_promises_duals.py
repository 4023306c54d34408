"""Promised: multipliers of constraints as results, in CVXPY's signs and shapes, with gradients."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
import torch

from tests.torch.promised import ACCURATE, ACCURATE_GRADIENTS, PEER, Model, tensor


def with_duals(problem: cp.Problem, values: dict, *wanted: cp.Constraint, **options: Any) -> Model:
    """The multipliers of the wanted constraints, all of each."""
    duals = [dual for constraint in wanted for dual in constraint.dual_variables]
    return Model(problem, values, duals, **options)


def linear_rows() -> Model:
    x, c, b = cp.Variable(3), cp.Parameter(3), cp.Parameter()
    rows = [cp.sum(x) == b, x >= 0.1, x[:2] <= 0.5, x[0] + x[1] <= 0.55]
    objective = cp.Minimize(c @ x + 0.5 * cp.sum_squares(x))
    return with_duals(cp.Problem(objective, rows), {b: 1.2, c: np.array([-3.0, 1.0, 0.2])}, *rows)


def of_a_maximum() -> Model:
    x, c = cp.Variable(2), cp.Parameter(2)
    rows = [x <= 1, x >= -1, x[0] + x[1] == 0.4]
    problem = cp.Problem(cp.Maximize(c @ x - 0.5 * cp.sum_squares(x)), rows)
    return with_duals(problem, {c: np.array([3.0, -0.5])}, *rows)


def matrix_rows() -> Model:
    X, C = cp.Variable((2, 3)), cp.Parameter((2, 3))
    rows = [X <= 1, X @ np.ones(3) == np.array([1.0, 2.0])]
    problem = cp.Problem(cp.Minimize(cp.sum_squares(X - C)), rows)
    return with_duals(problem, {C: np.array([[2.0, 0.0, 1.0], [-1.0, 3.0, 0.5]])}, *rows)


def norm() -> Model:
    x, c, radius = cp.Variable(3), cp.Parameter(3), cp.Parameter(nonneg=True)
    row = cp.norm(x) <= radius
    problem = cp.Problem(cp.Minimize(c @ x + 0.1 * cp.sum_squares(x)), [row])
    return with_duals(problem, {c: np.array([1.0, -0.5, 0.2]), radius: 1.2}, row)


def second_order_cone() -> Model:
    """Two multipliers: a scalar and a vector."""
    x, t, c = cp.Variable(3), cp.Variable(), cp.Parameter(3)
    cone, limit = cp.SOC(t, x), t <= 2
    problem = cp.Problem(cp.Minimize(c @ x - t + 0.1 * cp.sum_squares(x)), [limit, cone])
    return with_duals(problem, {c: np.array([0.5, 0.3, -0.2])}, cone, limit)


def exponential_cone() -> Model:
    """Three multipliers."""
    x, y, z, t = cp.Variable(), cp.Variable(), cp.Variable(), cp.Parameter(nonneg=True)
    cone, limit = cp.ExpCone(x, y, z), z <= t
    objective = 0.1 * (cp.square(x) + cp.square(y) + cp.square(z)) - z - 0.5 * x
    return with_duals(
        cp.Problem(cp.Minimize(objective), [limit, cone]), {t: 3.0}, cone, limit, reference=cp.SCS
    )


def power_cone() -> Model:
    x, y, z, t = cp.Variable(), cp.Variable(), cp.Variable(), cp.Parameter(nonneg=True)
    cone, limit = cp.PowCone3D(x, y, z, 0.3), x + y <= t
    objective = 0.1 * (cp.square(x) + cp.square(y)) - z
    return with_duals(
        cp.Problem(cp.Minimize(objective), [cone, limit]), {t: 4.0}, cone, limit, reference=cp.SCS
    )


def semidefinite_cone() -> Model:
    """A full symmetric matrix."""
    X, C = cp.Variable((3, 3), symmetric=True), cp.Parameter((3, 3), symmetric=True)
    cone, trace = X >> 0, cp.trace(X) == 1
    problem = cp.Problem(cp.Minimize(cp.trace(C @ X) + 0.5 * cp.sum_squares(X)), [cone, trace])
    C_value = np.array([[1.0, 0.5, 0.1], [0.5, -2.0, 0.3], [0.1, 0.3, 1.5]])
    return with_duals(problem, {C: C_value}, cone, trace)


def all_cones() -> Model:
    """Every kind of constraint in one problem, not in the order of the solvers."""
    x, X, t = cp.Variable(3), cp.Variable((2, 2), symmetric=True), cp.Parameter(nonneg=True)
    rows = [
        cp.PowCone3D(x[0], x[1] + 1, x[2], 0.6),
        X - 0.1 * np.eye(2) >> 0,
        cp.ExpCone(x[0] - 0.4, cp.Constant(1.0), x[1] + 2),
        cp.SOC(t, x - 0.3),
        x[:2] <= 0.9,
        cp.trace(X) + x[2] == t,
    ]
    objective = cp.sum_squares(x - np.array([1.0, 0.5, 3.0])) + cp.sum_squares(X - X[0, 1])
    problem = cp.Problem(cp.Minimize(objective + cp.sum_squares(X)), rows)
    return with_duals(problem, {t: 1.3}, *rows, reference=cp.SCS)


def geometric_program() -> Model:
    x, y = cp.Variable(pos=True), cp.Variable(pos=True)
    a, b = cp.Parameter(pos=True), cp.Parameter(pos=True)
    rows = [a * x * y + y <= b, x <= 1.5]
    return with_duals(
        cp.Problem(cp.Minimize(1 / (x * y)), rows),
        {a: 2.0, b: 1.4},
        *rows,
        gp=True,
        reference=cp.SCS,
    )


CASES: dict[str, Callable[[], Model]] = {
    case.__name__: case
    for case in (
        linear_rows, of_a_maximum, matrix_rows, norm, second_order_cone, exponential_cone,
        power_cone, semidefinite_cone, all_cones, geometric_program,
    )
}  # fmt: skip
# cvxpylayers' backward pass fails on power cones
NO_DERIVATIVE = {"power_cone", "all_cones"} if PEER else set()


@pytest.mark.parametrize("name", CASES)
def test_multipliers_are_those_of_cvxpy(name: str) -> None:
    model = CASES[name]()
    found = model.layer(**ACCURATE)(*(t.detach() for t in model.tensors()))
    for result, expected in zip(found, model.solve(), strict=True):
        assert result.numel() == expected.size
        np.testing.assert_allclose(result.flatten(), expected.flatten(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_multipliers_come_beside_variables_and_in_batches(name: str) -> None:
    model = CASES[name]()
    variables = [*model.problem.variables()[:1], *model.variables]
    layer = replace(model, variables=variables).layer(**ACCURATE)
    alone = layer(*(t.detach() for t in model.tensors()))
    many = layer(*(t.detach().expand(2, *t.shape) for t in model.tensors()))
    for one, batch in zip(alone, many, strict=True):
        assert batch.shape == (2, *one.shape)
        np.testing.assert_allclose(batch[1], one, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", sorted(set(CASES) - NO_DERIVATIVE))
def test_gradients_flow_through_multipliers(name: str) -> None:
    """Of a random linear loss, along a random direction of all parameters together."""
    model, rng = CASES[name](), np.random.default_rng(5)
    found, expected = model.slopes(model.directions(rng), rng, **ACCURATE_GRADIENTS)
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_sign_is_the_sensitivity_of_the_optimal_value() -> None:
    """d optimum / d right-hand side is minus the multiplier of ==, whose sign CVXPY fixes."""
    x, b = cp.Variable(2), cp.Parameter()
    row = cp.sum(x) == b
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x)), [row])
    layer = Model(problem, {b: 1.0}, [row.dual_variables[0]]).layer(**ACCURATE)
    (found,) = layer(tensor(3.0))
    torch.testing.assert_close(found, torch.tensor(-3.0).double(), rtol=1e-4, atol=1e-4)
