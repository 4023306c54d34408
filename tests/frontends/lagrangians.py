"""Operations of users' functions: a Lagrangian, and a nonlinear program."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from lpgd.core.rule import Rule
from lpgd.families.lagrangian.lagrangian import Lagrangian
from lpgd.families.lagrangian.model import Curvature
from lpgd.frontend.nlp import functional
from lpgd.frontend.program import Program
from lpgd.frontend.saddle import Procedure, SaddleView, engine
from lpgd.frontend.trees import Layout
from lpgd.frontend.views import QPView
from lpgd.map.solution_map import SolutionMap
from tests.frontends.operation import Data, Operation, Outputs

KKT = ("P", "q", "A", "b")


class _Quadratic:
    """f = 1/2 x'Px + q'x and c = Ax - b: f + y'c as a ``Model``, both as ``Functions``."""

    def value(self, params: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        P, q, A, b = (params[name].full() for name in KKT)
        curve = 0.5 * np.einsum("ni,nij,nj->n", x, P, x) + (q * x).sum(axis=1)
        return curve + (y * (np.einsum("nij,nj->ni", A, x) - b)).sum(axis=1)

    def slopes(self, params: Any, x: np.ndarray, y: np.ndarray) -> Any:
        P, q, A, b = (params[name].full() for name in KKT)
        pull = np.einsum("nij,nj->ni", 0.5 * (P + P.swapaxes(1, 2)), x) + q
        rows = np.einsum("nij,nj->ni", A, x) - b
        return pull + np.einsum("nij,ni->nj", A, y), rows

    def curvature(self, params: Any, x: np.ndarray, y: np.ndarray) -> Any:
        P, A = params["P"].full(), params["A"].full()
        m = A.shape[1]
        return Curvature(0.5 * (P + P.swapaxes(1, 2)), np.array(A), np.zeros((len(x), m, m)))

    def gradient(self, params: Any, point: Any, weight: np.ndarray, wanted: Any) -> Any:
        x, y = point
        half = 0.5 * np.einsum("ni,nj->nij", x, x)
        each = {"P": half, "q": x, "A": np.einsum("ni,nj->nij", y, x), "b": -y}
        found = {}
        for name in wanted:
            total, rows = np.zeros_like(params[name].values), each[name]
            own = weight.reshape(-1, *(1,) * (rows.ndim - 1)) * rows
            np.add.at(total, params[name].index, own)
            found[name] = total
        return found

    def objective(self, data: Any, x: np.ndarray) -> float:
        return float(0.5 * x @ data["P"] @ x + data["q"] @ x)

    def slope(self, data: Any, x: np.ndarray) -> np.ndarray:
        return 0.5 * (data["P"] + data["P"].T) @ x + data["q"]

    def constraints(self, data: Any, x: np.ndarray) -> np.ndarray:
        return data["A"] @ x - data["b"]

    def jacobian(self, data: Any, x: np.ndarray) -> np.ndarray:
        return data["A"]

    def hessian(self, data: Any, x: np.ndarray, y: np.ndarray, weight: float) -> np.ndarray:
        return weight * 0.5 * (data["P"] + data["P"].T)


def _f(x: Any, P: Any, q: Any, A: Any, b: Any) -> Any:
    return 0.5 * x @ P @ x + q @ x


def _c(x: Any, P: Any, q: Any, A: Any, b: Any) -> Any:
    return A @ x - b


def _lagrangian(x: Any, y: Any, *data: Any) -> Any:
    return _f(x, *data) + y @ _c(x, *data)


def _kkt(params: Any, tilt: Any) -> Any:
    """The saddle point by one linear system."""
    P, q, A, b = map(np.asarray, params)
    P, q, b = tilt.hessian(0.5 * (P + P.T)), tilt.cost(q), tilt.side(b)
    K = np.block([[P, A.T], [A, np.zeros((len(b), len(b)))]])
    z = np.linalg.solve(K, np.r_[-q, b])
    return z[: len(q)], z[len(q) :]


def saddle(name: str, rule: Rule, data: Data, *, linearize: bool) -> Operation:
    """A Lagrangian and a procedure in numpy."""
    n, m = len(data["q"]), len(data["b"])
    options = {"like": (np.zeros(n), np.zeros(m)), "ranks": (2, 1, 2, 1), "linearize": linearize}

    def core() -> Program:
        view = SaddleView(*map(Layout.of, options["like"]))
        params = Layout.of(tuple(data.values()))
        procedure = Procedure(_kkt, view, params.tree, KKT, np.asarray, np.asarray)
        solver = SolutionMap(rule, engine(procedure, together=False, checked=False))
        problem = Lagrangian(n, m, _Quadratic(), KKT, np.zeros(m, bool), linearize)
        return Program(solver, problem, view, KKT, options["ranks"])

    @cache
    def layer(home: str, kind: str) -> Any:
        return getattr(import_module(home), kind)(_lagrangian, _kkt, rule, **options)

    def torch(*tensors: Any) -> Outputs:
        return layer("lpgd.torch", "SaddleLayer")(*tensors, return_duals=True)

    def jax(*arrays: Any) -> Outputs:
        return layer("lpgd.jax", "saddle")(*arrays, return_duals=True)

    return Operation(name, data, "q", core, torch, jax, forward=1e-7)


def nonlinear(name: str, rule: Rule, data: Data) -> Operation:
    """A program of functions, with c <= 0."""
    n, m, names = len(data["q"]), len(data["b"]), (*KKT, "start")

    def core() -> Program:
        model = _Quadratic()
        problem = functional(model, model, (n, 0, m), names, ())
        return Program(SolutionMap(rule, "slsqp"), problem, QPView(problem), names, (2, 1, 2, 1, 1))

    def torch(*tensors: Any) -> Outputs:
        layer = import_module("lpgd.torch").NLPLayer
        own = layer(_f, n, _c, rule=rule, engine="slsqp", ranks=(2, 1, 2, 1))
        return own(*tensors[:-1], start=tensors[-1], return_duals=True)

    @cache
    def program() -> Any:
        made = import_module("lpgd.jax").NonlinearProgram
        return made.of_functions(_f, n, _c, ranks=(2, 1, 2, 1))

    def jax(*arrays: Any) -> Outputs:
        solve, options = import_module("lpgd.jax").solve_nlp, {"rule": rule, "engine": "slsqp"}
        return solve(program(), *arrays[:-1], start=arrays[-1], return_duals=True, **options)

    return Operation(name, data, "q", core, torch, jax, forward=1e-7)


def kkt_data(seed: int = 0, n: int = 4, m: int = 2) -> Data:
    """A strictly convex QP with m rows."""
    draw = np.random.default_rng(seed)
    root = draw.normal(size=(n, n))
    return {
        "P": root @ root.T / n + np.eye(n), "q": 2 * draw.normal(size=n),
        "A": draw.normal(size=(m, n)), "b": 0.3 * draw.uniform(size=m),
    }  # fmt: skip
