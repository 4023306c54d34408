"""The problems that cvxpylayers' notebooks in ``examples/torch`` solve, one at a time.

Stated anew, in their sizes, with data drawn like theirs: each gives parameters with their values,
and the variables that a loss looks at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cvxpy as cp
import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Single:
    """A problem, the values of its parameters, and its outputs."""

    problem: cp.Problem
    values: dict[cp.Parameter, Array]
    outputs: list[cp.Variable]
    options: dict[str, Any] = field(default_factory=dict)


Draw = Callable[[np.random.Generator], Single]


def _system(rng: np.random.Generator, n: int, m: int) -> tuple[Array, Array]:
    """A linear system of spectral radius 1, and how it is driven."""
    A = rng.normal(size=(n, n))
    return A / np.abs(np.linalg.eigvals(A)).max(), rng.normal(size=(n, m))


def least_absolute(rng: np.random.Generator) -> Single:
    """Nonnegative least absolute deviations."""
    x, A, b = cp.Variable(2), cp.Parameter((3, 2)), cp.Parameter(3)
    problem = cp.Problem(cp.Minimize(0.5 * cp.norm1(A @ x - b)), [x >= 0])
    return Single(problem, {A: rng.normal(size=(3, 2)), b: rng.normal(size=3)}, [x])


def rectified(rng: np.random.Generator) -> Single:
    """A rectified linear unit as a projection."""
    x, given = cp.Variable(20), cp.Parameter(20)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - given)), [x >= 0])
    return Single(problem, {given: rng.normal(size=20)}, [x])


def clipped(rng: np.random.Generator) -> Single:
    """The nearest number above a bound."""
    z, low, at = cp.Variable(), cp.Parameter(), cp.Parameter()
    problem = cp.Problem(cp.Minimize(cp.square(z - at)), [z >= low])
    return Single(problem, {low: rng.normal(), at: rng.normal()}, [z])


def allocation(rng: np.random.Generator) -> Single:
    """A linear program with predicted costs."""
    x, c = cp.Variable(5), cp.Parameter(5)
    rows = [rng.uniform(0.5, 1.5, size=(3, 5)) @ x <= 3, x >= 0]
    return Single(cp.Problem(cp.Minimize(c @ x), rows), {c: rng.normal(size=5)}, [x])


def dynamic_programming(rng: np.random.Generator) -> Single:
    """A quadratic policy whose control lies in a ball."""
    state, root = cp.Parameter((2, 1)), cp.Parameter((3, 3))
    mixed, q = cp.Parameter((2, 3)), cp.Parameter((3, 1))
    u, y = cp.Variable((3, 1)), cp.Variable((2, 1))
    cost = 0.5 * cp.sum_squares(root @ u) + state.T @ y + q.T @ u
    problem = cp.Problem(cp.Minimize(cost), [cp.norm(u) <= 1, y == mixed @ u])
    values = {
        state: rng.normal(size=(2, 1)),
        root: np.eye(3) + 0.1 * rng.normal(size=(3, 3)),
        mixed: rng.normal(size=(2, 3)),
        q: 0.1 * rng.normal(size=(3, 1)),
    }
    return Single(problem, values, [u])


def denoising(rng: np.random.Generator) -> Single:
    """A smooth signal behind a noisy one, with a learned metric."""
    n = 50
    y, off = cp.Variable(n), cp.Variable(n)
    x, metric, weight = cp.Parameter(n), cp.Parameter((n, n)), cp.Parameter(pos=True)
    cost = cp.sum_squares(metric @ off) + weight * cp.sum_squares(cp.diff(y))
    problem = cp.Problem(cp.Minimize(cost), [off == x - y])
    signal = np.cos(2 * np.linspace(0, 2 * np.pi, n)) + 0.1 * rng.normal(size=n)
    metric_value = np.eye(n) + 0.01 * rng.normal(size=(n, n))
    return Single(problem, {x: signal, metric: metric_value, weight: np.array(0.5)}, [y])


def transport(rng: np.random.Generator) -> Single:
    """Entropic optimal transport between three points and three."""
    C, a, b, eps = (cp.Parameter((3, 3)), cp.Parameter(3), cp.Parameter(3),
                    cp.Parameter(1, nonneg=True))  # fmt: skip
    P = cp.Variable((3, 3))
    cost = cp.trace(P.T @ C) - eps * (cp.sum(cp.entr(P)) + cp.sum(P))
    rows = [P @ np.ones(3) == a, P.T @ np.ones(3) == b, P >= 0]
    x, y, third = rng.normal(size=3), rng.normal(size=3), np.full(3, 1 / 3)
    values = {C: np.square(x[:, None] - y), a: third, b: third, eps: np.ones(1)}
    return Single(cp.Problem(cp.Minimize(cost), rows), values, [P])


def predictive_control(rng: np.random.Generator, norm: str = "inf") -> Single:
    """Five steps of predictive control with learned weights; or with a cost of absolute values."""
    n, m, steps = 10, 4, 5
    A, B = _system(rng, n, m)
    start, weights = cp.Parameter(n), cp.Parameter(n, nonneg=True)
    states = [cp.Variable(n) for _ in range(steps)]
    controls = [cp.Variable(m) for _ in range(steps)]
    cost, rows = 0, [states[0] == start]
    for t in range(steps):
        cost += cp.sum(cp.multiply(weights, cp.square(states[t])))
        cost += cp.sum_squares(controls[t]) if norm == "inf" else cp.norm1(controls[t])
        rows.append(cp.norm(controls[t], "inf") <= 0.5)
        if t:
            rows.append(states[t] == A @ states[t - 1] + B @ controls[t - 1])
    values = {start: rng.normal(size=n), weights: np.abs(rng.normal(size=n))}
    return Single(cp.Problem(cp.Minimize(cost), rows), values, [controls[0]])


def absolute_control(rng: np.random.Generator) -> Single:
    """Predictive control whose controls cost their absolute values."""
    return predictive_control(rng, "abs")


def risk_budget(rng: np.random.Generator, budget: float = 0.2) -> Single:
    """The best portfolio within a budget of risk."""
    n = 5
    w, mu, most = cp.Variable(n), cp.Parameter(n), cp.Parameter(pos=True)
    F = 0.1 * rng.normal(size=(n, n))
    root = np.linalg.cholesky(F.T @ F + 0.05 * np.eye(n))
    rows = [cp.norm(root.T @ w) <= most, cp.sum(w) == 1, w >= 0]
    returns = np.abs(0.03 * rng.normal(size=n) + 0.06)
    values = {mu: returns, most: np.array(budget)}
    return Single(cp.Problem(cp.Maximize(mu @ w), rows), values, [w])


def risk_unlimited(rng: np.random.Generator) -> Single:
    """The same where the budget is not reached: a vertex."""
    return risk_budget(rng, 0.45)


def circuit(rng: np.random.Generator) -> Single:
    """Widths of three transistors, a geometric program."""
    w = cp.Variable(3, pos=True)
    area, power = cp.Parameter(pos=True), cp.Parameter(pos=True)
    alpha, beta = np.array([1.0, 1.5, 0.8]), np.array([0.5, 0.8, 0.6])
    delay = sum(a * cp.inv_pos(w[i]) for i, a in enumerate(alpha))
    rows = [cp.sum(w) <= area, beta @ w <= power, w >= 0.1]
    values = {area: np.array(5.0), power: np.array(3.0)}
    return Single(cp.Problem(cp.Minimize(delay), rows), values, [w], {"gp": True})


def robust_regression(rng: np.random.Generator) -> Single:
    """Least squares with a norm against errors in the data."""
    A = rng.normal(size=(30, 10))
    x, b, eps = cp.Variable(10), cp.Parameter(30), cp.Parameter(nonneg=True)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(A @ x - b) + eps * cp.norm(x)))
    values = {b: A @ rng.normal(size=10) + 0.3 * rng.normal(size=30), eps: np.array(1.0)}
    return Single(problem, values, [x])


def supply_chain(rng: np.random.Generator) -> Single:
    """Flows between suppliers, stores and shops."""
    links = np.zeros((2, 4, 8))  # into and out of four nodes
    links[0, [0, 1, 2, 3, 3, 2], [0, 1, 2, 3, 4, 5]] = 1
    links[1, [0, 0, 1, 3, 2, 3], [2, 3, 4, 5, 6, 7]] = 1
    root, q, state = cp.Parameter((4, 4)), cp.Parameter((4, 1)), cp.Parameter((8, 1))
    h, price, demand = state[:4], state[4:6], state[6:]
    u, after = cp.Variable((8, 1)), cp.Variable((4, 1))
    stage = cp.vstack([price, np.full((4, 1), 0.05), np.full((2, 1), -1.3)]).T @ u
    rows = [after == h + (links[0] - links[1]) @ u, after <= 3, u >= 0, u <= 2, links[1] @ u <= h,
            u[6:] <= demand]  # fmt: skip
    cost = stage + cp.sum_squares(root @ after) + q.T @ after
    drawn = [rng.uniform(0, 3, size=(4, 1)), rng.lognormal(0.1, 0.2, size=(4, 1))]
    values = {state: np.concatenate(drawn), root: np.eye(4), q: -np.ones((4, 1))}
    return Single(cp.Problem(cp.Minimize(cost), rows), values, [u])


def trading(rng: np.random.Generator) -> Single:
    """Trades of twelve assets with transaction and shorting costs."""
    n = 12
    h, mu, root = cp.Parameter(n), cp.Parameter(n), cp.Parameter((n, n))
    u, after = cp.Variable(n), cp.Variable(n)
    paid = 0.001 * cp.norm1(u) + 0.001 * cp.sum(cp.neg(after))
    rows = [after == h + u, cp.sum(u) + paid <= 0]
    problem = cp.Problem(cp.Maximize(mu @ after - cp.sum_squares(root @ after)), rows)
    loads = rng.normal(size=(n, n)) * 0.03
    values = {h: rng.dirichlet(np.ones(n)), mu: 0.01 * rng.normal(size=n), root: 4 * loads}
    return Single(problem, values, [u])


def vehicle(rng: np.random.Generator) -> Single:
    """Steering and acceleration by a quadratic value function."""
    root, q, at = cp.Parameter((4, 4)), cp.Parameter(4), cp.Parameter(4)
    B, bend = cp.Parameter((4, 2)), cp.Parameter(1)
    u, y = cp.Variable(2), cp.Variable(4)
    cost = 10 * cp.square(u[0]) + 10 * cp.square(u[1]) + cp.sum_squares(root @ y) + q @ y
    rows = [y == at + B @ u, cp.abs(u[0]) <= 2, cp.abs(u[1] + 2.8 * bend) <= 0.68]
    drive = np.zeros((4, 2))
    drive[1, 1], drive[2, 0], drive[3, 1] = 0.3, 0.2, 0.2
    values = {root: np.eye(4) + 0.1 * rng.normal(size=(4, 4)), q: 0.1 * rng.normal(size=4),
              at: rng.normal(size=4), B: drive, bend: np.array([0.05])}  # fmt: skip
    return Single(cp.Problem(cp.Minimize(cost), rows), values, [u])


def resources(rng: np.random.Generator) -> Single:
    """A budget shared by ten with exponentially falling returns."""
    m = 10
    y, units, t = cp.Variable(m), cp.Variable(m), cp.Variable(m)
    alpha, inverse, B = (cp.Parameter(m, nonneg=True), cp.Parameter(m, nonneg=True),
                         cp.Parameter(nonneg=True))  # fmt: skip
    rows = [cp.sum(y) == B, y >= 0, units == cp.multiply(y, inverse),
            -cp.exp(-cp.multiply(alpha, units)) >= cp.multiply(alpha, t)]  # fmt: skip
    values = {B: np.array(5.0), inverse: 1 / rng.uniform(0.1, 1, size=m),
              alpha: rng.uniform(0.1, 1, size=m)}  # fmt: skip
    return Single(cp.Problem(cp.Maximize(cp.sum(t)), rows), values, [y])


def springs(rng: np.random.Generator) -> Single:
    """Blocks between springs."""
    n = 5
    k, x = cp.Parameter(n + 1, nonneg=True), cp.Variable(n + 2)
    cost = cp.sum(cp.multiply(k, 0.5 * cp.square(cp.diff(x))))
    rows = [x[0] == 0, x[-1] == 1] + [x[i] - x[i - 1] >= 0.05 for i in range(1, n + 2)]
    problem = cp.Problem(cp.Minimize(cost), rows)
    return Single(problem, {k: rng.uniform(0.5, 1.5, size=n + 1)}, [x])


def logistic(rng: np.random.Generator) -> Single:
    """Logistic regression with an elastic net, by its data."""
    m, n = 30, 2
    labels = (rng.uniform(size=(m, 1)) < 0.5).astype(float)
    a, b, X = cp.Variable((n, 1)), cp.Variable((1, 1)), cp.Parameter((m, n))
    score = X @ a + b
    likelihood = cp.sum(cp.multiply(labels, score) - cp.logistic(score)) / m
    cost = likelihood - 0.1 * cp.norm1(a) - 0.1 * cp.sum_squares(a)
    values = {X: 4 * labels - 2 + 3 * rng.normal(size=(m, n))}
    return Single(cp.Problem(cp.Maximize(cost)), values, [a, b])


def regulator(rng: np.random.Generator, n: int = 8, most: float | None = 0.1) -> Single:
    """A linear system's quadratic policy with bounded control."""
    m = 2
    A, B = _system(rng, n, m)
    x, root, q = cp.Parameter((n, 1)), cp.Parameter((n, n)), cp.Parameter(n)
    u, after = cp.Variable((m, 1)), cp.Variable((n, 1))
    cost = cp.quad_form(u, np.eye(m)) + cp.sum_squares(root @ after) + q @ after
    rows = [after == A @ x + B @ u]
    rows += [] if most is None else [cp.norm(u, "inf") <= most]
    values = {x: rng.normal(size=(n, 1)), root: np.eye(n) + 0.1 * rng.normal(size=(n, n)),
              q: 0.1 * rng.normal(size=n)}  # fmt: skip
    return Single(cp.Problem(cp.Minimize(cost), rows), values, [u])


