"""Compiles a CVXPY problem, once, to a cone program whose data are affine in the parameters.

CVXPY's own reductions do the work. Their target is a solver of our own that exists for this
purpose only: it takes the cones of ``lpgd.Cones`` in their layout, a quadratic objective, and
neither bounds on variables nor cones that act on variables directly, so that every constraint of
the problem is a row of A.
"""

import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Any

from lpgd.core.errors import MissingExtraError, StructureError
from lpgd.families.conic.conic import Conic
from lpgd.families.cvxpy import tensors as cvxpy_tensors
from lpgd.families.cvxpy.model import CvxpyModel, Input, Output
from lpgd.families.cvxpy.signs import decisive
from lpgd.families.cvxpy.variables import dual_output, own_entries, primal_output


@dataclass(frozen=True)
class Compiled:
    """CVXPY's parametrised cone program, and what became of the user's objects in it.

    Attributes
    ----------
    program : ParamConeProg
    variables, parameters, constraints : mapping from the user's id to that in ``program``
        What is missing kept its id.
    logs : mapping from the user's id of a parameter to that of its logarithm
    """

    program: Any
    variables: Mapping[int, int]
    parameters: Mapping[int, int]
    constraints: Mapping[int, int]
    logs: Mapping[int, int]


def compile_model(
    problem: Any,
    parameters: Sequence[Any],
    variables: Sequence[Any],
    *,
    gp: bool = False,
    verbose: bool = False,
    canon_backend: str | None = None,
) -> CvxpyModel:
    """Compile a CVXPY problem.

    Parameters
    ----------
    problem : cvxpy.Problem
        Disciplined parametrised (DPP); it is not changed.
    parameters : sequence of cvxpy.Parameter
        All of the problem's.
    variables : sequence of cvxpy.Variable
        The outputs: variables of the problem and dual variables of its constraints.
    gp : bool
        Whether it is a geometric program.
    verbose : bool
        Whether CVXPY reports on its compilation.
    canon_backend : str or None
        CVXPY's canonicalization backend.

    Raises
    ------
    StructureError
        The problem is not DPP, has integer or complex variables, or other parameters or variables
        than those named.
    """
    _check_problem(problem, gp=gp)
    duals = _check_names(problem, parameters, variables)
    with _scope():
        compiled = _reduce(problem, gp=gp, verbose=verbose, canon_backend=canon_backend)
        signs = {} if gp else decisive(problem, parameters)
    rows = cvxpy_tensors.Rows.of(compiled.program)
    inputs, columns = _inputs(compiled, parameters, signs)
    maps, patterns, offset = cvxpy_tensors.maps(compiled.program, rows, columns)
    n = compiled.program.x.size
    own = own_entries(compiled, rows, problem)
    inner = Conic(n, rows.cones, patterns, "P" in patterns, maps["A"].fixed, own)
    outputs = tuple(_output(compiled, rows, v, duals.get(v.id)) for v in variables)
    return CvxpyModel(inner, maps, inputs, outputs, offset)


def _output(
    compiled: Compiled, rows: cvxpy_tensors.Rows, variable: Any, owner: tuple[Any, int] | None
) -> Output:
    if owner is None:
        final = compiled.variables.get(variable.id, variable.id)
        return primal_output(compiled.program, variable, final)
    constraint, position = owner
    final = compiled.constraints.get(constraint.id, constraint.id)
    return dual_output(rows, constraint, position, final)


def _inputs(
    compiled: Compiled, parameters: Sequence[Any], signs: Mapping[int, int]
) -> tuple[dict[str, Input], dict[str, cvxpy_tensors.Columns]]:
    inputs: dict[str, Input] = {}
    columns: dict[str, cvxpy_tensors.Columns] = {}
    known = compiled.program.param_id_to_col
    for place, parameter in enumerate(parameters):
        own = compiled.parameters.get(parameter.id, parameter.id)
        log = compiled.logs.get(parameter.id)
        uses = [(f"{place}", own, False)] if own in known or log is None else []
        uses += [(f"log {place}", log, True)] if log is not None else []
        for key, final, is_log in uses:
            named = place, str(parameter.name()), tuple(parameter.shape)
            inputs[key] = Input(*named, is_log, signs.get(parameter.id, 0))
            if final in known:
                columns[key] = cvxpy_tensors.Columns.of(compiled.program, parameter, final)
    return inputs, columns


