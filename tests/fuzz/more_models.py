"""More CVXPY problems with known solutions: norms, matrices, bounds, products."""

from collections.abc import Callable, Mapping
from typing import Any

import cvxpy as cp
import numpy as np

from tests.fuzz.models import Arrays, Model, ball, l1_ball, lasso, logs, softmax


def ellipsoid(n: int) -> Model:
    """Least c'x in an ellipsoid."""

    def build(p: Mapping[str, Any]) -> tuple[cp.Problem, list[Any]]:
        x = cp.Variable(n)
        return cp.Problem(cp.Minimize(p["c"] @ x), [cp.norm(p["F"] @ x) <= p["r"]]), [x]

    def answer(v: Arrays) -> dict[str, np.ndarray]:
        way = np.linalg.solve(v["F"].T @ v["F"], v["c"])
        return {"x": -v["r"] * way / np.sqrt(v["c"] @ way)}

    def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
        F = rng.normal(size=(n, n)) + 3 * np.eye(n)
        return {"c": rng.normal(size=n), "F": F, "r": np.array(rng.uniform(0.5, 2.0))}

    units = {"c": (1, 0, 0), "F": (0, -1, 1), "r": (0, 0, 1), "x": (0, 1, 0)}
    shapes = {"c": (n,), "F": (n, n), "r": ()}
    return Model(f"ellipsoid {n}", build, shapes, {"x": (n,)}, draw, answer, units, empty="r")


def robust(n: int) -> Model:
    """Projection on a robust half-space, a'x + r |x| <= b."""

    def build(p: Mapping[str, Any]) -> tuple[cp.Problem, list[Any]]:
        x = cp.Variable(n)
        rows = [p["a"] @ x + p["r"] * cp.norm(x) <= p["b"]]
        return cp.Problem(cp.Minimize(0.5 * cp.sum_squares(x - p["p"])), rows), [x]

    def at(v: Arrays, y: float) -> np.ndarray:
        moved = v["p"] - y * v["a"]
        length = np.linalg.norm(moved)
        return moved * max(1 - y * v["r"] / length, 0.0)

    def answer(v: Arrays) -> dict[str, np.ndarray]:
        def excess(y: float) -> float:
            x = at(v, y)
            return float(v["a"] @ x + v["r"] * np.linalg.norm(x) - v["b"])

        low, high = 0.0, 1.0
        if excess(low) <= 0:
            return {"x": v["p"].copy()}
        while excess(high) > 0:
            high *= 2
        for _ in range(200):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if excess(middle) > 0 else (low, middle)
        return {"x": at(v, high)}

    def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
        found = {"a": rng.normal(size=n), "p": 3 * rng.normal(size=n)}
        return {**found, "r": np.array(rng.uniform(0.2, 0.8)), "b": np.array(rng.uniform(0.5, 1.5))}

    units = {"a": (0, -1, 1), "r": (0, -1, 1), "b": (0, 0, 1), "p": (0, 1, 0), "x": (0, 1, 0)}
    shapes = {"a": (n,), "p": (n,), "r": (), "b": ()}
    return Model(
        f"robust {n}", build, shapes, {"x": (n,)}, draw, answer, units, signs={"r": "nonneg"}
    )


def eigenvalue(k: int) -> Model:
    """Least trace(C X) over density matrices."""

    def build(p: Mapping[str, Any]) -> tuple[cp.Problem, list[Any]]:
        X = cp.Variable((k, k), PSD=True)
        return cp.Problem(cp.Minimize(cp.trace(p["C"] @ X)), [cp.trace(X) == 1]), [X]

    def answer(v: Arrays) -> dict[str, np.ndarray]:
        first = np.linalg.eigh(0.5 * (v["C"] + v["C"].T))[1][:, 0]
        return {"X": np.outer(first, first)}

    def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
        Q = np.linalg.qr(rng.normal(size=(k, k)))[0]
        C = (Q * np.cumsum(rng.uniform(0.5, 1.5, k))) @ Q.T
        return {"C": 0.5 * (C + C.T)}

    units = {"C": (1, 0, 0), "X": (0, 0, 0)}
    return Model(f"eigenvalue {k}", build, {"C": (k, k)}, {"X": (k, k)}, draw, answer, units,
                 signs={"C": "symmetric"})  # fmt: skip


def psd_part(k: int) -> Model:
    """Projection on the positive semidefinite matrices."""

    def build(p: Mapping[str, Any]) -> tuple[cp.Problem, list[Any]]:
        X = cp.Variable((k, k), symmetric=True)
        return cp.Problem(cp.Minimize(cp.sum_squares(X - p["S"])), [X >> 0]), [X]

    def answer(v: Arrays) -> dict[str, np.ndarray]:
        sizes, Q = np.linalg.eigh(0.5 * (v["S"] + v["S"].T))
        return {"X": (Q * np.maximum(sizes, 0)) @ Q.T}

    def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
        Q = np.linalg.qr(rng.normal(size=(k, k)))[0]
        signs = np.where(np.arange(k) % 2, -1.0, 1.0)
        S = (Q * (signs * rng.uniform(0.5, 1.5, k))) @ Q.T
        return {"S": 0.5 * (S + S.T)}

    units = {"S": (0, 1, 0), "X": (0, 1, 0)}
    return Model(f"psd part {k}", build, {"S": (k, k)}, {"X": (k, k)}, draw, answer, units,
                 signs={"S": "symmetric"})  # fmt: skip


