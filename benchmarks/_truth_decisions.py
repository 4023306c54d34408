"""Families of decisions: control, portfolios, projections on polyhedra."""

from __future__ import annotations

from dataclasses import replace

import cvxpy as cp
import numpy as np
from _truth_programs import Array, Program, Rng, Units, family, modelled
from _truth_quadratic import definite


@family("control, MPC")
def mpc(s: Rng) -> Program:
    n, m, T = s.integers(2, 4), s.integers(1, 3), s.integers(4, 9)
    A, B = np.eye(n) + 0.2 * s.normal(size=(n, n)), s.normal(size=(n, m))
    x, v, start = cp.Variable((T + 1, n)), cp.Variable((T, m)), cp.Parameter(n)
    target, most = cp.Parameter(n), cp.Parameter(nonneg=True)
    cost = cp.sum_squares(x - cp.vstack([target] * (T + 1))) + 0.1 * cp.sum_squares(v)
    rows = [x[0] == start, x[1:] == x[:-1] @ A.T + v @ B.T, cp.abs(v) <= most]
    return modelled(
        cp.Problem(cp.Minimize(cost), rows),
        {start: "free", target: "free", most: "pos"},
        [v],
        lambda r, u: [u.x * r.normal(size=n), u.x * r.normal(size=n), u.x * r.uniform(0.2, 1)],
    )


@family("control, rate limits and soft bounds")
def rates(s: Rng) -> Program:
    T = s.integers(5, 12)
    v, target, most, weight = cp.Variable(T), cp.Parameter(T), cp.Parameter(nonneg=True), 2.0
    soft = weight * cp.sum(cp.pos(cp.cumsum(v) - most))
    cost = cp.sum_squares(cp.cumsum(v) - target) + 0.1 * cp.sum_squares(v) + most * 0
    rows = [cp.abs(cp.diff(v)) <= most]
    return modelled(
        cp.Problem(cp.Minimize(cost + soft), rows),
        {target: "free", most: "pos"},
        [v],
        lambda r, u: [np.cumsum(r.normal(size=T)), r.uniform(0.3, 1.5)],
    )


@family("portfolio, long only")
def markowitz(s: Rng) -> Program:
    n = s.integers(4, 12)
    S = definite(s, n)
    L = np.linalg.cholesky(S)
    w, mu, gamma = cp.Variable(n), cp.Parameter(n), cp.Parameter(nonneg=True)
    objective = cp.Maximize(mu @ w - gamma * cp.sum_squares(L.T @ w))
    return modelled(
        cp.Problem(objective, [cp.sum(w) == 1, w >= 0]),
        {mu: "free", gamma: "pos"},
        [w],
        lambda r, u: [u.f * r.normal(size=n), u.f * r.uniform(0.5, 5)],
    )


@family("portfolio, turnover costs")
def turnover(s: Rng) -> Program:
    n = s.integers(4, 12)
    L = np.linalg.cholesky(definite(s, n))
    w, mu, held = cp.Variable(n), cp.Parameter(n), cp.Parameter(n)
    fee = cp.Parameter(nonneg=True)
    trade = cp.Variable(n)
    objective = mu @ w - cp.sum_squares(L.T @ w) - fee * cp.norm1(trade)
    rows = [cp.sum(w) == 1, w >= 0, w <= 0.6, trade == w - held]

    def draw(r: Rng, u: Units) -> list[Array]:
        return [0.5 * r.normal(size=n), r.dirichlet(np.ones(n)), r.uniform(0.01, 0.2)]

    return modelled(
        cp.Problem(cp.Maximize(objective), rows), {mu: "free", held: "pos", fee: "pos"}, [w], draw
    )


@family("portfolio, nearly flat")
def flat_portfolio(s: Rng) -> Program:
    n, fee = int(s.integers(2, 6)), [0.0, 1e-4][s.integers(2)]
    w, a, held = cp.Variable(n), cp.Parameter(n), s.dirichlet(np.ones(n))
    objective = a @ w - 1e-3 * cp.sum_squares(w) - fee * cp.norm1(w - held)
    inside = [cp.norm(w) <= 1, cp.exp(w) <= 5, w <= 0.9][s.integers(3)]
    problem = cp.Problem(cp.Maximize(objective), [cp.sum(w) == 1, w >= 0, inside])
    return modelled(problem, {a: "pos"}, [w], lambda r, u: [1 + 5e-4 * r.normal(size=n)])


