"""Families of exponential and power cones."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
from _truth_programs import Array, Program, Rng, Units, conic, family, modelled
from _truth_quadratic import definite

from lpgd import Cones


@family("softmax")
def softmax(s: Rng) -> Program:
    return _softmax(int(s.integers(2, 8)), 0.2, 1.0)


@family("softmax, saturated")
def saturated(s: Rng) -> Program:
    return _softmax(int(s.integers(2, 5)), 2.0, 6.0)


@family("softmax, with bounds that stand for none")
def bounded(s: Rng) -> Program:
    return _softmax(int(s.integers(2, 8)), 0.2, 1.0, far=True)


@family("softmax, with masks")
def masked(s: Rng) -> Program:
    return _softmax(int(s.integers(2, 8)), 0.2, 1.0, masks=10.0 ** s.uniform(7, 30, 2))


def _softmax(
    n: int, low: float, high: float, *, far: bool = False, masks: Array | None = None
) -> Program:
    masks = np.zeros(0) if masks is None else masks
    x, v, alpha = cp.Variable(n + len(masks)), cp.Parameter(n), cp.Parameter(nonneg=True)
    none = [x <= 1e20, cp.norm(x) <= 1e15] if far else []
    objective = cp.Maximize(v @ x[:n] - masks @ x[n:] + alpha * cp.sum(cp.entr(x)))

    def closed(v: Array, alpha: Array) -> list[Array]:
        e = np.exp((v - v.max()) / alpha)
        return [np.concatenate([e / e.sum(), 0 * masks])]

    def draw(r: Rng, u: Units) -> list[Array]:
        return [u.f * r.uniform(low, high) * r.normal(size=n), u.f * 0.5]

    return modelled(
        cp.Problem(objective, [cp.sum(x) == 1, *none]),
        {v: "free", alpha: "pos"},
        [x],
        draw,
        closed,
    )


@family("largest entropy under moments")
def moments(s: Rng) -> Program:
    return _moments(s, 1.0)


@family("largest entropy under moments, with rounding")
def rounded(s: Rng) -> Program:
    return _moments(s, 10 ** s.uniform(-40, -10))


def _moments(s: Rng, faint: float) -> Program:
    n = int(s.integers(5, 10))
    x, b, A = cp.Variable(n), cp.Parameter(2), s.normal(size=(2, n))
    A[:, 2:] *= np.where(s.random((2, n - 2)) < 0.4, faint, 1.0)
    problem = cp.Problem(cp.Maximize(cp.sum(cp.entr(x))), [cp.sum(x) == 1, A @ x == b])
    return modelled(problem, {b: "free"}, [x], lambda r, u: [A @ r.dirichlet(np.ones(n))])


@family("divergence with bounds")
def divergence(s: Rng) -> Program:
    n = int(s.integers(4, 8))
    x, score, most = cp.Variable(n), cp.Parameter(n), cp.Parameter(nonneg=True)
    cost = -cp.sum(cp.entr(x)) - score @ x
    problem = cp.Problem(cp.Minimize(cost), [cp.sum(x) == 1, x <= most])
    return modelled(
        problem,
        {score: "free", most: "pos"},
        [x],
        lambda r, u: [np.log(r.dirichlet(np.ones(n))), r.uniform(1.2 / n, 3 / n)],
    )


@family("log utility")
def utility(s: Rng) -> Program:
    n = int(s.integers(2, 8))
    x, w, budget = cp.Variable(n), cp.Parameter(n, nonneg=True), cp.Parameter(nonneg=True)
    problem = cp.Problem(cp.Maximize(w @ cp.log(x)), [cp.sum(x) <= budget])
    return modelled(
        problem,
        {w: "pos", budget: "pos"},
        [x],
        lambda r, u: [u.f * r.uniform(0.3, 2, n), u.x],
        lambda w, budget: [budget * w / w.sum()],
    )


@family("water filling")
def water(s: Rng) -> Program:
    n = int(s.integers(3, 10))
    x, a, total = cp.Variable(n), cp.Parameter(n), cp.Parameter(nonneg=True)
    problem = cp.Problem(cp.Maximize(cp.sum(cp.log(a + x))), [cp.sum(x) == total, x >= 0])

    def closed(a: Array, total: Array) -> list[Array]:
        ordered = np.sort(a)
        levels = (np.cumsum(ordered) + total) / np.arange(1, n + 1)
        return [np.maximum(levels[np.flatnonzero(levels > ordered)[-1]] - a, 0)]

    return modelled(
        problem,
        {a: "pos", total: "pos"},
        [x],
        lambda r, u: [u.x * r.uniform(0.5, 2, n), u.x * r.uniform(0.3, 3)],
        closed,
    )


@family("Kelly bets")
def kelly(s: Rng) -> Program:
    n, k = int(s.integers(2, 5)), int(s.integers(5, 9))
    b, p = cp.Variable(n), cp.Parameter(k, nonneg=True)
    R = s.uniform(0.4, 0.6, (k, n)) + 1.5 * (np.arange(k)[:, None] % n == np.arange(n))
    problem = cp.Problem(cp.Maximize(p @ cp.log(R @ b)), [cp.sum(b) == 1, b >= 0])
    return modelled(problem, {p: "pos"}, [b], lambda r, u: [r.dirichlet(np.ones(k))], strict=False)


@family("log-sum-exp")
def log_sum_exp(s: Rng) -> Program:
    n, m = int(s.integers(2, 5)), int(s.integers(5, 10))
    x, b, A = cp.Variable(n), cp.Parameter(m), s.normal(size=(m, n))
    cost = cp.log_sum_exp(A @ x + b) + 0.05 * cp.sum_squares(x)
    problem = cp.Problem(cp.Minimize(cost), [cp.abs(x) <= 1])
    return modelled(problem, {b: "free"}, [x], lambda r, u: [r.normal(size=m)])


@family("exponential limit")
def exponential(s: Rng) -> Program:
    n = int(s.integers(3, 7))
    x, p, most = cp.Variable(n), cp.Parameter(n), cp.Parameter(nonneg=True)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - p)), [cp.sum(cp.exp(x)) <= most])
    return modelled(
        problem,
        {p: "free", most: "pos"},
        [x],
        lambda r, u: [r.normal(size=n), n * r.uniform(0.3, 4)],
    )


@family("matrix balancing")
def balancing(s: Rng) -> Program:
    k = int(s.integers(2, 4))
    X, C = cp.Variable((k, k)), cp.Parameter((k, k))
    rows, columns = cp.Parameter(k), cp.Parameter(k - 1)
    problem = cp.Problem(
        cp.Minimize(cp.sum(cp.multiply(C, X)) - 0.3 * cp.sum(cp.entr(X))),
        [cp.sum(X, axis=1) == rows, cp.sum(X, axis=0)[:-1] == columns],
    )

    def draw(r: Rng, u: Units) -> list[Array]:
        return [r.random((k, k)), r.dirichlet(np.ones(k) * 3), r.dirichlet(np.ones(k) * 3)[:-1]]

    return modelled(problem, {C: "free", rows: "pos", columns: "pos"}, [X], draw)


@family("geometric program")
def posynomials(s: Rng) -> Program:
    x, y, z = (cp.Variable(pos=True) for _ in range(3))
    a, b, c = (cp.Parameter(pos=True) for _ in range(3))
    rows = [a * x * y + a * y * z <= 10, b * x / y <= 4, z >= 0.1]
    problem = cp.Problem(cp.Minimize(1 / (x * y * z) + c * x / z), rows)
    return modelled(
        problem,
        {a: "pos", b: "pos", c: "pos"},
        [x, y, z],
        lambda r, u: list(r.uniform(0.5, 2, 3)),
        gp=True,
        strict=False,
    )


@family("geometric mean")
def mean(s: Rng) -> Program:
    n = int(s.integers(2, 5))
    x, c, most = cp.Variable(n), cp.Parameter(n, nonneg=True), cp.Parameter(nonneg=True)
    weights = np.asarray(s.integers(1, 4, n))
    problem = cp.Problem(cp.Maximize(cp.geo_mean(x, weights)), [c @ x <= most])

    def closed(c: Array, most: Array) -> list[Array]:
        return [most * weights / weights.sum() / c]

    return modelled(
        problem,
        {c: "pos", most: "pos"},
        [x],
        lambda r, u: [r.uniform(0.5, 2, n), u.x * r.uniform(0.5, 2)],
        closed,
        strict=False,
    )


@family("power cones")
def powers(s: Rng) -> Program:
    n, p = int(s.integers(2, 5)), float(s.uniform(1.3, 3.5))
    x, q = cp.Variable(n), cp.Parameter(n)
    problem = cp.Problem(
        cp.Minimize(cp.sum(cp.power(cp.abs(x), round(p, 1))) + q @ x), [cp.sum(x) == 1]
    )
    return modelled(problem, {q: "free"}, [x], lambda r, u: [r.normal(size=n)])


@family("three-dimensional power cone")
def power_cone(s: Rng) -> Program:
    x, p, a = cp.Variable(3), cp.Parameter(3), float(s.uniform(0.2, 0.8))
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - p)), [cp.PowCone3D(x[0], x[1], x[2], a)])
    return modelled(
        problem, {p: "free"}, [x], lambda r, u: [u.x * (r.normal(size=3) + np.array([0.5, 0.5, 0]))]
    )


@family("ConicLayer, exponential cones")
def exp_layer(s: Rng) -> Program:
    n, k = int(s.integers(3, 6)), 2

    def draw(r: Rng, u: Units) -> list[Array]:
        A, x0 = r.normal(size=(3 * k, n)), r.normal(size=n)
        room = np.tile([0.2, 1.0, 2.0], k) + 0.2 * r.normal(size=3 * k)
        return [definite(r, n), 2 * r.normal(size=n), A, A @ x0 + room]

    return conic(Cones(exp=k), ("sym", "free", "free", "free"), draw)


@family("ConicLayer, power cones")
def power_layer(s: Rng) -> Program:
    n, exponents = int(s.integers(3, 6)), (float(s.uniform(0.2, 0.8)), 0.5)

    def draw(r: Rng, u: Units) -> list[Array]:
        A, x0 = r.normal(size=(6, n)), r.normal(size=n)
        room = np.tile([1.0, 1.0, 0.3], 2) + 0.1 * r.normal(size=6)
        return [
            definite(r, n) * u.f / u.x**2,
            2 * r.normal(size=n) * u.f / u.x,
            A,
            (A @ x0 + room) * u.x,
        ]

    return conic(Cones(power=exponents), ("sym", "free", "free", "free"), draw)


@family("likelihood of a covariance")
def covariance(s: Rng) -> Program:
    k = int(s.integers(2, 4))
    X, S, lam = (
        cp.Variable((k, k), symmetric=True),
        cp.Parameter((k, k), symmetric=True),
        cp.Parameter(nonneg=True),
    )
    problem = cp.Problem(cp.Maximize(cp.log_det(X) - cp.trace(S @ X) - lam * cp.sum(cp.abs(X))))

    def draw(r: Rng, u: Units) -> list[Array]:
        return [definite(r, k) * k + 0.3 * np.eye(k), r.uniform(0.02, 0.5)]

    return modelled(problem, {S: "sym", lam: "pos"}, [X], draw)


@family("smallest ellipsoid")
def ellipsoid(s: Rng) -> Program:
    n, m = 2, int(s.integers(5, 9))
    A, b, points = cp.Variable((n, n), symmetric=True), cp.Variable(n), cp.Parameter((m, n))
    rows = [cp.norm(A @ points[i] + b) <= 1 for i in range(m)]
    problem = cp.Problem(cp.Maximize(cp.log_det(A)), rows)
    return modelled(
        problem, {points: "free"}, [A, b], lambda r, u: [r.normal(size=(m, n))], strict=False
    )