def free_regulator(rng: np.random.Generator) -> Single:
    """The same without bounds."""
    return regulator(rng, 4, None)


def monotonic(rng: np.random.Generator) -> Single:
    """The nearest increasing sequence."""
    n = 20
    x, y = cp.Variable(n), cp.Parameter(n)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - y)), [cp.diff(x) >= 0])
    return Single(problem, {y: np.linspace(0, 2, n) + 0.3 * rng.normal(size=n)}, [x])


def volatility(rng: np.random.Generator) -> Single:
    """Seven assets with a penalty on trades and a learned aversion."""
    n = 7
    root = rng.normal(size=(n, n)) / 3
    w, mu, gamma, before = (cp.Variable(n), cp.Parameter(n), cp.Parameter(nonneg=True),
                            cp.Parameter(n))  # fmt: skip
    risk = cp.sum_squares(root @ w)
    cost = mu @ w - gamma * risk - 0.01 * cp.norm1(w - before)
    rows = [cp.sum(w) == 1, cp.norm1(w) <= 2]
    values = {mu: 0.1 * rng.normal(size=n), gamma: np.array(1.0), before: np.full(n, 1 / n)}
    return Single(cp.Problem(cp.Maximize(cost), rows), values, [w])


PROBLEMS: dict[str, Draw] = {
    "L1 fit": least_absolute,
    "ReLU": rectified,
    "clipping": clipped,
    "allocation LP": allocation,
    "ADP": dynamic_programming,
    "denoising": denoising,
    "optimal transport": transport,
    "MPC": predictive_control,
    "MPC, abs": absolute_control,
    "portfolio": risk_budget,
    "portfolio, vertex": risk_unlimited,
    "circuit GP": circuit,
    "robust regression": robust_regression,
    "supply chain": supply_chain,
    "trading": trading,
    "vehicle": vehicle,
    "resources": resources,
    "springs": springs,
    "logistic": logistic,
    "LQR, bounded": regulator,
    "LQR": free_regulator,
    "monotonic": monotonic,
    "VIX portfolio": volatility,
}
