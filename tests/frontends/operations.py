"""One table of operations: what every frontend must make of the same numbers.

An operation is stated three times: as a program of the numpy core, as a torch layer, as a function
of JAX. Frontends are imported when they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

import lpgd
from lpgd.core.rule import Rule
from lpgd.families.conic.conic import Conic
from lpgd.families.conic.polyhedral import forms
from lpgd.families.oracle.oracle import Oracle
from lpgd.families.qp.qp import QP
from lpgd.frontend.arguments import structure
from lpgd.frontend.modelled import settings_of
from lpgd.frontend.oracle import Asking, OracleView
from lpgd.frontend.program import Program
from lpgd.frontend.views import ConicView, CvxpyView, QPView
from lpgd.map.solution_map import SolutionMap
from tests.frontends.lagrangians import kkt_data, nonlinear, saddle
from tests.frontends.operation import Data, Operation, Outputs


def quadratic(name: str, kind: str, rule: Rule, data: Data, moved: str) -> Operation:
    """A QP or an LP with duals."""
    cost = "q" if kind == "QP" else "c"

    def core() -> Program:
        fits = structure({k: v.shape for k, v in data.items()}, cost)
        problem = QP.of(fits.sizes, fits.n, {})
        names = tuple("q" if k == cost else k for k in data)
        return Program(SolutionMap(rule), problem, QPView(problem), names, fits.cores)

    def torch(*tensors: Any) -> Outputs:
        layer = getattr(import_module("lpgd.torch"), f"{kind}Layer")(rule)
        return layer(**dict(zip(data, tensors, strict=True)), return_duals=True)

    def jax(*arrays: Any) -> Outputs:
        solve = getattr(import_module("lpgd.jax"), f"solve_{kind.lower()}")
        return solve(**dict(zip(data, arrays, strict=True)), return_duals=True, rule=rule)

    return Operation(name, data, moved, core, torch, jax)


def conic(name: str, cones: lpgd.Cones, rule: Rule, data: Data) -> Operation:
    """A cone program with duals and slacks."""
    whole = {"P": None, **data}

    def core() -> Program:
        fits = structure({k: v.shape for k, v in data.items()}, "q")
        solver = SolutionMap(rule)
        problem = solver.choose(*forms(Conic(fits.n, cones, {}, "P" in data))).problem
        return Program(solver, problem, ConicView(problem), tuple(data), fits.cores)

    def torch(*tensors: Any) -> Outputs:
        given = {**whole, **dict(zip(data, tensors, strict=True))}
        return import_module("lpgd.torch").ConicLayer(cones, rule)(**given, return_duals=True)

    def jax(*arrays: Any) -> Outputs:
        given = {**whole, **dict(zip(data, arrays, strict=True))}
        solve = import_module("lpgd.jax").solve_conic
        return solve(**given, cones=cones, return_duals=True, rule=rule)

    return Operation(name, data, "q", core, torch, jax)


def modelled(name: str, rule: Rule, data: Data, made: Callable[[Any], tuple]) -> Operation:
    """A CVXPY problem."""
    cp: Any = import_module("cvxpy")
    compile_model = import_module("lpgd.families.cvxpy.compile").compile_model

    def core() -> Program:
        problem, parameters, variables = made(cp)
        options = {"gp": False, "verbose": False, "canon_backend": None}
        model = compile_model(problem, parameters, variables, **options)
        setting = settings_of(SolutionMap(rule), model, None, verbose=False).of(None)
        cores = tuple(len(own.shape) for own in setting.model.inputs.values())
        names = tuple(setting.model.inputs)
        return Program(setting.map, setting.model, CvxpyView(setting.model), names, cores)

    def torch(*tensors: Any) -> Outputs:
        return import_module("lpgd.torch").CvxpyLayer(*made(cp), rule=rule)(*tensors)

    def jax(*arrays: Any) -> Outputs:
        return import_module("lpgd.jax").CvxpyLayer(*made(cp), rule=rule)(*arrays)

    return Operation(name, data, next(iter(data)), core, torch, jax)


def oracle(name: str, ask: Callable[..., Any], rule: Rule, costs: np.ndarray) -> Operation:
    """A black box."""

    def core() -> Program:
        solver = SolutionMap(rule, Asking().engine(ask))
        return Program(solver, Oracle(costs.shape[-1]), OracleView(), ("q",), (1,))

    def torch(*tensors: Any) -> Outputs:
        return (import_module("lpgd.torch").OracleLayer(ask, rule)(*tensors),)

    def jax(*arrays: Any) -> Outputs:
        return (import_module("lpgd.jax").argmin(ask, *arrays, rule=rule),)

    return Operation(name, {"costs": costs}, "costs", core, torch, jax)


def qp_data(seed: int = 0, n: int = 5) -> Data:
    """A QP with all eight data, whose origin is strictly feasible."""
    draw = np.random.default_rng(seed)
    root = draw.normal(size=(n, n))
    return {
        "P": root @ root.T / n + np.eye(n), "q": 2 * draw.normal(size=n),
        "G": draw.normal(size=(3, n)), "h": draw.uniform(0.1, 0.6, 3),
        "A": draw.normal(size=(1, n)), "b": 0.1 * draw.normal(size=1),
        "lb": np.full(n, -0.7), "ub": np.r_[np.full(n - 1, 0.8), np.inf],
    }  # fmt: skip


def lp_data(seed: int = 0) -> Data:
    """An LP over a box cut by two rows."""
    draw, n = np.random.default_rng(seed), 5
    return {
        "c": draw.normal(size=n), "G": draw.uniform(0.2, 1.0, (2, n)), "h": np.array([1.5, 1.2]),
        "lb": np.zeros(n), "ub": np.ones(n),
    }  # fmt: skip


def cone_data(seed: int, rows: int, *, curved: bool) -> Data:
    """A cone program that is strictly feasible at the origin, of two rows s >= 0 and one cone."""
    draw, n = np.random.default_rng(seed), 4
    b = np.r_[1.0, 1.0, 2.0, np.zeros(rows - 1)]
    data = {"q": draw.normal(size=n), "A": draw.normal(size=(rows + 2, n)), "b": b}
    return {"P": np.eye(n), **data} if curved else data


def assignment(costs: np.ndarray) -> np.ndarray:
    """Minimal assignments of square cost matrices, flat."""
    from scipy.optimize import linear_sum_assignment

    size = int(np.sqrt(costs.shape[1]))
    found = np.zeros((len(costs), size, size))
    for row, cost in enumerate(costs.reshape(-1, size, size)):
        found[row][linear_sum_assignment(cost)] = 1.0
    return found.reshape(costs.shape)


def _least_squares(cp: Any) -> tuple:
    x, b, A = cp.Variable(3), cp.Parameter(4, name="b"), cp.Parameter((4, 3), name="A")
    row = cp.sum(x) <= 0.2
    problem = cp.Problem(cp.Minimize(cp.sum_squares(A @ x - b) + cp.norm(x, 1)), [row])
    return problem, [b, A], [x, row.dual_variables[0]]


def _norm_ball(cp: Any) -> tuple:
    x, c, r = cp.Variable((2, 2)), cp.Parameter((2, 2), name="c"), cp.Parameter(name="r")
    problem = cp.Problem(cp.Minimize(cp.sum(cp.multiply(c, x)) + cp.sum_squares(x)),
                         [cp.norm(x, "fro") <= r])  # fmt: skip
    return problem, [c, r], [x]


def _squares_data() -> Data:
    draw = np.random.default_rng(3)
    return {"b": draw.normal(size=4), "A": draw.normal(size=(4, 3))}


TILTED = lpgd.LPGD(1e-2)
OPERATIONS = [
    quadratic("qp", "QP", lpgd.LPGD(), qp_data(), "q"),
    quadratic("qp, h varies", "QP", TILTED, qp_data(1), "h"),
    quadratic("qp, exact", "QP", lpgd.Exact(), qp_data(2), "q"),
    quadratic("qp, P varies", "QP", lpgd.LPGD(0.5, rho=0.1, side="lower"), qp_data(3), "lb"),
    quadratic("lp", "LP", lpgd.LPGD(1.0), lp_data(), "c"),
    quadratic("lp, proximal", "LP", lpgd.LPGD(1.0, rho=0.1), lp_data(1), "c"),
    conic("second-order cone", lpgd.Cones(nonneg=2, soc=(3,)), lpgd.Exact(),
          cone_data(0, 3, curved=True)),
    conic("second-order cone, tilted", lpgd.Cones(nonneg=2, soc=(3,)), lpgd.LPGD(0.1),
          cone_data(1, 3, curved=True)),
    conic("polyhedral cone", lpgd.Cones(nonneg=5), lpgd.LPGD(),
          cone_data(2, 3, curved=True)),
    modelled("cvxpy, quadratic", lpgd.LPGD(), _squares_data(), _least_squares),
    modelled("cvxpy, conic", lpgd.Exact(),
             {"c": np.array([[1.0, -0.5], [0.3, 2.0]]), "r": np.array(0.5)}, _norm_ball),
    saddle("saddle", lpgd.LPGD(0.1, rho=0.2), kkt_data(), linearize=False),
    saddle("saddle, linearised", lpgd.LPGD(0.1), kkt_data(1), linearize=True),
    nonlinear("nonlinear", lpgd.LPGD(), {**kkt_data(3), "start": np.full(4, 0.1)}),
    oracle("oracle", assignment, lpgd.LPGD(50.0),
           np.random.default_rng(0).uniform(0, 1, 9)),
]  # fmt: skip
