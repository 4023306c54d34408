"""Solver options under the names that users of cvxpylayers and of the solvers write."""

from collections.abc import Mapping
from dataclasses import fields, replace
from math import isinf
from numbers import Real
from typing import Any, cast

from lpgd.core.engine import Engine

# Which field of an engine an option sets: the first of these that the engine has.
ACCURACY = ("target", "tolerance", "primal_tol")
ITERATIONS = ("iteration_limit",)
SECONDS = ("time_limit",)
OPTIONS: dict[str, tuple[str, ...]] = {
    "eps": ACCURACY,
    "max_iters": ITERATIONS,
    "time_limit": SECONDS,
    "verbose": ("verbose",),
    "warm_start": ("warm_start",),
    "acceleration_lookback": ("acceleration_lookback",),
    "solve_method": (),
    "mode": (),
    "n_jobs_forward": (),
    "n_jobs_backward": (),
    "derivative_kwargs": (),
}
NATIVE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("tol", "eps_abs", "eps_rel"), ACCURACY),  # the latter of SCS
    **dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), ACCURACY),  # Clarabel, Moreau
    **dict.fromkeys(("primal_feasibility_tolerance", "dual_feasibility_tolerance"), ACCURACY),
    **dict.fromkeys(("max_iter", "iter_limit", "simplex_iteration_limit"), ITERATIONS),
    "time_limit_secs": SECONDS,  # SCS
    "output_flag": ("verbose",),  # HiGHS
    "direct_solve_method": ("linear_solver",),  # Moreau
}


def configure(engine: Engine, args: Mapping[str, Any]) -> tuple[Engine, tuple[str, ...]]:
    """An engine with some of its options replaced.

    Parameters
    ----------
    engine : Engine
        A dataclass whose fields are its options; it is not changed.
    args : mapping from str to value
        Fields of the engine, the options of cvxpylayers (``eps``, ``max_iters``, ``time_limit``,
        ``verbose``, ``warm_start``, ``acceleration_lookback``, ``solve_method``, ``mode``), or
        common native names such as ``eps_abs``, ``tol_feas``, ``max_iter``. Where several set the
        same accuracy, the finest holds. ``time_limit`` is in seconds; None or infinity means none.

    Returns
    -------
    engine : Engine
        A copy with these options.
    unused : tuple of str
        Names that this engine has no use for.

    Raises
    ------
    ValueError
        A name is unknown, or a value is out of range.
    """
    own = {field.name for field in fields(cast(Any, engine)) if field.init}
    known = own | OPTIONS.keys() | NATIVE.keys()
    unknown = sorted(args.keys() - known)
    if unknown:
        raise ValueError(
            f"engine {engine.name!r} knows no option {', '.join(map(repr, unknown))}; its own: "
            f"{', '.join(sorted(own))}; understood for all engines: {', '.join(sorted(OPTIONS))}"
        )
    changes: dict[str, Any] = {}
    unused: list[str] = []
    for name, value in args.items():
        field = name if name in own else _field(name, own)
        if field is not None:
            value = _converted(name, field, value)
            both = field in changes and field in ACCURACY
            changes[field] = min(value, changes[field]) if both else value
        elif not (name == "solve_method" and _is_name(engine, value)):
            unused.append(name)
    if "target" in changes and "tolerance" in own:  # what is aimed at must be good enough
        changes.setdefault("tolerance", max(changes["target"], cast(Any, engine).tolerance))
    return replace(cast(Any, engine), **changes), tuple(unused)


def named_engine(args: Mapping[str, Any]) -> str | None:
    """The engine that ``solve_method`` names, as diffcp's users write it, e.g. ``"Clarabel"``."""
    method = args.get("solve_method")
    return method.lower() if isinstance(method, str) else None


def _field(name: str, own: set[str]) -> str | None:
    candidates = OPTIONS.get(name, NATIVE.get(name, ()))
    return next((field for field in candidates if field in own), None)


def _is_name(engine: Engine, value: Any) -> bool:
    return isinstance(value, str) and value.lower() == engine.name


def _converted(name: str, field: str, value: Any) -> Any:
    if field == "time_limit" and value is None:
        return 0.0
    if field in (*SECONDS, *ITERATIONS, *ACCURACY):
        if not isinstance(value, Real) or isinstance(value, bool):
            raise ValueError(f"option {name!r} must be a number, got {value!r}")
        value = float(value)
    if field == "time_limit":
        return 0.0 if isinf(value) else value
    if field == "iteration_limit":
        if not value.is_integer():
            raise ValueError(f"option {name!r} ({field}) must be an integer, got {value!r}")
        return int(value)
    if field in ("verbose", "presolve"):
        return value not in (False, 0, "off") and not (isinstance(value, int) and value < 0)
    return value
