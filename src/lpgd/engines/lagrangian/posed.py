"""One nonlinear program with its tilt, as solvers take it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from lpgd.core.params import Params
from lpgd.core.solution import FloatArray, Solution
from lpgd.families.lagrangian.constrained import START, Constrained, Data, Functions
from lpgd.families.lagrangian.lagrangian import TILT, Lagrangian


@dataclass(frozen=True)
class Raw:
    """What a solver found.

    Attributes
    ----------
    status : int
        A ``Status``.
    x : (n,) float64
    y : (rows,) float64
        Multipliers of h = 0 and of g <= 0.
    box : (n,) float64
        Multipliers of the upper bounds minus those of the lower ones.
    """

    status: int
    x: FloatArray
    y: FloatArray
    box: FloatArray


@dataclass(frozen=True)
class Posed:
    """minimise f(x) + <linear, x> + rho/2 ||x - anchor||^2 with c and x between bounds.

    Attributes
    ----------
    functions : Functions
    data : mapping from str to array
        Parameters of the element.
    linear : (n,) float64
    rho : float
    anchor : (n,) float64
    low, high : (n,) float64
    least, most : (rows,) float64
        Bounds of c.
    start : (n,) float64
    warm : (y (rows,), box (n,)) or None
        Multipliers to start with, near a solution.
    """

    functions: Functions
    data: Data
    linear: FloatArray
    rho: float
    anchor: FloatArray
    low: FloatArray
    high: FloatArray
    least: FloatArray
    most: FloatArray
    start: FloatArray
    warm: tuple[FloatArray, FloatArray] | None

    @classmethod
    def of(cls, problem: Lagrangian, params: Params, row: int, start: Solution | None) -> Posed:
        """An element of a batch that may be tilted."""
        model = cast(Constrained, problem.model)
        data = {name: param.values[param.index[row]] for name, param in params.items()}
        zero = np.zeros(problem.n)
        dx, shift, rho, anchor = zero, np.zeros(problem.m), 0.0, zero
        if TILT[0] in data:
            t, dx, dy, rho, anchor = (data[name] for name in TILT)
            dx, shift = t * dx, t * dy
        infinite = np.full(problem.n, np.inf)
        low, high = data.get("lb", -infinite), data.get("ub", infinite)
        if "lb" in problem.parts:
            low = low + shift[problem.parts["lb"]]
        if "ub" in problem.parts:
            high = high - shift[problem.parts["ub"]]
        most = -shift[: model.rows]
        least = np.where(problem.nonnegative[: model.rows], -np.inf, most)
        begin, warm = data[START], None
        if start is not None:
            begin, warm = start.x[row], _unpacked(problem, start.y[row])
        given = {k: v for k, v in data.items() if k not in (START, "lb", "ub", *TILT)}
        return cls(
            model.functions, given, dx, float(rho), anchor, low, high, least, most,
            np.clip(begin, low, np.maximum(low, high)), warm,
        )  # fmt: skip

    def objective(self, x: FloatArray) -> float:
        """The tilted objective."""
        gap = x - self.anchor
        own = self.functions.objective(self.data, x)
        return float(own + self.linear @ x + 0.5 * self.rho * gap @ gap)

    def gradient(self, x: FloatArray) -> FloatArray:
        """Its gradient (n,)."""
        own = self.functions.slope(self.data, x)
        return own + self.linear + self.rho * (x - self.anchor)

    def constraints(self, x: FloatArray) -> FloatArray:
        """c (rows,), untilted: its bounds are tilted."""
        return self.functions.constraints(self.data, x)

    def jacobian(self, x: FloatArray) -> FloatArray:
        """Of c, (rows, n)."""
        return self.functions.jacobian(self.data, x)

    def hessian(self, x: FloatArray, y: FloatArray, weight: float) -> FloatArray:
        """Of weight times the objective plus y'c, (n, n)."""
        own = self.functions.hessian(self.data, x, y, weight)
        return own + weight * self.rho * np.eye(len(x))


def _unpacked(problem: Lagrangian, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    box = np.zeros(problem.n)
    for name, sign in (("lb", -1.0), ("ub", 1.0)):
        if name in problem.parts:
            box += sign * y[problem.parts[name]]
    return y[: problem.parts["G"].stop], box


def packed(problem: Lagrangian, raw: Raw) -> FloatArray:
    """The multipliers (m,) of a solution; those of inequalities are >= 0."""
    y = np.zeros(problem.m)
    rows = problem.parts["G"].stop
    y[:rows] = np.where(problem.nonnegative[:rows], np.maximum(raw.y, 0.0), raw.y)
    for name, sign in (("lb", -1.0), ("ub", 1.0)):
        if name in problem.parts:
            y[problem.parts[name]] = np.maximum(sign * raw.box, 0.0)
    return y