@family("portfolio, risk limit")
def risk_limit(s: Rng) -> Program:
    n = s.integers(3, 10)
    L = np.linalg.cholesky(definite(s, n))
    w, mu, most = cp.Variable(n), cp.Parameter(n), cp.Parameter(nonneg=True)
    rows = [cp.norm(L.T @ w) <= most, cp.sum(w) == 0, cp.norm(w, "inf") <= 1]
    return modelled(
        cp.Problem(cp.Maximize(mu @ w), rows),
        {mu: "free", most: "pos"},
        [w],
        lambda r, u: [u.f * r.normal(size=n), r.uniform(0.1, 0.5)],
        strict=False,
    )


@family("portfolio, tail risk")
def tail(s: Rng) -> Program:
    n, k = s.integers(3, 7), s.integers(12, 20)
    w, R, mu = cp.Variable(n), s.normal(size=(k, n)), cp.Parameter(n)
    cost = cp.sum_largest(R @ w, 4) / 4 - mu @ w + 0.5 * cp.sum_squares(w)
    return modelled(
        cp.Problem(cp.Minimize(cost), [cp.sum(w) == 1, w >= 0]),
        {mu: "free"},
        [w],
        lambda r, u: [r.normal(size=n)],
    )


@family("projection on the simplex")
def simplex(s: Rng) -> Program:
    return _simplex(s, np.zeros(0))


@family("projection on the simplex, with masks")
def masked(s: Rng) -> Program:
    return _simplex(s, 10.0 ** s.uniform(7, 30, 3))


def _simplex(s: Rng, masks: Array) -> Program:
    n = int(s.integers(3, 15))
    x, p = cp.Variable(n + len(masks)), cp.Parameter(n)
    total = cp.Parameter(nonneg=True)
    cost = cp.sum_squares(x[:n] - p) + masks @ x[n:]
    problem = cp.Problem(cp.Minimize(cost), [cp.sum(x) == total, x >= 0])

    def closed(p: Array, total: Array) -> list[Array]:
        ordered = np.sort(p)[::-1]
        levels = (np.cumsum(ordered) - total) / np.arange(1, n + 1)
        found = np.maximum(p - levels[np.flatnonzero(ordered > levels)[-1]], 0)
        return [np.concatenate([found, 0 * masks])]

    return modelled(
        problem,
        {p: "free", total: "pos"},
        [x],
        lambda r, u: [u.x * r.normal(size=n), u.x * r.uniform(0.5, 2)],
        closed,
    )


@family("penalties that are never paid")
def penalties(s: Rng) -> Program:
    """A norm, rows that may be violated at a price of 1e9: nothing is worth that."""
    n, m = int(s.integers(3, 10)), int(s.integers(2, 6))
    x, slack, p = cp.Variable(n), cp.Variable(m, nonneg=True), cp.Parameter(n)
    A, b = s.normal(size=(m, n)), s.uniform(0.1, 1.0, m)
    cost = cp.norm(x - p) + 0.5 * cp.sum_squares(x)
    hard = cp.Problem(cp.Minimize(cost), [A @ x <= b])
    soft = cp.Problem(cp.Minimize(cost + 1e9 * cp.sum(slack)), [A @ x <= b + slack])
    one = modelled(soft, {p: "free"}, [x], lambda r, u: [2 * r.normal(size=n)])
    return replace(one, solve=modelled(hard, {p: "free"}, [x], one.draw).solve)


@family("isotonic regression")
def isotonic(s: Rng) -> Program:
    n = s.integers(5, 15)
    x, y = cp.Variable(n), cp.Parameter(n)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - y)), [cp.diff(x) >= 0])
    return modelled(
        problem, {y: "free"}, [x], lambda r, u: [u.x * (r.normal(size=n) + 0.1 * np.arange(n))]
    )