def _scope() -> AbstractContextManager[None]:
    # in the objective, quad_form(x, P) may have a parameter for P
    scopes: Any = import_module("cvxpy.utilities.scopes")
    return scopes.quad_form_dpp_scope()


def _reduce(problem: Any, *, gp: bool, verbose: bool, canon_backend: str | None) -> Compiled:
    cp = _cvxpy()
    variables: dict[int, int] = {}
    constraints: dict[int, int] = {}
    logs: dict[int, int] = {}
    if gp:
        reduction: Any = cp.reductions.Dgp2Dcp(problem)
        problem, _ = reduction.apply(problem)
        variables = {old: new[0] for old, new in reduction.var_id_map.items()}
        logs = {old: new[0] for old, new in reduction.param_id_map.items()}
        constraints = dict(reduction.cons_id_map or {})
    # a problem of our own: CVXPY keeps a compilation with each, and the user's stays as it is
    own = cp.Problem(problem.objective, problem.constraints)
    with warnings.catch_warnings():
        # CVXPY warns of what it does itself with sparse parameters and arrays of three dimensions
        warnings.filterwarnings("ignore", "Reading from a sparse CVXPY expression", RuntimeWarning)
        warnings.filterwarnings("ignore", "The problem has an expression with dim", UserWarning)
        data, chain, _ = own.get_problem_data(
            _target(), enforce_dpp=True, verbose=verbose, canon_backend=canon_backend
        )
    if any(len(new) > 1 for new in chain.compose_var_id_map().values()):
        raise StructureError("complex variables are not supported")
    renamed = {old: new[0] for old, new in chain.compose_var_id_map().items()}
    reduced = {old: new[0] for old, new in chain.compose_param_id_map().items()}
    lowered = chain.compose_constr_id_map()
    return Compiled(
        data[cp.settings.PARAM_PROB],
        {**renamed, **{old: renamed.get(new, new) for old, new in variables.items()}},
        reduced,
        {**lowered, **{old: lowered.get(new, new) for old, new in constraints.items()}},
        {old: reduced.get(new, new) for old, new in logs.items()},
    )


@cache
def _target() -> Any:
    """A solver for CVXPY to compile to."""
    constraints: Any = import_module("cvxpy.constraints")
    conic: Any = import_module("cvxpy.reductions.solvers.conic_solvers.conic_solver")
    triangle: Any = import_module("cvxpy.utilities.psd_utils").TriangleKind

    class Target(conic.ConicSolver):
        SUPPORTED_CONSTRAINTS = [  # noqa: RUF012 - CVXPY adds to such lists with +
            constraints.Zero, constraints.NonNeg, constraints.SOC, constraints.SvecPSD,
            constraints.ExpCone, constraints.PowCone3D,
        ]  # fmt: skip
        EXP_CONE_ORDER = (0, 1, 2)
        PSD_TRIANGLE_KIND = triangle.UPPER
        PSD_SQRT2_SCALING = True

        def name(self) -> str:
            return "LPGD"

        def import_solver(self) -> None:
            pass

        def supports_quad_obj(self) -> bool:
            return True

        def apply(self, problem: Any) -> tuple[Any, Any]:
            _, data, inverse = self._prepare_data_and_inv_data(problem)
            return data, inverse  # without values of the parameters

        def cite(self, _: Any) -> str:
            return ""

        def solve_via_data(self, *_: Any, **__: Any) -> None:
            raise NotImplementedError  # it is there to be compiled to

    return Target()


def _cvxpy() -> Any:
    try:
        return import_module("cvxpy")
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            'CVXPY models need cvxpy, which is not installed: pip install "lpgd[cvxpy]"'
        ) from error


