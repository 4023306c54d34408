"""CVXPY problems over every cone, with values at which their solutions are smooth."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import numpy as np

LINEAR = frozenset({"zero", "nonneg"})
TIGHT = {"tol_gap_abs": 1e-10, "tol_gap_rel": 1e-10, "tol_feas": 1e-10}


@dataclass(frozen=True)
class Case:
    """A problem, the layer's parameters and variables, and values of the parameters."""

    problem: cp.Problem
    parameters: list[cp.Parameter]
    variables: list[cp.Variable]
    values: list[np.ndarray]
    cones: frozenset[str] = LINEAR
    quadratic: bool = True
    gp: bool = False

    def solution(self) -> list[np.ndarray]:
        """What CVXPY finds itself."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*sparse CVXPY expression", RuntimeWarning)
            for parameter, value in zip(self.parameters, self.values, strict=True):
                parameter.value = value
            self.problem.solve(solver="CLARABEL", gp=self.gp, **TIGHT)
        assert self.problem.status == "optimal"
        return [_value(variable) for variable in self.variables]


def _value(variable: cp.Variable) -> np.ndarray:
    value = variable.value
    return value.toarray() if hasattr(value, "toarray") else np.asarray(value)


def qp(draw: np.random.Generator) -> Case:
    n, m = 5, 4
    x, P, q = cp.Variable(n), cp.Parameter((n, n), PSD=True), cp.Parameter(n)
    A, b = cp.Parameter((m, n)), cp.Parameter(m)
    rows = [A @ x <= b, cp.sum(x) == 1]
    root = draw.normal(size=(n, n))
    values = [root @ root.T + np.eye(n), draw.normal(size=n), draw.normal(size=(m, n))]
    problem = cp.Problem(cp.Minimize(cp.quad_form(x, P) + q @ x), rows)
    duals = [row.dual_variables[0] for row in rows]
    return Case(problem, [P, q, A, b], [x, *duals], [*values, draw.uniform(0.1, 0.5, size=m)])


def least_squares(draw: np.random.Generator) -> Case:
    x, A, b, weight = (
        cp.Variable(3),
        cp.Parameter((4, 3)),
        cp.Parameter(4),
        cp.Parameter(nonneg=True),
    )
    problem = cp.Problem(cp.Minimize(cp.sum_squares(A @ x - b) + weight * cp.sum_squares(x)))
    return Case(
        problem, [b, A, weight], [x], [draw.normal(size=4), draw.normal(size=(4, 3)), np.array(0.7)]
    )


def box(draw: np.random.Generator) -> Case:
    x, q = cp.Variable(4, nonneg=True), cp.Parameter(4)
    upper, A = x <= 0.4, cp.Parameter((1, 4))
    row = A @ x == 0.5
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x) + q @ x), [upper, row])
    q_value = np.array([-2.0, 1.5, -0.5, -0.3])
    return Case(problem, [A, q], [upper.dual_variables[0], row.dual_variables[0], x],
                [draw.uniform(0.8, 1.2, size=(1, 4)), q_value])  # fmt: skip


def matrices(draw: np.random.Generator) -> Case:
    """Matrix variables and rows, whose entries CVXPY stacks column by column."""
    X, M, L = cp.Variable((2, 3)), cp.Parameter((2, 3)), cp.Parameter((2, 2))
    row = X <= 0.3
    problem = cp.Problem(cp.Minimize(cp.sum_squares(L @ X - M) + 0.1 * cp.sum_squares(X)), [row])
    values = [draw.normal(size=(2, 3)), draw.normal(size=(2, 2))]
    return Case(problem, [M, L], [X, row.dual_variables[0]], values)


def special(draw: np.random.Generator) -> Case:
    """Diagonal and sparse parameters; a diagonal variable."""
    D, d = cp.Variable((3, 3), diag=True), cp.Parameter((3, 3), diag=True)
    S = cp.Parameter((2, 3), sparsity=([0, 1], [1, 2]))
    objective = cp.sum_squares(D - d) + cp.sum(S @ D)
    values = [np.diag([1.0, -1.0, 2.0]), np.array([[0.0, 0.7, 0.0], [0.0, 0.0, -1.2]])]
    problem = cp.Problem(cp.Minimize(objective), [D >= -0.4])
    return Case(problem, [d, S], [D], values)


def lp(draw: np.random.Generator) -> Case:
    x, c = cp.Variable(3, nonneg=True), cp.Parameter(3)
    A, b = cp.Parameter((2, 3)), cp.Parameter(2)
    row = A @ x <= b
    values = [draw.uniform(0.5, 1, 3), draw.uniform(0.5, 1, (2, 3)), np.array([1.0, 1.2])]
    problem = cp.Problem(cp.Maximize(c @ x), [row])
    return Case(problem, [c, A, b], [x, row.dual_variables[0]], values, quadratic=False)


def ball(draw: np.random.Generator) -> Case:
    x, c, r = cp.Variable(4), cp.Parameter(4), cp.Parameter(nonneg=True)
    row = cp.norm(x - 0.1) <= r
    values = [draw.normal(size=4), np.array(0.9)]
    problem = cp.Problem(cp.Minimize(c @ x + cp.sum_squares(x)), [row, x >= -0.5])
    return Case(problem, [c, r], [x, row.dual_variables[0]], values, LINEAR | {"soc"})


def cones(draw: np.random.Generator) -> Case:
    """Second-order cones of the user, several in one constraint, and their multipliers."""
    x, t, Y = cp.Variable(3), cp.Variable(2), cp.Variable((3, 2))
    A, b = cp.Parameter((3, 3)), cp.Parameter(2)
    cone = cp.SOC(t, Y)
    rows = [cone, Y[:, 0] == A @ x + 0.5, t <= b, Y[:, 1] == x - 0.3]
    problem = cp.Problem(cp.Minimize(5 * cp.sum(x) + cp.sum_squares(x) + cp.sum_squares(t)), rows)
    values = [draw.normal(size=(3, 3)) / 2 + np.eye(3), np.array([1.0, 0.8])]
    return Case(problem, [A, b], [x, t, *cone.dual_variables], values, LINEAR | {"soc"})


def sdp(draw: np.random.Generator) -> Case:
    X, C, D = (
        cp.Variable((3, 3), symmetric=True),
        cp.Parameter((3, 3), symmetric=True),
        cp.Parameter((3, 3)),
    )
    rows = [X >> 0, cp.trace(X) == 1, cp.trace(D @ X) <= 0.3]
    objective = cp.trace(C @ X) + 0.6 * cp.sum_squares(X)
    C_value = np.array([[2.0, 0.5, 0.1], [0.5, 3.0, 0.2], [0.1, 0.2, 1.5]])
    duals = [row.dual_variables[0] for row in rows]
    problem = cp.Problem(cp.Minimize(objective), rows)
    values = [C_value, np.diag([0.6, 0.1, 0.3])]
    return Case(problem, [C, D], [X, *duals], values, LINEAR | {"psd"})


def psd_variable(draw: np.random.Generator) -> Case:
    X, M = cp.Variable((3, 3), PSD=True), cp.Parameter((3, 3))
    problem = cp.Problem(cp.Minimize(cp.sum_squares(X - M)))
    value = np.array([[1.0, 0.3, -0.2], [0.1, -1.0, 0.4], [0.2, 0.5, 2.0]])
    return Case(problem, [M], [X], [value], LINEAR | {"psd"})


def entropy(draw: np.random.Generator) -> Case:
    x, c, A = cp.Variable(4), cp.Parameter(4), cp.Parameter((1, 4))
    rows = [cp.sum(x) == 1, A @ x <= 0.3]
    problem = cp.Problem(cp.Maximize(cp.sum(cp.entr(x)) - c @ x), rows)
    values = [draw.normal(size=4), np.array([[0.2, 0.9, 0.1, 0.7]])]
    duals = [row.dual_variables[0] for row in rows]
    return Case(problem, [c, A], [x, *duals], values, LINEAR | {"exp"}, quadratic=False)


def exponential(draw: np.random.Generator) -> Case:
    """Exponential cones of the user and their multipliers."""
    x, y, z, a = cp.Variable(2), cp.Variable(2), cp.Variable(2), cp.Parameter(2)
    cone = cp.ExpCone(x, y, z)
    problem = cp.Problem(cp.Minimize(cp.sum(z)), [cone, y == np.array([1.0, 2.0]), x >= a])
    variables = [x, z, *cone.dual_variables]
    return Case(problem, [a], variables, [np.array([0.3, -0.2])], LINEAR | {"exp"}, quadratic=False)


def logistic(draw: np.random.Generator) -> Case:
    w, X, weight = cp.Variable(2), cp.Parameter((5, 2)), cp.Parameter(nonneg=True)
    labels = np.array([1.0, -1.0, 1.0, 1.0, -1.0])
    loss = cp.sum(cp.logistic(-cp.multiply(labels, X @ w)))
    problem = cp.Problem(cp.Minimize(loss + weight * cp.sum_squares(w)))
    values = [draw.normal(size=(5, 2)), np.array(0.5)]
    return Case(problem, [X, weight], [w], values, LINEAR | {"exp"})


def power(draw: np.random.Generator) -> Case:
    x, p, c = cp.Variable(3), cp.Parameter(3, nonneg=True), cp.Parameter(nonneg=True)
    row = cp.sum(x) <= c
    utility = cp.sum(cp.power(x, 0.3, approx=False))
    problem = cp.Problem(cp.Maximize(utility - p @ x), [row])
    values = [draw.uniform(0.1, 0.4, size=3), np.array(1.0)]
    kinds = LINEAR | {"power"}
    return Case(problem, [p, c], [x, row.dual_variables[0]], values, kinds, quadratic=False)


def power_cones(draw: np.random.Generator) -> Case:
    """Power cones of the user and their multipliers."""
    x, y, z, a = cp.Variable(2), cp.Variable(2), cp.Variable(2), cp.Parameter(2)
    cone = cp.PowCone3D(x, y, z, [0.4, 0.7])
    problem = cp.Problem(cp.Maximize(cp.sum(z)), [cone, x + y <= a])
    variables = [x, z, *cone.dual_variables]
    kinds = LINEAR | {"power"}
    return Case(problem, [a], variables, [np.array([1.0, 2.0])], kinds, quadratic=False)


def geometric(draw: np.random.Generator) -> Case:
    x, y, z = (cp.Variable(pos=True) for _ in range(3))
    a, b, c = cp.Parameter(pos=True, value=2.0), cp.Parameter(pos=True, value=1.0), cp.Parameter()
    c.value = 0.5
    row = a * (x * y + x * z + y * z) <= b
    problem = cp.Problem(cp.Minimize(1 / (x * y * z)), [row, x >= y**c])
    values = [np.array(2.0), np.array(1.0), np.array(0.5)]
    variables = [x, y, z, row.dual_variables[0]]
    return Case(problem, [a, b, c], variables, values, LINEAR | {"exp"}, quadratic=False, gp=True)


MAKERS: list[Callable[[np.random.Generator], Case]] = [
    qp, least_squares, box, matrices, special, lp, ball, cones, sdp, psd_variable, entropy,
    exponential, logistic, power, power_cones, geometric,
]  # fmt: skip


def make(maker: Callable[[np.random.Generator], Case]) -> Case:
    return maker(np.random.default_rng(3))


def loss(outputs: Any) -> Any:
    """A weighted sum of all outputs that treats no two entries alike."""
    return sum(
        (
            output
            * output.new_tensor(np.cos(1.0 + np.arange(output.numel()))).reshape(output.shape)
        ).sum()
        for output in outputs
    )
