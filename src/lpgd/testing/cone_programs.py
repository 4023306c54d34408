"""Cone programs whose solution is planted, strictly complementary on every cone."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lpgd.core.params import Param, batched
from lpgd.core.pattern import Pattern
from lpgd.core.solution import FloatArray, Solution, Status
from lpgd.families.conic.cones import Cones, order_of, triangle
from lpgd.families.conic.conic import Conic
from lpgd.testing.planting import Program

FLAT = 1e-3  # how near a face of the exponential cone, relatively, a point is judged as on it
Pair = tuple[FloatArray, FloatArray]
KINDS = {
    "zero": Cones(zero=2),
    "nonneg": Cones(nonneg=5),
    "soc": Cones(soc=(3, 4)),
    "psd": Cones(psd=(2, 3)),
    "exp": Cones(exp=2),
    "power": Cones(power=(0.3, 0.6)),
    "mixed": Cones(1, 2, (3,), (2,), 1, (0.3,)),
}


def plant(cones: Cones, seed: int, batch: int = 1, *, sparse: bool = False, n: int = 10) -> Program:
    """Strictly convex programs with independent data and known saddle points."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(batch, cones.m, n)) / np.sqrt(n)
    root = rng.normal(size=(batch, n, n))
    P = root @ root.swapaxes(1, 2) / n + np.eye(n)
    if sparse:
        A = A * (rng.random(A.shape[1:]) < 0.8)
        P = P * (np.abs(np.subtract.outer(np.arange(n), np.arange(n))) < 2) + np.eye(n)
    x = rng.normal(size=(batch, n))
    pairs = [_saddle(cones, rng) for _ in range(batch)]
    s, y = (np.stack(part) for part in zip(*pairs, strict=True))
    q = -(P @ x[:, :, None])[..., 0] - (y[:, None] @ A)[:, 0]
    values = {"P": P, "q": q, "A": A, "b": (A @ x[:, :, None])[..., 0] + s}
    patterns: dict[str, Pattern] = {}
    for name in ("P", "A") if sparse else ():
        rows, cols = np.nonzero(values[name][0])
        patterns[name] = Pattern(rows, cols, values[name].shape[1:])
        values[name] = values[name][:, rows, cols]
    status = np.full(batch, Status.OPTIMAL, dtype=np.int8)
    params: dict[str, Param] = {name: batched(value) for name, value in values.items()}
    return Program(Conic(n, cones, patterns), params, Solution(x, y, status))  # type: ignore[arg-type]


def violation(cones: Cones, s: FloatArray, y: FloatArray) -> float:
    """How far slacks and multipliers (m,) are from their cones and from complementarity."""
    worst = abs(float(s @ y))
    powers = iter(cones.power)
    for kind, start, stop in cones.blocks():
        alpha = next(powers) if kind == "power" else 0.5
        part, dual = s[start:stop], y[start:stop]
        worst = max(worst, -_margin(kind, part, alpha), -_dual_margin(kind, dual, alpha))
    return worst


def matrix_of(vector: FloatArray) -> FloatArray:
    """The symmetric matrix of a vectorised triangle."""
    order = order_of(len(vector))
    rows, cols, scale = triangle(order)
    matrix = np.zeros((order, order))
    matrix[rows, cols] = matrix[cols, rows] = vector / scale
    return matrix


def _margin(kind: str, s: FloatArray, alpha: float) -> float:
    """Not negative in the cone."""
    if kind == "zero":
        return -float(np.abs(s).max(initial=0.0))
    if kind == "nonneg":
        return float(s.min(initial=np.inf))
    if kind == "soc":
        return float(s[0] - np.linalg.norm(s[1:]))
    if kind == "psd":
        return float(np.linalg.eigvalsh(matrix_of(s))[0])
    u, v, w = s
    if kind == "exp":
        if v <= FLAT * np.abs(s).max():  # on the face {u <= 0, v = 0, w >= 0}
            return float(min(v, -u, w))
        return float(w - v * np.exp(u / v))
    return float(min(u, v, u**alpha * v ** (1 - alpha) - abs(w)))


