"""One small problem for each kind of thing that people write in CVXPY."""

from collections.abc import Callable

import cvxpy as cp
import numpy as np

from tests.torch.promised import Model


def least_squares() -> Model:
    rng = np.random.default_rng(0)
    x, A, b = cp.Variable(3), cp.Parameter((5, 3)), cp.Parameter(5)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(A @ x - b) + cp.sum_squares(x)))
    return Model(problem, {A: rng.normal(size=(5, 3)), b: rng.normal(size=5)}, [x])


def projection() -> Model:
    x, p = cp.Variable(3), cp.Parameter(3)
    problem = cp.Problem(cp.Minimize(0.5 * cp.sum_squares(x - p)), [cp.sum(x) == 1, x >= 0])
    return Model(problem, {p: np.array([0.9, 0.5, -0.7])}, [x])


def general_qp() -> Model:
    rng = np.random.default_rng(1)
    x = cp.Variable(4)
    q, G, h = cp.Parameter(4), cp.Parameter((3, 4)), cp.Parameter(3)
    A, b = cp.Parameter((1, 4)), cp.Parameter(1)
    constraints = [G @ x <= h, A @ x == b, x <= 2]
    problem = cp.Problem(cp.Minimize(0.5 * cp.sum_squares(x) + q @ x), constraints)
    values = {G: rng.normal(size=(3, 4)), h: np.array([0.1, 0.3, 0.2]), q: rng.normal(size=4)}
    return Model(problem, values | {A: np.ones((1, 4)), b: np.array([0.5])}, [x])


def absolute_values() -> Model:
    rng = np.random.default_rng(2)
    x, p, weight = cp.Variable(4), cp.Parameter(4), cp.Parameter(nonneg=True)
    objective = 0.5 * cp.sum_squares(x - p) + weight * cp.norm1(x)
    return Model(cp.Problem(cp.Minimize(objective)), {p: rng.normal(size=4), weight: 0.3}, [x])


def linear_program() -> Model:
    x, c, b = cp.Variable(3), cp.Parameter(3), cp.Parameter()
    problem = cp.Problem(cp.Minimize(c @ x), [cp.sum(x) == b, x >= 0])
    return Model(problem, {c: np.array([1.0, 2.0, 3.0]), b: 1.5}, [x])


def ball() -> Model:
    x, c, radius = cp.Variable(3), cp.Parameter(3), cp.Parameter(nonneg=True)
    problem = cp.Problem(cp.Minimize(c @ x + 0.1 * cp.sum_squares(x)), [cp.norm(x) <= radius])
    return Model(problem, {c: np.array([1.0, -0.5, 0.2]), radius: 1.2}, [x])


def entropy() -> Model:
    x, c, gamma = cp.Variable(4), cp.Parameter(4), cp.Parameter(pos=True)
    objective = c @ x - gamma * cp.sum(cp.entr(x))
    problem = cp.Problem(cp.Minimize(objective), [cp.sum(x) == 1])
    return Model(problem, {c: np.array([0.3, -0.2, 0.7, 0.0]), gamma: 0.8}, [x], reference=cp.SCS)


def logistic_regression() -> Model:
    rng = np.random.default_rng(3)
    a, X, weight = cp.Variable(2), cp.Parameter((6, 2)), cp.Parameter(nonneg=True)
    signs = np.array([1.0, -1.0, 1.0, 1.0, -1.0, -1.0])
    loss = cp.sum(cp.logistic(cp.multiply(-signs, X @ a)))
    problem = cp.Problem(cp.Minimize(loss + weight * cp.sum_squares(a)))
    return Model(problem, {X: rng.normal(size=(6, 2)), weight: 0.4}, [a], reference=cp.SCS)