def positive_part(n: int) -> Model:
    """The nearest nonnegative vector, in the norm and not its square."""

    def build(p: Mapping[str, Any]) -> tuple[cp.Problem, list[Any]]:
        x = cp.Variable(n)
        return cp.Problem(cp.Minimize(cp.norm(x - p["p"])), [x >= 0]), [x]

    def answer(v: Arrays) -> dict[str, np.ndarray]:
        return {"x": np.maximum(v["p"], 0.0)}

    def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
        p = rng.uniform(0.2, 1.5, n) * rng.choice([-1.0, 1.0], n)
        p[0] = -abs(p[0])
        return {"p": p}

    units = {"p": (0, 1, 0), "x": (0, 1, 0)}
    shapes = {"p": (n,)}
    return Model(f"positive part {n}", build, shapes, {"x": (n,)}, draw, answer, units, inside=True)


def box(n: int) -> Model:
    """A linear program in the nonnegative part of a box."""

    def build(p: Mapping[str, Any]) -> tuple[cp.Problem, list[Any]]:
        x = cp.Variable(n)
        return cp.Problem(cp.Minimize(p["c"] @ x), [x >= 0, x <= p["u"]]), [x]

    def answer(v: Arrays) -> dict[str, np.ndarray]:
        return {"x": np.where(v["c"] < 0, v["u"], 0.0)}

    def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
        c = rng.uniform(0.2, 1.5, n) * rng.choice([-1.0, 1.0], n)
        return {"c": c, "u": rng.uniform(0.5, 2.0, n)}

    units = {"c": (1, 0, 0), "u": (0, 1, 0), "x": (0, 1, 0)}
    shapes = {"c": (n,), "u": (n,)}
    engines = (None, "daqp", "highs", "clarabel", "moreau", "scs")
    return Model(f"box {n}", build, shapes, {"x": (n,)}, draw, answer, units, linear=True,
                 inside=True, empty="u", engines=engines)  # fmt: skip


def least_squares(m: int, n: int) -> Model:
    """Least squares without constraints."""

    def build(p: Mapping[str, Any]) -> tuple[cp.Problem, list[Any]]:
        x = cp.Variable(n)
        return cp.Problem(cp.Minimize(cp.sum_squares(p["A"] @ x - p["b"]))), [x]

    def answer(v: Arrays) -> dict[str, np.ndarray]:
        return {"x": np.linalg.lstsq(v["A"], v["b"], rcond=None)[0]}

    def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
        A = rng.normal(size=(m, n)) + 2 * np.eye(m, n)
        return {"A": A, "b": rng.normal(size=m)}

    units = {"A": (0, -1, 1), "b": (0, 0, 1), "x": (0, 1, 0)}
    shapes = {"A": (m, n), "b": (m,)}
    return Model(f"least squares {n}", build, shapes, {"x": (n,)}, draw, answer, units,
                 engines=(None, "daqp", "clarabel", "moreau", "scs"))  # fmt: skip


def cubes(n: int) -> Model:
    """Powers against a linear gain.

    CVXPY writes s >= x^2 as a cone of (1 + s, 1 - s, 2x), in which s = 1e-18 is nothing beside 1,
    so that x = 1e-9 has no digits there: in such units no solver of the cone program can know x.
    """

    def build(p: Mapping[str, Any]) -> tuple[cp.Problem, list[Any]]:
        x = cp.Variable(n)
        return cp.Problem(cp.Minimize(cp.sum(cp.power(x, 3)) - p["c"] @ x), [x >= 0]), [x]

    def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {"c": rng.uniform(0.3, 2.0, n)}

    def answer(v: Arrays) -> dict[str, np.ndarray]:
        return {"x": np.sqrt(v["c"] / 3)}

    units = {"c": (0, 2, 0), "x": (0, 1, 0)}
    return Model(f"cubes {n}", build, {"c": (n,)}, {"x": (n,)}, draw, answer, units, inside=True,
                 span=6)  # fmt: skip


def boxes() -> Model:
    """The largest box of a given surface: a geometric program."""

    def build(p: Mapping[str, Any]) -> tuple[cp.Problem, list[Any]]:
        x, y, z = (cp.Variable(pos=True) for _ in range(3))
        surface = p["a"] * (x * y + y * z + z * x)
        return cp.Problem(cp.Minimize(1 / (x * y * z)), [surface <= p["b"]]), [x, y, z]

    def answer(v: Arrays) -> dict[str, np.ndarray]:
        side = np.sqrt(v["b"] / (3 * v["a"]))
        return dict.fromkeys(("x", "y", "z"), np.asarray(side))

    def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {"a": np.array(rng.uniform(0.5, 2.0)), "b": np.array(rng.uniform(0.5, 2.0))}

    outputs: Mapping[str, tuple[int, ...]] = dict.fromkeys(("x", "y", "z"), ())
    units = {"a": (0, -2, 1), "b": (0, 0, 1), **dict.fromkeys(outputs, (0, 1, 0))}
    signs = {"a": "pos", "b": "pos"}
    return Model("boxes", build, {"a": (), "b": ()}, outputs, draw, answer, units, signs=signs,
                 gp=True)  # fmt: skip


SMALL: tuple[Callable[[], Model], ...] = (
    lambda: ball(3), lambda: l1_ball(4), lambda: lasso(4), lambda: logs(3), lambda: softmax(4),
    lambda: ellipsoid(3), lambda: robust(3), lambda: eigenvalue(3), lambda: psd_part(3),
    lambda: positive_part(3), lambda: box(3), lambda: least_squares(5, 2), lambda: cubes(2), boxes,
)  # fmt: skip
LARGE: tuple[Callable[[], Model], ...] = (
    lambda: l1_ball(129), lambda: logs(40), lambda: softmax(30), lambda: ball(40),
)  # fmt: skip