def _dual_margin(kind: str, y: FloatArray, alpha: float) -> float:
    if kind == "zero":
        return np.inf
    if kind == "exp":  # -u exp(v / u) <= e w, u < 0; on a face u = 0, v and w >= 0
        if -y[0] <= FLAT * np.abs(y).max():
            return float(min(-y[0], y[1], y[2]))
        return float(np.e * y[2] + y[0] * np.exp(y[1] / y[0]))
    if kind == "power":
        return _margin(kind, y / np.array([alpha, 1 - alpha, 1.0]), alpha)
    return _margin(kind, y, alpha)


def _saddle(cones: Cones, rng: np.random.Generator) -> Pair:
    pairs, powers = [(np.zeros(0), np.zeros(0))], iter(cones.power)
    for kind, start, stop in cones.blocks():
        if kind == "power":
            pairs.append(_power(next(powers), rng))
        else:
            pairs.append(_PAIRS[kind](stop - start, rng))
    s, y = (np.concatenate(part) for part in zip(*pairs, strict=True))
    return s, y


def _zero(size: int, rng: np.random.Generator) -> Pair:
    return np.zeros(size), rng.normal(size=size)


def _nonneg(size: int, rng: np.random.Generator) -> Pair:
    active, depth = np.arange(size) % 2 == 0, rng.uniform(0.5, 1.5, size)
    return np.where(active, 0.0, depth), np.where(active, depth, 0.0)


def _soc(size: int, rng: np.random.Generator) -> Pair:
    u = rng.normal(size=size - 1)
    u /= np.linalg.norm(u)
    a, b = rng.uniform(0.7, 1.5, 2)
    return a * np.concatenate([[1.0], u]), b * np.concatenate([[1.0], -u])


def _psd(size: int, rng: np.random.Generator) -> Pair:
    order = order_of(size)
    basis, _ = np.linalg.qr(rng.normal(size=(order, order)))
    depth = rng.uniform(0.7, 1.5, order)
    rank = order // 2
    rows, cols, scale = triangle(order)
    s, y = (
        (basis[:, part] * depth[part] @ basis[:, part].T)[rows, cols] * scale
        for part in (slice(rank, None), slice(rank))
    )
    return s, y


def _exp(size: int, rng: np.random.Generator) -> Pair:
    u, v = rng.uniform(-0.5, 0.5), rng.uniform(0.7, 1.3)
    rise = np.exp(u / v)
    return np.array([u, v, v * rise]), np.array([-rise, -(1 - u / v) * rise, 1.0])


def _power(alpha: float, rng: np.random.Generator) -> Pair:
    u, v = rng.uniform(0.7, 1.3, 2)
    w = u**alpha * v ** (1 - alpha)
    return np.array([u, v, w]), np.array([alpha * w / u, (1 - alpha) * w / v, -1.0])


_PAIRS: dict[str, Callable[[int, np.random.Generator], Pair]] = {
    "zero": _zero,
    "nonneg": _nonneg,
    "soc": _soc,
    "psd": _psd,
    "exp": _exp,
}


def stressed(cones: Cones, seed: int) -> tuple[Program, list[Status]]:
    """A batch of five: solvable, infeasible, unbounded, badly scaled, solvable.

    Two rows of equality are added, which contradict each other in the second element, and a
    variable, without which the third one's constraints and curvature are.
    """
    cones = replace(cones, zero=cones.zero + 2)
    case = plant(cones, seed, 5)
    data = {name: np.array(param.values) for name, param in case.params.items()}
    x, y = case.solution.x.copy(), case.solution.y.copy()
    data["A"][1, 1], data["b"][1, 1] = data["A"][1, 0], data["b"][1, 0] + 1
    data["P"][2, -1] = data["P"][2, :, -1] = data["A"][2, :, -1] = 0
    data["q"][2, -1] = -1
    rows = np.ones(cones.m)
    for i, (_, start, stop) in enumerate(cones.blocks()):  # a factor for each cone
        rows[start:stop] = 10.0 ** (i % 3 - 1)
    data["P"][3] *= 1e3
    data["q"][3] *= 1e3
    data["A"][3] *= rows[:, None]
    data["b"][3] *= rows
    y[3] *= 1e3 / rows
    status = [Status.OPTIMAL, Status.INFEASIBLE, Status.UNBOUNDED, Status.OPTIMAL, Status.OPTIMAL]
    solution = Solution(x, y, np.array(status, dtype=np.int8))
    return Program(case.problem, {k: batched(v) for k, v in data.items()}, solution), status
