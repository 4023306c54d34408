"""Shared by the tests of rules, problems and the solution map: pullbacks and finite differences."""

import warnings
from collections.abc import Callable, Mapping

import numpy as np

from lpgd.core.errors import StuckWarning
from lpgd.core.params import Param, Params, batched, shared
from lpgd.core.rule import Rule
from lpgd.core.solution import FloatArray, Solution
from lpgd.core.tilt import Cotangent, Tilt
from lpgd.families.qp.qp import QP
from lpgd.map.solution_map import SolutionMap
from lpgd.testing import Program, Shape, plant

SIZED = ("A", "G", "lb", "ub", "P")
ALL_DATA = Shape(n=5, equalities=1, inequalities=4, bounds=("lb", "ub"))


def program(**data: object) -> tuple[QP, dict[str, Param]]:
    """A batch of one from plain numbers, e.g. ``q=[1, 2], G=[[1, 1]], h=[1]``."""
    values = {name: np.array(value, dtype=np.float64) for name, value in data.items()}
    sizes = {name: len(values[name]) for name in SIZED if name in values}
    return QP.of(sizes, len(values["q"]), {}), {k: shared(v, 1) for k, v in values.items()}


def cotangent(dx: object, dy: object | None = None, m: int = 0) -> Cotangent:
    """Rows of cotangents, one an element; ``dy`` is zero if not given."""
    left = np.atleast_2d(np.array(dx, dtype=np.float64))
    right = np.zeros((len(left), m)) if dy is None else np.atleast_2d(np.array(dy, dtype=float))
    return Cotangent(np.arange(len(left)), left, right)


def groups(params: Params) -> dict[str, np.ndarray]:
    """Which elements each distinct value belongs to."""
    return {
        name: np.array([np.flatnonzero(p.index == row) for row in range(len(p.values))])
        for name, p in params.items()
    }


def pull(
    rule: Rule, problem: QP, params: Params, dx: object, dy: object | None = None
) -> dict[str, FloatArray]:
    """Gradients of a batch of one, without the batch axis."""
    found = SolutionMap(rule, "daqp")
    forward = found.solve(problem, params, (1,), keep=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StuckWarning)  # a vertex may well be where it stays
        pulled = found.pullback(forward, cotangent(dx, dy, problem.m), groups(params))
    return {name: gradient[0] for name, gradient in pulled.items()}


def solve(problem: QP, params: Params) -> Solution:
    """Solutions of a batch."""
    size = len(params["q"].index)
    return SolutionMap(NoRule(), "daqp").solve(problem, params, (size,)).solution


class NoRule(Rule):
    """For maps that are not differentiated."""

    def requires(self, problem: object) -> None:
        """Nothing is solved in the backward pass."""


def tilt_of(problem: QP, t: float, dx: object, dy: object, **proximal: object) -> Tilt:
    """The tilt of one element; ``proximal`` may hold rho and anchor."""
    return Tilt(
        np.zeros(1, dtype=np.intp), np.full(1, float(t)), np.atleast_2d(dx), np.atleast_2d(dy),
        np.full(1, float(proximal.get("rho", 0.0))),
        np.atleast_2d(proximal.get("anchor", np.zeros(problem.n))),
    )  # fmt: skip


def objective(problem: QP, params: Params, x: FloatArray) -> FloatArray:
    """Costs of each element at x (B, n)."""
    value = np.einsum("bi,bi->b", params["q"].full(), x)
    if problem.quadratic:
        value = value + 0.5 * np.einsum("bi,bij,bj->b", x, params["P"].full(), x)
    return value


def optimal_value(problem: QP, params: Params, tilt: Tilt) -> FloatArray:
    """V(t) of each element for one tilt: the optimal value of the tilted data, by its costs."""
    size = len(params["q"].index)
    rows = np.zeros(size, dtype=np.intp)
    tilts = tilt.take(rows)
    tilts = Tilt(np.arange(size), tilts.t, tilts.dx, tilts.dy, tilts.rho, tilts.anchor)
    tilted, data = problem.tilt(params, tilts)
    constant = 0.5 * tilts.rho * (tilts.anchor**2).sum(axis=1)
    return objective(tilted, data, solve(tilted, data).x) + constant


def slopes(
    value: Callable[[Params], FloatArray], params: Params, step: float = 1e-5
) -> dict[str, FloatArray]:
    """Central differences of a function of a batch of one in every finite entry of every argument.

    P is moved symmetrically.
    """
    return {name: _slope(value, params, name, step) for name in params}


def _slope(
    value: Callable[[Params], FloatArray], params: Params, name: str, step: float
) -> FloatArray:
    base = params[name].values[0]
    units = np.eye(base.size).reshape(base.size, *base.shape)
    if name == "P":
        units = 0.5 * (units + units.swapaxes(1, 2))
    units = np.where(np.isfinite(base), units, 0.0)
    # both ends of every difference in one batch
    ends = np.concatenate([base + step * units, base - step * units])
    rows = np.zeros(len(ends), dtype=np.intp)
    moved: Mapping[str, Param] = {k: p.take(rows) for k, p in params.items()}
    above, below = np.split(value({**moved, name: batched(ends)}), 2)
    return ((above - below) / (2 * step)).reshape(base.shape)


def assert_close(
    found: Mapping[str, FloatArray], expected: Mapping[str, FloatArray], relative: float = 1e-5
) -> None:
    """Each argument's gradient, relative to its largest entry.

    The absolute part is the rounding of finite differences, for gradients that are zero.
    """
    assert set(found) == set(expected)
    for name, value in expected.items():
        size = np.abs(value).max(initial=0.0)
        np.testing.assert_allclose(
            found[name], value, rtol=0, atol=relative * size + 1e-8, err_msg=name
        )


def random_case(seed: int, shape: Shape = ALL_DATA) -> tuple[Program, FloatArray, FloatArray]:
    """A random program with cotangents of its primal and dual solution."""
    rng = np.random.default_rng(seed)
    case = plant(shape, rng)
    dy = np.where(np.isfinite(_rhs(case)), rng.normal(size=case.problem.m), 0.0)
    return case, rng.normal(size=case.problem.n), dy


def _rhs(case: Program) -> FloatArray:
    sides = {"A": "b", "G": "h", "lb": "lb", "ub": "ub"}
    parts = [case.params[sides[name]].values[0] for name in case.problem.blocks]
    return np.concatenate([np.zeros(0), *parts])
