"""What CVXPY layers of all frameworks share: engine by name, settings, checks of a call."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from lpgd.core.engine import Engine
from lpgd.core.errors import SolverError, StructureError
from lpgd.core.rule import Rule
from lpgd.frontend.batches import Shape
from lpgd.frontend.settings import Setting, Settings, options
from lpgd.map.solution_map import SolutionMap


def engine_of(solver: str | Engine | None) -> str | Engine:
    """Our name of a solver that CVXPY or cvxpylayers name."""
    name = solver.lower() if isinstance(solver, str) else solver
    # diffcp solves nothing itself: there, too, solve_method names the solver
    return "auto" if name is None or name == "diffcp" else name


def settings_of(
    solver: SolutionMap, model: Any, args: Mapping[str, Any] | None, *, verbose: bool
) -> Settings:
    """The settings of a layer; what engine, rule and options cannot do is an error here."""
    chatty = {"verbose": True} if verbose else {}
    found = Settings(Setting(solver, model), {**chatty, **options(args)})
    found.of(None)
    return found


def like(layer: Any, problem: Any, parameters: Sequence[Any], *, rule: Rule) -> Any:
    """A layer of another problem, all its variables, with a layer's engine and counters."""
    own = layer._map
    other = type(layer)(
        problem, parameters, problem.variables(), own.engine,
        solver_args=layer._settings.defaults, rule=rule, on_failure=own.on_failure,
        threads=own.threads, accept_inexact=own.accept_inexact,
    )  # fmt: skip
    for solving in (other._map, other._settings.of(None).map):
        solving.stats = own.stats
    return other


@contextmanager
def caught_as_diffcp() -> Iterator[None]:
    """Let ``except diffcp.SolverError``, as users of cvxpylayers write it, catch failures."""
    try:
        yield
    except SolverError as error:
        theirs = getattr(sys.modules.get("diffcp"), "SolverError", None)
        if theirs is not None:
            error.__class__ = _either(theirs)
        raise


@cache  # one class, so that types of errors can be compared
def _either(theirs: type[Exception]) -> type[SolverError]:
    return type("SolverError", (SolverError, theirs), {"__reduce__": _as_ours})


def _as_ours(error: SolverError) -> tuple[Any, ...]:
    return SolverError, (str(error), error.indices, error.statuses)


def warms(solver: SolutionMap) -> bool:
    """Whether the solver of a layer takes a warm start."""
    return _name(solver.engine) == "moreau"


def check_warm_start(solver: SolutionMap) -> None:
    """Refuse a warm start where the solver takes none.

    Raises
    ------
    ValueError
    """
    if not warms(solver):
        raise ValueError(
            "warm_start=True is only supported with solver='MOREAU'. "
            f"Current solver is {_name(solver.engine)!r}."
        )


def check_count(params: Sequence[Any], expected: Sequence[tuple[str, Shape]]) -> None:
    """Refuse a call with too few or too many values.

    Raises
    ------
    StructureError
    """
    if len(params) != len(expected):
        raise StructureError(
            f"A tensor must be provided for each CVXPY parameter; received {len(params)} tensors, "
            f"expected {len(expected)}"
        )


def named(parameters: Sequence[Any]) -> list[tuple[str, Shape]]:
    """Name and shape of each parameter."""
    return [(str(p.name()), tuple(p.shape)) for p in parameters]


def which(place: int, name: str) -> str:
    """What messages call a parameter."""
    return f"parameter {place} ({name})"


def _name(solver: str | Engine) -> str:
    return solver if isinstance(solver, str) else solver.name
