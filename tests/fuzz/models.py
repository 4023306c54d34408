"""CVXPY problems whose solutions are known in closed form."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import cvxpy as cp
import numpy as np

from lpgd.torch import CvxpyLayer
from tests.fuzz.calls import written

Arrays = Mapping[str, np.ndarray]
Shapes = Mapping[str, tuple[int, ...]]
ORTHANT = np.inf  # of a certificate that is no number


@dataclass(frozen=True, eq=False)
class Model:
    """A parametrised problem.

    Attributes
    ----------
    build : callable
        Parameters by name -> (problem, variables in the order of ``outputs``).
    params, outputs : mapping from name to shape
    draw : callable
        Values of size one.
    answer : callable
        Values -> the solution.
    units : mapping from name to (objective, variables, rows)
        Exponents with which each scales.
    linear : bool
        Whether the solution is a vertex, which has no derivative in the costs.
    inside : bool
        Whether the first output is bounded by zero, exactly.
    empty : str
        Parameter whose negative leaves no feasible point.
    span : float
        Power of two of the variables up to which float64 holds what CVXPY makes of the problem.
    """

    name: str
    build: Callable[[Mapping[str, Any]], tuple[cp.Problem, list[Any]]]
    params: Shapes
    outputs: Shapes
    draw: Callable[[np.random.Generator], dict[str, np.ndarray]]
    answer: Callable[[Arrays], dict[str, np.ndarray]]
    units: Mapping[str, tuple[int, int, int]]
    linear: bool = False
    inside: bool = False
    empty: str = ""
    signs: Mapping[str, str] = field(default_factory=dict)
    gp: bool = False
    span: float = np.inf
    engines: tuple[str | None, ...] = (None, "clarabel", "moreau", "scs")

    def layer(self, options: Mapping[str, Any]) -> CvxpyLayer:
        """The layer with these options, compiled once in a process."""
        return _compiled(self, tuple(sorted(options.items(), key=str)))


@cache
def _compiled(model: Model, options: tuple[tuple[str, Any], ...]) -> CvxpyLayer:
    given = dict(options)
    params = {
        name: cp.Parameter(
            shape, name=name, **{model.signs[name]: True} if name in model.signs else {}
        )
        for name, shape in model.params.items()
    }
    problem, variables = model.build(params)
    if given["far"]:  # a bound that stands for none
        bound = variables[0] <= given["far"]
        problem = cp.Problem(problem.objective, [*problem.constraints, bound])
    engine = given["engine"]
    return CvxpyLayer(
        problem, list(params.values()), variables, solver=engine, gp=model.gp,
        solver_args={"max_iters": 5_000} if engine == "scs" else None,
        rule=written(given["rule"]), on_failure=given["on_failure"], threads=given["threads"],
    )  # fmt: skip


def _vectors(*names: str, n: int) -> Callable[[np.random.Generator], dict[str, np.ndarray]]:
    return lambda rng: {name: rng.normal(size=n) for name in names}


def ball(n: int) -> Model:
    """Least c'x in a ball."""

    def build(p: Mapping[str, Any]) -> tuple[cp.Problem, list[Any]]:
        x = cp.Variable(n)
        return cp.Problem(cp.Minimize(p["c"] @ x), [cp.norm(x - p["p"]) <= p["r"]]), [x]

    def answer(v: Arrays) -> dict[str, np.ndarray]:
        return {"x": v["p"] - v["r"] * v["c"] / np.linalg.norm(v["c"])}

    def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {**_vectors("c", "p", n=n)(rng), "r": np.array(rng.uniform(0.5, 2.0))}

    units = {"c": (1, 0, 0), "p": (0, 1, 0), "r": (0, 1, 0), "x": (0, 1, 0)}
    shapes = {"c": (n,), "p": (n,), "r": ()}
    return Model(f"ball {n}", build, shapes, {"x": (n,)}, draw, answer, units, empty="r")