def spectrahedron() -> Model:
    X, C = cp.Variable((3, 3), symmetric=True), cp.Parameter((3, 3), symmetric=True)
    objective = cp.trace(C @ X) + 0.5 * cp.sum_squares(X)
    problem = cp.Problem(cp.Minimize(objective), [X >> 0, cp.trace(X) == 1])
    return Model(problem, {C: np.array([[0.3, 0.5, 0.1], [0.5, 0.2, -0.4], [0.1, -0.4, 0.4]])}, [X])


def psd_variable() -> Model:
    X, C = cp.Variable((2, 2), PSD=True), cp.Parameter((2, 2))
    problem = cp.Problem(cp.Minimize(cp.sum_squares(X - C)))
    return Model(problem, {C: np.array([[1.0, -0.8], [-0.2, -0.6]])}, [X])


def power_cone() -> Model:
    x, p = cp.Variable(2, nonneg=True), cp.Parameter(2, pos=True)
    objective = p @ x - cp.geo_mean(x) + 0.1 * cp.sum_squares(x)
    constraint = cp.PowCone3D(x[0] + 0.2, x[1] + 0.1, 0.5, 0.3)
    return Model(
        cp.Problem(cp.Minimize(objective), [constraint]),
        {p: np.array([0.4, 0.9])},
        [x],
        reference=cp.SCS,
    )


def matrix_variable() -> Model:
    rng = np.random.default_rng(4)
    X, B = cp.Variable((2, 3)), cp.Parameter((2, 3))
    row, scale = cp.Parameter(3), cp.Parameter()
    problem = cp.Problem(
        cp.Minimize(cp.sum_squares(X - B) + cp.sum_squares(X @ np.arange(1.0, 4.0) - scale)),
        [X[0] + X[1] == row],
    )
    return Model(problem, {scale: 0.7, row: rng.normal(size=3), B: rng.normal(size=(2, 3))}, [X])


def several_variables() -> Model:
    t, x, Y = cp.Variable(), cp.Variable(2), cp.Variable((2, 2))
    p, M = cp.Parameter(2), cp.Parameter((2, 2))
    objective = t + cp.sum_squares(x - p) + cp.sum_squares(Y - M)
    constraints = [cp.norm1(x) + cp.abs(Y[0, 1]) <= t, Y[0, 0] + x[1] == 1]
    values = {M: np.array([[1.0, 2.0], [3.0, 4.0]]), p: np.array([0.8, -1.1])}
    return Model(cp.Problem(cp.Minimize(objective), constraints), values, [Y, t, x])


def maximisation() -> Model:
    x, mu, root = cp.Variable(3), cp.Parameter(3), cp.Parameter((3, 3))
    objective = mu @ x - 0.5 * cp.sum_squares(root @ x)
    problem = cp.Problem(cp.Maximize(objective), [cp.sum(x) == 1, cp.norm1(x) <= 1.5])
    values = {mu: np.array([0.5, 0.3, -0.2]), root: np.eye(3) + 0.1 * np.arange(9).reshape(3, 3)}
    return Model(problem, values, [x])


def geometric_program() -> Model:
    x, y, z = (cp.Variable(pos=True) for _ in range(3))
    a, b, c = cp.Parameter(pos=True), cp.Parameter(pos=True), cp.Parameter()
    constraints = [a * (x * y + y * z + z * x) <= b, x >= y**c]
    problem = cp.Problem(cp.Minimize(1 / (x * y * z)), constraints)
    return Model(problem, {c: 0.4, b: 1.3, a: 2.2}, [z, x, y], gp=True, reference=cp.SCS)


SMOOTH: dict[str, Callable[[], Model]] = {
    model.__name__: model
    for model in (
        least_squares, projection, general_qp, absolute_values, ball, entropy,
        logistic_regression, spectrahedron, psd_variable, power_cone, matrix_variable,
        several_variables, maximisation, geometric_program,
    )
}  # fmt: skip
"""Solutions that are differentiable in the parameters."""

ALL = SMOOTH | {"linear_program": linear_program}
