"""Families of norms, second-order cones and semidefinite programs."""

from __future__ import annotations

from collections.abc import Callable

import cvxpy as cp
import numpy as np
from _truth_programs import Array, Program, Rng, Units, conic, family, modelled
from _truth_quadratic import definite

from lpgd import Cones


@family("slack norm")
def slack(s: Rng) -> Program:
    n, order = int(s.integers(2, 8)), [1, 2, "inf"][s.integers(3)]
    x, p, far = cp.Variable(n), cp.Parameter(n), cp.Parameter(nonneg=True)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - p)), [cp.norm(x, order) <= far])
    return modelled(
        problem,
        {p: "free", far: "pos"},
        [x],
        lambda r, u: [u.x * r.normal(size=n), u.x * r.uniform(20, 40)],
        lambda p, far: [p],
    )


@family("slack norm, exp and curvature")
def slack_mixed(s: Rng) -> Program:
    n = int(s.integers(3, 8))
    L, x, q = np.linalg.cholesky(definite(s, n)), cp.Variable(n), cp.Parameter(n)
    rows = [cp.norm(x) <= 50, cp.sum(cp.exp(x)) <= 1e6, cp.sum(x) == 1]
    problem = cp.Problem(cp.Minimize(cp.sum_squares(L.T @ x) + q @ x), rows)

    def closed(q: Array) -> list[Array]:
        K = np.block([[2 * L @ L.T, np.ones((n, 1))], [np.ones((1, n)), np.zeros((1, 1))]])
        return [np.linalg.solve(K, np.r_[-q, 1.0])[:n]]

    return modelled(problem, {q: "free"}, [x], lambda r, u: [r.normal(size=n)], closed)


@family("projection on a ball")
def ball(s: Rng) -> Program:
    return _ball(s, lambda x: [])


@family("projection on a ball, with bounds that stand for none")
def bounded(s: Rng) -> Program:
    return _ball(s, lambda x: [x <= 1e20, cp.norm(x, 1) <= 1e15, s.normal(size=x.size) @ x <= 1e20])


@family("projection on a ball and a plane, with rounding")
def rounded(s: Rng) -> Program:
    n, faint = int(s.integers(3, 10)), 10 ** s.uniform([-40, -200], [-10, -25])
    x, p, most = cp.Variable(n), cp.Parameter(n), cp.Parameter(nonneg=True)
    a = np.r_[s.normal(size=2), np.where(s.random(n - 2) < 0.5, faint[0], s.normal(size=n - 2))]
    rows = [cp.norm(x) <= most, a @ x == faint[1]]

    def closed(p: Array, most: Array) -> list[Array]:
        along = p - a * (a @ p) / (a @ a)
        return [along * min(1.0, most / np.linalg.norm(along))]

    return modelled(
        cp.Problem(cp.Minimize(cp.sum_squares(x - p)), rows),
        {p: "free", most: "pos"},
        [x],
        lambda r, u: [u.x * r.normal(size=n), u.x * r.uniform(0.5, 3)],
        closed,
    )


def _ball(s: Rng, more: Callable[[cp.Variable], list[cp.Constraint]]) -> Program:
    n = int(s.integers(2, 10))
    x, p, most = cp.Variable(n), cp.Parameter(n), cp.Parameter(nonneg=True)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - p)), [cp.norm(x) <= most, *more(x)])

    def closed(p: Array, most: Array) -> list[Array]:
        return [p * min(1.0, most / np.linalg.norm(p))]

    return modelled(
        problem,
        {p: "free", most: "pos"},
        [x],
        lambda r, u: [u.x * r.normal(size=n), u.x * r.uniform(0.5, 3)],
        closed,
    )


@family("QP in ellipsoids")
def ellipsoids(s: Rng) -> Program:
    n = int(s.integers(3, 8))
    x, q, g = cp.Variable(n), cp.Parameter(n), cp.Parameter((3, n))
    F = [np.eye(n) + 0.3 * s.normal(size=(n, n)) for _ in range(3)]
    rows = [cp.norm(F[i] @ x + g[i]) <= 1 for i in range(3)]
    problem = cp.Problem(cp.Minimize(0.05 * cp.sum_squares(x) + q @ x), rows)
    return modelled(
        problem,
        {q: "free", g: "free"},
        [x],
        lambda r, u: [r.normal(size=n), 0.3 * r.normal(size=(3, n))],
    )


@family("L1 ball")
def l1_ball(s: Rng) -> Program:
    n = int(s.integers(4, 40))
    L = s.normal(size=(n, n))
    v, p, most = cp.Variable(n), cp.Parameter(n), cp.Parameter(nonneg=True)
    cost = 0.5 * cp.sum_squares(L.T @ v) + 0.5 * cp.sum_squares(v) - p @ v
    problem = cp.Problem(cp.Minimize(cost), [cp.abs(v) <= most, cp.norm(v, 1) <= most])
    return modelled(
        problem,
        {p: "free", most: "pos"},
        [v],
        lambda r, u: [r.uniform(0.3, 2) * r.normal(size=n), 1.0],
    )


