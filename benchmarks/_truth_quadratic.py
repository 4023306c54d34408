"""Families of QPs and LPs, most of them through the layers directly."""

from __future__ import annotations

from dataclasses import replace

import cvxpy as cp
import numpy as np
from _truth_programs import Array, Program, Rng, Units, conic, family, modelled, quadratic

from lpgd import Cones


def definite(r: Rng, n: int, rank: int | None = None) -> Array:
    """A random positive (semi)definite matrix."""
    L = r.normal(size=(n, rank or n)) / np.sqrt(n)
    return L @ L.T + (0.1 * np.eye(n) if rank is None else 0)


@family("QP, inequalities")
def inequalities(s: Rng) -> Program:
    n, m = s.integers(3, 20), s.integers(2, 30)

    def draw(r: Rng, u: Units) -> list[Array]:
        G, x0 = r.normal(size=(m, n)), r.normal(size=n)
        h = G @ x0 + r.uniform(0, 1, m)
        return [definite(r, n) * u.f / u.x**2, r.normal(size=n) * u.f / u.x, G, h * u.x]

    return quadratic(("P", "q", "G", "h"), ("sym", "free", "free", "free"), draw)


@family("QP, equalities and bounds")
def bounds(s: Rng) -> Program:
    n = s.integers(4, 20)
    k = s.integers(1, n // 2 + 1)

    def draw(r: Rng, u: Units) -> list[Array]:
        A, x0 = r.normal(size=(k, n)), r.uniform(-0.5, 0.5, n)
        P, q = definite(r, n) * u.f / u.x**2, r.normal(size=n) * u.f / u.x
        ends = [u.x * r.uniform(-1.5, -0.5, n), u.x * r.uniform(0.5, 1.5, n)]
        return [P, q, A, A @ x0 * u.x, *ends]

    kinds = ("sym", "free", "free", "free", "free", "free")
    return quadratic(("P", "q", "A", "b", "lb", "ub"), kinds, draw)


@family("QP, singular P in a box")
def singular(s: Rng) -> Program:
    n = s.integers(4, 16)

    def draw(r: Rng, u: Units) -> list[Array]:
        P = definite(r, n, n // 2) * u.f / u.x**2
        ends = [u.x * r.uniform(-1.5, -0.5, n), u.x * r.uniform(0.5, 1.5, n)]
        return [P, r.normal(size=n) * u.f / u.x, *ends]

    one = quadratic(("P", "q", "lb", "ub"), ("still", "free", "free", "free"), draw)
    return replace(one, strict=False)


@family("QP, multipliers too")
def multipliers(s: Rng) -> Program:
    n, m = s.integers(3, 15), s.integers(2, 12)

    def draw(r: Rng, u: Units) -> list[Array]:
        G, A, x0 = r.normal(size=(m, n)), r.normal(size=(2, n)), r.normal(size=n)
        h = G @ x0 + r.uniform(0, 0.5, m)
        return [
            definite(r, n) * u.f / u.x**2,
            3 * r.normal(size=n) * u.f / u.x,
            G,
            h * u.x,
            A,
            A @ x0 * u.x,
        ]

    kinds = ("sym", "free", "free", "free", "free", "free")
    return quadratic(("P", "q", "G", "h", "A", "b"), kinds, draw, duals=True)


@family("QP, variables and rows in units of their own")
def scaled(s: Rng) -> Program:
    n, m = s.integers(3, 12), s.integers(3, 15)

    def draw(r: Rng, u: Units) -> list[Array]:
        D, E = 10.0 ** r.uniform(-2, 2, n), 10.0 ** r.uniform(-2, 2, m)
        G, x0 = r.normal(size=(m, n)), r.normal(size=n)
        h = G @ x0 + r.uniform(0, 1, m)
        return [
            definite(r, n) * D * D[:, None],
            2 * r.normal(size=n) * D,
            G * D * E[:, None],
            h * E,
        ]

    return quadratic(("P", "q", "G", "h"), ("still", "pos", "pos", "pos"), draw)


@family("QP, dependent equations through zero")
def homogeneous(s: Rng) -> Program:
    n = s.integers(4, 12)
    k = s.integers(2, n // 2 + 1)

    def draw(r: Rng, u: Units) -> list[Array]:
        A = r.normal(size=(k, n))
        A[-1] = A[0] * r.uniform(0.5, 2)
        P, q = definite(r, n) * u.f / u.x**2, r.normal(size=n) * u.f / u.x
        return [P, q, A, np.zeros(k)]

    return quadratic(("P", "q", "A", "b"), ("sym", "free", "still", "still"), draw)


@family("QP, nearly flat")
def flat(s: Rng) -> Program:
    n = s.integers(3, 10)

    def draw(r: Rng, u: Units) -> list[Array]:
        P, q = definite(r, n), -1 - 1e-3 * r.normal(size=n)
        ones = np.ones((1, n))
        return [1e-3 * P * u.f / u.x**2, q * u.f / u.x, ones, np.array([u.x]), np.zeros(n)]

    return quadratic(("P", "q", "A", "b", "lb"), ("sym", "free", "still", "pos", "still"), draw)


@family("QP, parallel to its constraints")
def dependent(s: Rng) -> Program:
    """Rows that nearly coincide with others, some of them touching."""
    n, m = s.integers(3, 10), s.integers(2, 8)

    def draw(r: Rng, u: Units) -> list[Array]:
        G, x0 = r.normal(size=(m, n)), r.normal(size=n)
        G = np.vstack([G, G[: m // 2] + 1e-3 * r.normal(size=(m // 2, n))])
        h = G @ x0 + np.r_[r.uniform(0, 0.3, m), r.uniform(0.3, 0.6, m // 2)]
        return [definite(r, n) * u.f / u.x**2, 2 * r.normal(size=n) * u.f / u.x, G, h * u.x]

    return quadratic(("P", "q", "G", "h"), ("sym", "free", "free", "free"), draw)


@family("LP, one vertex")
def vertex(s: Rng) -> Program:
    n = s.integers(2, 10)
    m = n + s.integers(2, 20)

    def draw(r: Rng, u: Units) -> list[Array]:
        G, y = r.normal(size=(m, n)), np.zeros(m)
        y[:n] = r.uniform(0.2, 1, n)
        h = G @ r.normal(size=n) + np.where(y > 0, 0, r.uniform(0.1, 1, m))
        return [-G.T @ y * u.f / u.x, G, h * u.x]

    return quadratic(("c", "G", "h"), ("still", "free", "free"), draw)


@family("LP, rows of all sizes in small units")
def small_vertex(s: Rng) -> Program:
    n, m = 3, 6

    def draw(r: Rng, u: Units) -> list[Array]:
        G = r.normal(size=(m, n)) * 10.0 ** r.uniform(-1, 2, (m, n))
        y = r.permutation(np.r_[r.uniform(0.2, 1, n), np.zeros(m - n)])
        return [-G.T @ y * u.f, G, 1e-3 * r.uniform(0.5, 1, m) * u.x]

    return quadratic(("c", "G", "h"), ("still", "pos", "pos"), draw)


@family("LP, equalities and bounds")
def standard(s: Rng) -> Program:
    n = s.integers(4, 15)
    k = s.integers(1, n // 2 + 1)

    def draw(r: Rng, u: Units) -> list[Array]:
        A, x0 = r.normal(size=(k, n)), r.uniform(-0.5, 0.5, n)
        ends = [u.x * r.uniform(-1.5, -0.5, n), u.x * r.uniform(0.5, 1.5, n)]
        return [r.normal(size=n) * u.f / u.x, A, A @ x0 * u.x, *ends]

    return quadratic(("c", "A", "b", "lb", "ub"), ("still", "free", "free", "free", "free"), draw)


@family("LP, multipliers too")
def lp_multipliers(s: Rng) -> Program:
    n = s.integers(2, 8)

    def draw(r: Rng, u: Units) -> list[Array]:
        G, y = r.normal(size=(3 * n, n)), np.zeros(3 * n)
        y[:n] = r.uniform(0.2, 1, n)
        h = G @ r.normal(size=n) + np.where(y > 0, 0, r.uniform(0.1, 1, 3 * n))
        return [-G.T @ y * u.f / u.x, G, h * u.x]

    return quadratic(("c", "G", "h"), ("free", "free", "free"), draw, duals=True)


@family("LP, Chebyshev centre")
def chebyshev(s: Rng) -> Program:
    n, m = s.integers(2, 6), s.integers(8, 16)
    x, rad, b = cp.Variable(n), cp.Variable(), cp.Parameter(m)
    A = s.normal(size=(m, n))
    rows = [A @ x + rad * np.linalg.norm(A, axis=1) <= b, cp.norm(x, "inf") <= 1e4]
    problem = cp.Problem(cp.Maximize(rad), rows)
    return modelled(
        problem, {b: "pos"}, [x, rad], lambda r, u: [u.x * r.uniform(0.5, 1.5, m)], strict=False
    )


@family("ConicLayer, linear rows")
def linear_rows(s: Rng) -> Program:
    n, k, m = s.integers(4, 12), s.integers(1, 3), s.integers(3, 12)

    def draw(r: Rng, u: Units) -> list[Array]:
        A, x0 = r.normal(size=(k + m, n)), r.normal(size=n)
        b = A @ x0 + np.r_[np.zeros(k), r.uniform(0, 1, m)]
        return [definite(r, n) * u.f / u.x**2, r.normal(size=n) * u.f / u.x, A, b * u.x]

    return conic(Cones(zero=int(k), nonneg=int(m)), ("sym", "free", "free", "free"), draw)
