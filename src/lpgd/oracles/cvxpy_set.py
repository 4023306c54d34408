"""CVXPY problems whose objective is linear in one parameter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy import sparse

from lpgd.core.errors import StructureError
from lpgd.core.extras import load
from lpgd.core.locked import Locked
from lpgd.core.public import public
from lpgd.core.reply import Reply
from lpgd.core.scaling import exponents
from lpgd.core.solution import FloatArray, Status
from lpgd.oracles.base import SetOracle, refuse
from lpgd.oracles.milp import ProgramOracle, limits, replied
from lpgd.oracles.program import Outcome, Program

STATUS = {
    "optimal": Status.OPTIMAL,
    "optimal_inaccurate": Status.INACCURATE,
    "infeasible": Status.INFEASIBLE,
    "unbounded": Status.UNBOUNDED,
    "user_limit": Status.TIME_LIMIT,
}
SIMPLE = 2.0**20  # coefficients that are multiples of its inverse are kept as such
ROUNDING = 1e-9  # relative departure from linearity that is none
CLOSE = 1e-7  # the same at points with a solver's errors
NONLINEAR = "the objective is not linear in the parameter"


@public("lpgd.oracles")
class CvxpyProgram(ProgramOracle):
    """A linear or integer CVXPY problem, compiled once; see ``from_cvxpy``."""

    def __init__(self, parameter: Any, program: Program, q: FloatArray, lift: Any) -> None:
        self.shape = tuple(parameter.shape)
        self.program, self.fixed, self.lift = program, q, lift
        self.gap = 1e-9

    def __repr__(self) -> str:
        return f"CvxpyProgram(n={self.program.n}, rows={len(self.program.row_lower)})"


@public("lpgd.oracles")
class CvxpyProblem(Locked, SetOracle):
    """Any other CVXPY problem, solved by CVXPY one element after the other; see ``from_cvxpy``.

    A problem holds the values of its parameter and variables, so threads wait for each other.
    Unless told, solvers do not start from the last solution.
    """

    def __init__(self, problem: Any, parameter: Any, sign: float, options: dict[str, Any]) -> None:
        super().__init__()
        self.problem, self.parameter = problem, parameter
        self.sign, self.options = sign, {"warm_start": False, **options}
        self._scales = _homogeneous(problem, parameter)
        self.shape = tuple(parameter.shape)
        self.gap = 1e-5  # of what cone solvers call optimal

    def __repr__(self) -> str:
        return f"CvxpyProblem({self.options})"

    def __getstate__(self) -> dict[str, Any]:  # without what CVXPY keeps of solvers
        bare = type(self.problem)(self.problem.objective, self.problem.constraints)
        return {**super().__getstate__(), "problem": bare}

    def reply(self, costs: FloatArray, instances: Sequence[Any] | None = None) -> Reply:
        """See ``SetOracle.reply``."""
        refuse(self, instances)
        cvxpy = load("cvxpy", "cvxpy", "from_cvxpy")
        return replied(costs, lambda cost: self._one(cvxpy, cost))

    def _one(self, cvxpy: Any, cost: FloatArray) -> Outcome:
        power = exponents(np.abs(cost).max(keepdims=True, initial=0.0)) if self._scales else 0
        with self.lock, restored(self.parameter):
            self.parameter.value = np.ldexp(self.sign * cost, power)
            try:
                self.problem.solve(**self.options)
            except cvxpy.error.SolverError as error:
                return Outcome(None, Status.NUMERICAL, note=f"CVXPY: {error}"[:200])
            told = self.problem.status
            status = STATUS.get(told, Status.NUMERICAL)
            if not status.usable:
                return Outcome(None, status, note="" if told in STATUS else f"CVXPY: {told}")
            x = features(self.problem.objective.args[0], self.parameter)
        if x is None:
            return Outcome(None, Status.INVALID, note=NONLINEAR)
        return Outcome(x, status)


@contextmanager
def restored(parameter: Any) -> Iterator[None]:
    """Give a parameter its value back afterwards."""
    value = parameter.value
    try:
        yield
    finally:
        parameter.value = value


def features(objective: Any, parameter: Any) -> FloatArray | None:
    """What an objective, at the values of its variables, multiplies the parameter by.

    None if it is not linear in the parameter. The parameter changes its value.
    """

    def at(value: FloatArray) -> float:
        parameter.value = value
        return float(objective.value)

    given, base = parameter.value, np.zeros(parameter.shape)
    fixed, found = at(base), np.zeros(parameter.shape)
    for place in np.ndindex(found.shape):
        base[place] = 1.0
        found[place] = at(base) - fixed
        base[place] = 0.0
    room = CLOSE * (abs(fixed) + (np.abs(given) * np.abs(found)).sum())
    return found if abs(at(given) - fixed - (given * found).sum()) <= room else None


def from_cvxpy(problem: Any, parameter: Any, **options: Any) -> SetOracle:
    """The oracle of a CVXPY problem whose objective is linear in one parameter; costs (B, *shape).

    The costs are the parameter's values, and x is what the objective multiplies them by: of
    ``c @ y + f(y)`` it is y. A maximising problem is handed their negatives, so that a layer with
    ``sense="max"`` takes the parameter's values. Other parameters keep the values that they have.

    Linear and integer problems are compiled once and solved by HiGHS, exactly but for 1e-9 of the
    largest coefficient; others by CVXPY, an element at a time.

    Parameters
    ----------
    problem : cvxpy.Problem
    parameter : cvxpy.Parameter
        Without a sign: tilts change signs.
    **options
        ``relative_gap``, ``node_limit`` and ``time_limit`` as those of ``MILP``, for linear and
        integer problems; given others the problem is solved by ``problem.solve(**options)``.

    Raises
    ------
    StructureError
        The objective is not linear in the parameter, constraints depend on it, it has a sign, or
        another parameter has no value.
    """
    cvxpy = load("cvxpy", "cvxpy", "from_cvxpy")
    sign = _checked(cvxpy, problem, parameter)
    with restored(parameter):
        return _made(cvxpy, problem, parameter, sign, options)


def _made(
    cvxpy: Any, problem: Any, parameter: Any, sign: float, options: dict[str, Any]
) -> SetOracle:
    own = {"relative_gap": 0.0, "node_limit": 0, "time_limit": 0.0}
    if options.keys() <= own.keys() and _linear(cvxpy, problem, parameter):
        found = _compiled(cvxpy, problem, parameter, sign)
        given = {**own, **options}
        found.limits = limits(given["relative_gap"], given["node_limit"], given["time_limit"])
        if found.limits:
            limited = given["node_limit"] or given["time_limit"]
            found.gap = np.inf if limited else max(found.gap, given["relative_gap"])
        return found
    _refuse_curved(problem, parameter)
    return CvxpyProblem(problem, parameter, sign, options)


def _checked(cvxpy: Any, problem: Any, parameter: Any) -> float:
    if not isinstance(problem, cvxpy.Problem):
        raise StructureError(f"a cvxpy.Problem is needed, got {problem!r}")
    if all(parameter is not own for own in problem.parameters()):
        raise StructureError(f"{parameter!r} is no parameter of the problem")
    if any(parameter is own for c in problem.constraints for own in c.parameters()):
        raise StructureError("constraints depend on the parameter; an oracle's set is fixed")
    if parameter.is_nonneg() or parameter.is_nonpos():
        raise StructureError("the parameter has a sign, which tilts do not keep; declare none")
    without = [p.name() for p in problem.parameters() if p is not parameter and p.value is None]
    if without:
        raise StructureError(f"parameters without a value: {', '.join(without)}")
    return -1.0 if isinstance(problem.objective, cvxpy.Maximize) else 1.0


def _refuse_curved(problem: Any, parameter: Any) -> None:
    """Refuse objectives that are not linear in the parameter, as far as two points tell."""
    draw, objective = np.random.default_rng(0), problem.objective.args[0]
    variables = [(variable, variable.value) for variable in problem.variables()]
    try:
        for _ in range(2):
            for variable, _ in variables:
                variable.save_value(variable.project(draw.uniform(0.5, 1.5, variable.shape)))
            parameter.value = draw.normal(size=parameter.shape)
            with np.errstate(all="ignore"):  # nothing is known outside of the objective's domain
                known = np.isfinite(objective.value) and features(objective, parameter) is None
            if known:
                raise StructureError(NONLINEAR)
    finally:
        for variable, value in variables:
            variable.save_value(value)


def _homogeneous(problem: Any, parameter: Any) -> bool:
    """Whether the objective has no part without the parameter, so that costs have no unit."""
    cvxpy = load("cvxpy", "cvxpy", "from_cvxpy")
    with restored(parameter):
        parameter.value = np.zeros(parameter.shape)
        try:
            data = problem.get_problem_data(cvxpy.CLARABEL)[0]
        except (cvxpy.error.SolverError, ValueError):
            return False
    return not data["c"].any() and not ("P" in data and data["P"].count_nonzero())


def _linear(cvxpy: Any, problem: Any, parameter: Any) -> bool:
    parameter.value = np.zeros(parameter.shape)
    try:
        data = problem.get_problem_data(cvxpy.HIGHS)[0]
    except (cvxpy.error.SolverError, ValueError):
        return False
    return "P" not in data and data["dims"].zero + data["dims"].nonneg == data["A"].shape[0]


def _compiled(cvxpy: Any, problem: Any, parameter: Any, sign: float) -> CvxpyProgram:
    def at(value: FloatArray) -> tuple[FloatArray, Any]:
        parameter.value = value.reshape(parameter.shape)
        data = problem.get_problem_data(cvxpy.HIGHS)[0]
        _, constant, *_ = data["param_prob"].apply_parameters()
        return np.append(data["c"], constant), data

    size = int(np.prod(parameter.shape))
    fixed, data = at(np.zeros(size))
    slopes = np.array([at(unit)[0] - fixed for unit in np.eye(size)]).reshape(size, len(fixed))
    near = np.rint(slopes * SIMPLE) / SIMPLE  # what the subtraction rounded
    slopes = np.where(np.abs(slopes - near) <= 4e-16 * (1 + np.abs(fixed)), near, slopes)
    probe = np.linspace(-1.0, 2.0, size)
    if np.abs(at(probe)[0] - fixed - probe @ slopes).max() > ROUNDING * np.abs(slopes).max():
        raise StructureError(NONLINEAR)
    n, zero, b = len(fixed), data["dims"].zero, data["b"]
    # one more variable, fixed at 1, bears what the objective adds to the costs
    matrix = sparse.csc_array(sparse.hstack([data["A"], sparse.csr_array((len(b), 1))]))
    low = np.where(np.arange(len(b)) < zero, b, -np.inf)
    lower, upper = np.full(n, -np.inf), np.full(n, np.inf)
    for name, side in (("lower_bounds", lower), ("upper_bounds", upper)):
        if data.get(name) is not None:
            side[:-1] = data[name]
    whole = np.zeros(n, dtype=np.bool_)
    binary = list(data["bool_vars_idx"])
    whole[[*binary, *data["int_vars_idx"]]] = True
    lower[binary], upper[binary] = np.maximum(lower[binary], 0), np.minimum(upper[binary], 1)
    lower[-1] = upper[-1] = 1.0
    used = n if slopes[:, -1].any() else n - 1
    rows, bounds = matrix[:, :used], (lower[:used], upper[:used])
    program = Program.of(rows, (low, b), bounds, whole[:used])
    lift = sparse.csr_array(sign * slopes.T[:used])
    return CvxpyProgram(parameter, program, fixed[:used], lift)