@family("L1 ball of a hundred", share=0.25)
def large_l1_ball(s: Rng) -> Program:
    n = 100
    L, v, p = s.normal(size=(n, n)), cp.Variable(n), cp.Parameter(n)
    cost = 0.5 * cp.sum_squares(L.T @ v) + 0.5 * cp.sum_squares(v) - p @ v
    problem = cp.Problem(cp.Minimize(cost), [v <= 1, -v <= 1, cp.norm(v, 1) <= 1])
    return modelled(problem, {p: "free"}, [v], lambda r, u: [r.uniform(0.3, 1) * r.normal(size=n)])


@family("robust LP")
def robust(s: Rng) -> Program:
    n, m = int(s.integers(2, 5)), int(s.integers(4, 9))
    A, E = s.normal(size=(m, n)) / n**0.5, 0.1 * s.normal(size=(m, n, n))
    x, b, c = cp.Variable(n), cp.Parameter(m), cp.Parameter(n)
    rows = [A[i] @ x + cp.norm(E[i] @ x) <= b[i] for i in range(m)]
    problem = cp.Problem(cp.Minimize(c @ x), [*rows, cp.abs(x) <= 1])
    return modelled(
        problem,
        {c: "still", b: "free"},
        [x],
        lambda r, u: [u.f * r.normal(size=n), r.uniform(0.2, 1, m)],
        strict=False,
    )


@family("linear cost in a ball and a box")
def ball_and_box(s: Rng) -> Program:
    n = int(s.integers(3, 8))
    x, c, most = cp.Variable(n), cp.Parameter(n), cp.Parameter(nonneg=True)
    problem = cp.Problem(cp.Minimize(c @ x), [cp.norm(x) <= most, x <= 0.6, x >= -0.6])
    return modelled(
        problem,
        {c: "free", most: "pos"},
        [x],
        lambda r, u: [u.f * r.normal(size=n), r.uniform(0.5, 1.2)],
        strict=False,
    )


@family("geometric median")
def median(s: Rng) -> Program:
    n, k = int(s.integers(2, 4)), int(s.integers(3, 7))
    x, p = cp.Variable(n), cp.Parameter((k, n))
    problem = cp.Problem(cp.Minimize(cp.sum(cp.norm(cp.vstack([x] * k) - p, axis=1))))
    return modelled(
        problem, {p: "free"}, [x], lambda r, u: [u.x * r.normal(size=(k, n))], strict=False
    )


@family("antenna, sum of norms with a budget")
def antenna(s: Rng) -> Program:
    n, m = int(s.integers(3, 7)), 4
    x, b, F = cp.Variable(n), cp.Parameter((m, 2)), s.normal(size=(m, 2, n))
    cost = cp.sum([cp.norm(F[i] @ x - b[i]) for i in range(m)]) + 0.1 * cp.sum_squares(x)
    problem = cp.Problem(cp.Minimize(cost), [cp.norm(x) <= 1])
    return modelled(problem, {b: "free"}, [x], lambda r, u: [r.normal(size=(m, 2))])


@family("ConicLayer, second-order cones")
def cones(s: Rng) -> Program:
    n = int(s.integers(3, 8))
    sizes = (int(s.integers(3, 5)), int(s.integers(3, 5)))
    m = 2 + sum(sizes)

    def draw(r: Rng, u: Units) -> list[Array]:
        A, x0 = r.normal(size=(m, n)), r.normal(size=n)
        room = np.r_[
            r.uniform(0, 1, 2),
            np.concatenate([np.r_[1.2, r.normal(size=k - 1) / k] for k in sizes]),
        ]
        return [
            definite(r, n) * u.f / u.x**2,
            2 * r.normal(size=n) * u.f / u.x,
            A,
            (A @ x0 + room) * u.x,
        ]

    return conic(Cones(nonneg=2, soc=sizes), ("sym", "free", "free", "free"), draw)


@family("ConicLayer, multipliers too")
def cone_multipliers(s: Rng) -> Program:
    n, size = int(s.integers(4, 7)), 4

    def draw(r: Rng, u: Units) -> list[Array]:
        A, x0 = r.normal(size=(1 + size, n)), r.normal(size=n)
        room = np.r_[0.0, 1.0, r.normal(size=size - 1) / 6]
        return [
            definite(r, n) * u.f / u.x**2,
            2 * r.normal(size=n) * u.f / u.x,
            A,
            (A @ x0 + room) * u.x,
        ]

    kinds = ("sym", "free", "free", "free")
    return conic(Cones(zero=1, soc=(size,)), kinds, draw, duals=True)