def l1_ball(n: int) -> Model:
    """Projection on an l1 ball."""

    def build(p: Mapping[str, Any]) -> tuple[cp.Problem, list[Any]]:
        x = cp.Variable(n)
        objective = cp.Minimize(0.5 * cp.sum_squares(x - p["p"]))
        return cp.Problem(objective, [cp.norm1(x) <= p["r"]]), [x]

    def answer(v: Arrays) -> dict[str, np.ndarray]:
        sizes = np.sort(np.abs(v["p"]))[::-1]
        cut = (np.cumsum(sizes) - v["r"]) / np.arange(1, n + 1)
        level = max(cut[np.flatnonzero(sizes > cut)[-1]], 0.0)
        return {"x": np.sign(v["p"]) * np.maximum(np.abs(v["p"]) - level, 0.0)}

    def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {"p": rng.normal(size=n), "r": np.array(rng.uniform(0.2, 0.9))}

    units = {"p": (0, 1, 0), "r": (0, 1, 0), "x": (0, 1, 0)}
    shapes = {"p": (n,), "r": ()}
    return Model(f"l1 ball {n}", build, shapes, {"x": (n,)}, draw, answer, units, empty="r")


def lasso(n: int) -> Model:
    """Soft threshold."""

    def build(p: Mapping[str, Any]) -> tuple[cp.Problem, list[Any]]:
        x = cp.Variable(n)
        return cp.Problem(cp.Minimize(0.5 * cp.sum_squares(x - p["p"]) + p["l"] * cp.norm1(x))), [x]

    def answer(v: Arrays) -> dict[str, np.ndarray]:
        return {"x": np.sign(v["p"]) * np.maximum(np.abs(v["p"]) - v["l"], 0.0)}

    def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {"p": rng.normal(size=n), "l": np.array(rng.uniform(0.1, 0.7))}

    units = {"p": (0, 1, 0), "l": (0, 1, 0), "x": (0, 1, 0)}
    shapes = {"p": (n,), "l": ()}
    return Model(
        f"lasso {n}", build, shapes, {"x": (n,)}, draw, answer, units, signs={"l": "nonneg"},
        engines=(None, "daqp", "clarabel", "scs"),
    )  # fmt: skip


def logs(n: int) -> Model:
    """Log utility on a budget."""

    def build(p: Mapping[str, Any]) -> tuple[cp.Problem, list[Any]]:
        x = cp.Variable(n)
        return cp.Problem(cp.Maximize(p["w"] @ cp.log(x)), [p["a"] @ x <= p["b"]]), [x]

    def answer(v: Arrays) -> dict[str, np.ndarray]:
        return {"x": v["w"] * v["b"] / (v["a"] * v["w"].sum())}

    def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
        w, a = rng.uniform(0.3, 1.5, (2, n))
        return {"w": w, "a": a, "b": np.array(rng.uniform(0.5, 2.0))}

    units = {"w": (1, 0, 0), "a": (0, -1, 1), "b": (0, 0, 1), "x": (0, 1, 0)}
    shapes = {"w": (n,), "a": (n,), "b": ()}
    return Model(
        f"logs {n}", build, shapes, {"x": (n,)}, draw, answer, units, empty="b",
        signs={"w": "nonneg"},
    )  # fmt: skip


def softmax(n: int) -> Model:
    """Entropy on the simplex."""

    def build(p: Mapping[str, Any]) -> tuple[cp.Problem, list[Any]]:
        x = cp.Variable(n)
        objective = cp.Maximize(p["c"] @ x + p["g"] * cp.sum(cp.entr(x)))
        return cp.Problem(objective, [cp.sum(x) == 1]), [x]

    def answer(v: Arrays) -> dict[str, np.ndarray]:
        powers = np.exp((v["c"] - v["c"].max()) / v["g"])
        return {"x": powers / powers.sum()}

    def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {"c": rng.normal(size=n), "g": np.array(rng.uniform(0.5, 2.0))}

    units = {"c": (1, 0, 0), "g": (1, 0, 0), "x": (0, 0, 0)}
    shapes = {"c": (n,), "g": ()}
    return Model(
        f"softmax {n}", build, shapes, {"x": (n,)}, draw, answer, units, signs={"g": "nonneg"}
    )
