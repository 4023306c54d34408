"""Families of regressions and of signals."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
from _truth_programs import Array, Program, Rng, Units, family, modelled


def _data(r: Rng, n: int, k: int, noise: float = 0.3) -> tuple[Array, Array]:
    X, true = r.normal(size=(n, k)), r.normal(size=k) * (np.arange(k) % 3 != 2)
    return X, X @ true + noise * r.normal(size=n)


def _penalized(s: Rng, size: tuple[int, int], penalty, most: float, **options) -> Program:
    n, k = size
    b, y = cp.Variable(k), cp.Parameter(n)
    X, lam = cp.Parameter((n, k)), cp.Parameter(nonneg=True)
    cost = cp.sum_squares(X @ b - y) + lam * penalty(b)

    def draw(r: Rng, u: Units) -> list[Array]:
        found, values = _data(r, n, k)
        return [u.x * found, u.x * values, u.x**2 * r.uniform(0.05, most)]

    kinds = {X: "free", y: "free", lam: "pos"}
    return modelled(cp.Problem(cp.Minimize(cost)), kinds, [b], draw, **options)


@family("lasso")
def lasso(s: Rng) -> Program:
    return _penalized(s, (int(s.integers(12, 25)), int(s.integers(3, 8))), cp.norm1, 20.0)


@family("lasso, wide")
def wide(s: Rng) -> Program:
    return _penalized(s, (6, 12), cp.norm1, 6.0, strict=False)


@family("ridge")
def ridge(s: Rng) -> Program:
    n, k = int(s.integers(5, 20)), int(s.integers(3, 12))
    b, y = cp.Variable(k), cp.Parameter(n)
    X, lam = cp.Parameter((n, k)), cp.Parameter(nonneg=True)
    cost = cp.sum_squares(X @ b - y) + lam * cp.sum_squares(b)

    def draw(r: Rng, u: Units) -> list[Array]:
        found, values = _data(r, n, k)
        return [u.x * found, u.f * values, u.x**2 * 10 ** r.uniform(-3, 1)]

    def closed(X: Array, y: Array, lam: Array) -> list[Array]:
        stacked = np.vstack([X, np.sqrt(lam) * np.eye(k)])
        return [np.linalg.lstsq(stacked, np.r_[y, np.zeros(k)], rcond=None)[0]]

    return modelled(
        cp.Problem(cp.Minimize(cost)), {X: "free", y: "free", lam: "pos"}, [b], draw, closed
    )


@family("elastic net")
def elastic(s: Rng) -> Program:
    return _penalized(s, (10, 6), lambda b: cp.norm1(b) + 0.5 * cp.sum_squares(b), 6.0)


@family("group lasso")
def group(s: Rng) -> Program:
    def penalty(b: cp.Variable) -> cp.Expression:
        return cp.norm(b[:3]) + cp.norm(b[3:6]) + cp.norm(b[6:])

    return _penalized(s, (15, 9), penalty, 8.0)


@family("square-root lasso")
def root(s: Rng) -> Program:
    n, k = int(s.integers(8, 20)), int(s.integers(2, 7))
    b, y, lam = cp.Variable(k), cp.Parameter(n), cp.Parameter(nonneg=True)
    X = s.normal(size=(n, k)) * 10.0 ** s.uniform(-1, 1, k)
    cost = cp.norm(X @ b - y) + lam * cp.norm1(b)

    def draw(r: Rng, u: Units) -> list[Array]:
        true = r.normal(size=k) * (np.arange(k) % 3 != 2)
        return [u.x * (X @ true + 0.3 * r.normal(size=n)), r.uniform(0.05, 1.5)]

    return modelled(cp.Problem(cp.Minimize(cost)), {y: "free", lam: "pos"}, [b], draw, strict=False)


@family("Huber regression")
def huber(s: Rng) -> Program:
    n, k = int(s.integers(10, 20)), int(s.integers(2, 5))
    b, y, X = cp.Variable(k), cp.Parameter(n), s.normal(size=(n, k))
    cost = cp.sum(cp.huber(X @ b - y, 0.5)) + 0.1 * cp.sum_squares(b)

    def draw(r: Rng, u: Units) -> list[Array]:
        return [X @ r.normal(size=k) + 0.2 * r.normal(size=n) + 5 * (r.random(n) < 0.2)]

    return modelled(cp.Problem(cp.Minimize(cost)), {y: "free"}, [b], draw)


@family("quantile regression")
def quantile(s: Rng) -> Program:
    n, k = int(s.integers(8, 16)), int(s.integers(2, 5))
    b, y, X = cp.Variable(k), cp.Parameter(n), s.normal(size=(n, k))
    ridge = cp.Parameter(nonneg=True)
    loss = 0.5 * cp.norm1(y - X @ b) + 0.3 * cp.sum(y - X @ b)
    problem = cp.Problem(cp.Minimize(loss + ridge * cp.sum_squares(b)))
    return modelled(
        problem,
        {y: "free", ridge: "pos"},
        [b],
        lambda r, u: [X @ r.normal(size=k) + r.normal(size=n), r.uniform(0.05, 1)],
    )


@family("least deviations")
def deviations(s: Rng) -> Program:
    """An LP; its vertex moves with the observations."""
    n, k = int(s.integers(6, 14)), int(s.integers(2, 5))
    b, y, X = cp.Variable(k), cp.Parameter(n), s.normal(size=(n, k))
    problem = cp.Problem(cp.Minimize(cp.norm1(X @ b - y)))
    return modelled(problem, {y: "free"}, [b], lambda r, u: [u.x * r.normal(size=n)], strict=False)


@family("least worst residual")
def minimax(s: Rng) -> Program:
    n, k = int(s.integers(6, 14)), int(s.integers(2, 5))
    b, y, X = cp.Variable(k), cp.Parameter(n), s.normal(size=(n, k))
    problem = cp.Problem(cp.Minimize(cp.norm_inf(X @ b - y)))
    return modelled(problem, {y: "free"}, [b], lambda r, u: [u.x * r.normal(size=n)], strict=False)


@family("least norm under equations")
def least_norm(s: Rng) -> Program:
    """Of the residual norm and not its square, so the objective has a ray of no curvature."""
    n, k = int(s.integers(5, 10)), int(s.integers(2, 4))
    x, b, A = cp.Variable(n), cp.Parameter(k), s.normal(size=(k, n))
    p = cp.Parameter(n)
    problem = cp.Problem(cp.Minimize(cp.norm(x - p)), [A @ x == b])

    def closed(b: Array, p: Array) -> list[Array]:
        return [p + np.linalg.pinv(A) @ (b - A @ p)]

    return modelled(
        problem,
        {b: "free", p: "free"},
        [x],
        lambda r, u: [u.x * r.normal(size=k), u.x * r.normal(size=n)],
        closed,
        strict=False,
    )


@family("basis pursuit")
def pursuit(s: Rng) -> Program:
    x, b, A = cp.Variable(10), cp.Parameter(4), s.normal(size=(4, 10))
    problem = cp.Problem(cp.Minimize(cp.norm1(x)), [A @ x == b])
    return modelled(problem, {b: "free"}, [x], lambda r, u: [u.x * r.normal(size=4)], strict=False)


@family("nonnegative least squares")
def nonnegative(s: Rng) -> Program:
    n, k = int(s.integers(8, 15)), int(s.integers(3, 8))
    b, y, X = cp.Variable(k, nonneg=True), cp.Parameter(n), cp.Parameter((n, k))
    problem = cp.Problem(cp.Minimize(cp.sum_squares(X @ b - y)))

    def draw(r: Rng, u: Units) -> list[Array]:
        return [u.x * v for v in _data(r, n, k)]

    return modelled(problem, {X: "free", y: "free"}, [b], draw)


@family("support vectors")
def vectors(s: Rng) -> Program:
    n, k = int(s.integers(8, 20)), int(s.integers(2, 5))
    w, X, C = cp.Variable(k), cp.Parameter((n, k)), cp.Parameter(nonneg=True)
    short = cp.Variable(n, nonneg=True)
    cost = 0.5 * cp.sum_squares(w) + C * cp.sum(short)

    def draw(r: Rng, u: Units) -> list[Array]:
        return [(r.normal(size=(n, k)) + 0.5) / u.x, u.x**2 * r.uniform(0.05, 2)]

    return modelled(
        cp.Problem(cp.Minimize(cost), [X @ w >= 1 - short]), {X: "free", C: "pos"}, [w], draw
    )


@family("logistic regression")
def logistic(s: Rng) -> Program:
    n, k = int(s.integers(10, 25)), int(s.integers(2, 5))
    w, X, lam = cp.Variable(k), cp.Parameter((n, k)), cp.Parameter(nonneg=True)
    cost = cp.sum(cp.logistic(X @ w)) + lam * cp.sum_squares(w)
    return modelled(
        cp.Problem(cp.Minimize(cost)),
        {X: "free", lam: "pos"},
        [w],
        lambda r, u: [r.normal(size=(n, k)) - 0.3, 10 ** r.uniform(-2, 1)],
    )


@family("logistic regression, L1")
def sparse_logistic(s: Rng) -> Program:
    n, k = int(s.integers(10, 25)), int(s.integers(2, 6))
    w, X, lam = cp.Variable(k), cp.Parameter((n, k)), cp.Parameter(nonneg=True)
    cost = cp.sum(cp.logistic(X @ w)) + lam * cp.norm1(w)

    def draw(r: Rng, u: Units) -> list[Array]:
        return [r.normal(size=(n, k)) + 0.3, r.uniform(0.3, 4)]

    return modelled(cp.Problem(cp.Minimize(cost)), {X: "free", lam: "pos"}, [w], draw)


@family("total variation")
def variation(s: Rng) -> Program:
    n = int(s.integers(8, 25))
    x, y, lam = cp.Variable(n), cp.Parameter(n), cp.Parameter(nonneg=True)
    cost = 0.5 * cp.sum_squares(x - y) + lam * cp.norm1(cp.diff(x))

    def draw(r: Rng, u: Units) -> list[Array]:
        steps = np.repeat(r.normal(size=4), n)[: 4 * n : 4]
        return [u.x * (steps + 0.2 * r.normal(size=n)), u.x * r.uniform(0.1, 1)]

    return modelled(cp.Problem(cp.Minimize(cost)), {y: "free", lam: "pos"}, [x], draw)


@family("trend filter")
def trend(s: Rng) -> Program:
    n = int(s.integers(8, 18))
    x, y, lam = cp.Variable(n), cp.Parameter(n), cp.Parameter(nonneg=True)
    cost = 0.5 * cp.sum_squares(x - y) + lam * cp.norm1(cp.diff(x, 2))

    def draw(r: Rng, u: Units) -> list[Array]:
        return [u.x * np.cumsum(r.normal(size=n)), u.x * r.uniform(0.1, 2)]

    return modelled(cp.Problem(cp.Minimize(cost)), {y: "free", lam: "pos"}, [x], draw)