def _symmetric(r: Rng, k: int) -> Array:
    S = r.normal(size=(k, k))
    return 0.5 * (S + S.T)


@family("projection on semidefinite matrices")
def psd_part(s: Rng) -> Program:
    k = int(s.integers(2, 5))
    X, S = cp.Variable((k, k), symmetric=True), cp.Parameter((k, k), symmetric=True)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(X - S)), [X >> 0])

    def closed(S: Array) -> list[Array]:
        sizes, Q = np.linalg.eigh(S)
        return [(Q * np.maximum(sizes, 0)) @ Q.T]

    return modelled(problem, {S: "sym"}, [X], lambda r, u: [u.x * _symmetric(r, k)], closed)


@family("nearest correlation matrix")
def correlation(s: Rng) -> Program:
    k = int(s.integers(3, 5))
    X, S = cp.Variable((k, k), symmetric=True), cp.Parameter((k, k), symmetric=True)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(X - S)), [X >> 0, cp.diag(X) == 1])
    return modelled(problem, {S: "sym"}, [X], lambda r, u: [1.2 * _symmetric(r, k)])


@family("SDP, linear objective")
def sdp(s: Rng) -> Program:
    k = int(s.integers(3, 5))
    X, C, b = (
        cp.Variable((k, k), symmetric=True),
        cp.Parameter((k, k), symmetric=True),
        cp.Parameter(2),
    )
    B = _symmetric(s, k)
    rows = [X >> 0, cp.trace(X) == b[0], cp.trace(B @ X) == b[1]]
    problem = cp.Problem(cp.Minimize(cp.trace(C @ X)), rows)

    def draw(r: Rng, u: Units) -> list[Array]:
        L = r.normal(size=(k, k)) / k
        X0 = L @ L.T
        return [u.f * _symmetric(r, k), np.array([np.trace(X0), np.sum(B * X0)])]

    return modelled(problem, {C: "sym", b: "free"}, [X], draw, strict=False)


@family("largest eigenvalue")
def eigenvalue(s: Rng) -> Program:
    k, n = 4, int(s.integers(2, 4))
    x, C, B = (
        cp.Variable(n),
        cp.Parameter((k, k), symmetric=True),
        [_symmetric(s, k) for _ in range(n)],
    )
    moved = C + cp.sum([x[i] * B[i] for i in range(n)])
    problem = cp.Problem(cp.Minimize(cp.lambda_max(moved) + 0.2 * cp.sum_squares(x)))
    return modelled(problem, {C: "sym"}, [x], lambda r, u: [_symmetric(r, k)])


@family("ConicLayer, semidefinite")
def psd_layer(s: Rng) -> Program:
    k = int(s.integers(2, 5))
    n = k * (k + 1) // 2

    def draw(r: Rng, u: Units) -> list[Array]:
        A, L = np.vstack([r.normal(size=(1, n)), -np.eye(n)]), r.normal(size=(k, k))
        columns, rows = np.tril_indices(k)
        inside = (L @ L.T)[rows, columns] * np.where(rows == columns, 1, np.sqrt(2))
        b = np.r_[A[0] @ inside, 0.1 * r.normal(size=n)]
        return [definite(r, n) * u.f / u.x**2, r.normal(size=n) * u.f / u.x, A, u.x * b]

    return conic(Cones(zero=1, psd=(k,)), ("sym", "free", "free", "free"), draw)


@family("CvxpyLayer, multipliers of a norm")
def norm_multiplier(s: Rng) -> Program:
    n = int(s.integers(3, 7))
    x, p, A = cp.Variable(n), cp.Parameter(n), s.normal(size=(2, n))
    b = cp.Parameter(2)
    rows = [cp.SOC(cp.Constant(1.0), x), A @ x <= b]
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - p)), rows)
    return modelled(
        problem,
        {p: "free", b: "free"},
        [x, rows[1].dual_variables[0]],
        lambda r, u: [r.normal(size=n), r.uniform(-0.3, 0.2, 2)],
    )


@family("L1 ball, data of a thousand", share=0.1)
def heavy_l1_ball(s: Rng) -> Program:
    n, size = 129, 1e3
    L, v, p = np.tril(s.normal(size=(n, n)) / np.sqrt(n)), cp.Variable(n), cp.Parameter(n)
    cost = 0.5 * cp.sum_squares(L.T @ v) + 0.5 * cp.sum_squares(v) - p @ v
    rows = [cp.norm(v, 1) <= size, v <= 0.3 * size, v >= -0.3 * size]
    return modelled(
        cp.Problem(cp.Minimize(cost), rows),
        {p: "free"},
        [v],
        lambda r, u: [size * r.normal(size=n)],
    )