def _check_problem(problem: Any, *, gp: bool) -> None:
    cp = _cvxpy()
    if not isinstance(problem, cp.Problem):
        raise StructureError(f"problem must be a cvxpy.Problem, got {type(problem).__name__}")
    if not problem.variables():
        raise StructureError("the problem has no variables")
    if problem.is_mixed_integer():
        raise StructureError("boolean and integer variables are not supported")
    family, test = ("DGP", "is_dgp") if gp else ("DCP", "is_dcp")
    if not getattr(problem, test)():
        raise StructureError(f"Problem must be {family}.{_culprits(problem, test)}")
    if gp and not problem.is_dpp("dgp"):
        raise StructureError("Problem must be DPP for geometric programming.")
    if not gp and not problem.is_dpp(quad_form_dpp="qp"):
        raise StructureError(f"Problem must be DPP.{_culprits(problem, 'is_dpp', REWRITE)}")


OTHERWISE = (
    "A product of parameters, or a nonlinear function of one, becomes a parameter of its own, or a "
    "variable with an equality constraint."
)
CONVOLVE = (
    "Write convolve(p, x) with a parameter p as sum(p[i] * hstack([zeros(i), x, zeros(k - 1 - i)]) "
    "for i in range(k)), k being the length of p."
)
REWRITE = {
    "QuadForm": "quad_form(x, P) may have a parameter P in the objective only.",
    "kron": (
        "Write kron(K, X) as bmat([[K[i, j] * X for j in range(c)] for i in range(r)]), entry by "
        "entry of the parameter or variable K."
    ),
    "convolve": CONVOLVE,
    "conv": CONVOLVE,
}


def _culprits(problem: Any, test: str, advice: Mapping[str, str] = MappingProxyType({})) -> str:
    """Name the parts of a problem that fail a test, with advice by the kind of atom."""
    found: list[str] = []
    tips: list[str] = []
    for part in (problem.objective, *problem.constraints):
        objective = part is problem.objective
        with _scope() if objective else nullcontext():
            smallest = _smallest(part, test)
        if smallest is not None:
            where = "the objective" if objective else f"constraint {part}"
            found.append(f" Not so: {where}" + ("." if smallest is part else f", at {smallest}."))
            tips.append(advice.get(type(smallest).__name__, OTHERWISE))
    return " ".join(["".join(found), *dict.fromkeys(tips if advice else ())])


def _smallest(expression: Any, test: str) -> Any:
    """The innermost part, along the first failing path, that fails a test; None if none does."""
    if getattr(expression, test)():
        return None
    inner = (_smallest(arg, test) for arg in expression.args)
    return next((part for part in inner if part is not None), expression)


def _check_names(
    problem: Any, parameters: Sequence[Any], variables: Sequence[Any]
) -> dict[int, tuple[Any, int]]:
    """Check the layer's parameters and variables; return constraint and place of dual ones."""
    for name, given in (("parameters", parameters), ("variables", variables)):
        if not isinstance(given, (list, tuple)):
            raise StructureError(f"The layer's {name} must be provided as a list or tuple")
    expected = {p.id: p for p in problem.parameters()}
    ids = [getattr(p, "id", None) for p in parameters]
    if set(ids) != set(expected) or len(set(ids)) != len(ids):
        names = ", ".join(p.name() for p in expected.values()) or "none"
        raise StructureError(
            "The layer's parameters must exactly match problem.parameters, each once: "
            f"{names}; got {', '.join(map(str, parameters)) or 'none'}"
        )
    duals = {
        dual.id: (constraint, place)
        for constraint in problem.constraints
        for place, dual in enumerate(constraint.dual_variables)
    }
    own = {v.id for v in problem.variables()}
    for variable in variables:
        if getattr(variable, "id", None) not in own | set(duals):
            raise StructureError(
                f"Variable {variable} must be a subset of problem.variables or a constraint dual "
                "variable"
            )
    return duals
