"""Solver options under the names that users of cvxpylayers and of the solvers write."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from math import isinf
from numbers import Real
from typing import Any, cast

from lpgd.core.engine import Engine
from lpgd.core.warn import warn
from lpgd.engines.registry import ENGINES

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
}
# What cvxpylayers, diffcp and SCS do with these, no engine needs to be told.
THEIRS = frozenset(
    {
        *("warm_start", "mode", "n_jobs_forward", "n_jobs_backward", "derivative_kwargs"),
        *("raise_on_error", "use_indirect", "gpu", "mkl", "cudss", "normalize", "scale"),
        *("acceleration_lookback", "acceleration_interval", "adaptive_scale", "rho_x", "alpha"),
        *("eps_infeas", "write_data_filename", "log_csv_filename"),
    }
)
ELSEWHERE = ("ecos",)  # a method of diffcp that is none of our engines
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
        Its options are its fields, if it is a dataclass; it is not changed.
    args : mapping from str to value
        Fields of the engine, the options of cvxpylayers (``eps``, ``max_iters``, ``time_limit``,
        ``verbose``, ``warm_start``, ``acceleration_lookback``, ``solve_method``), or common native
        names such as ``eps_abs``, ``tol_feas``, ``max_iter``. Where several set the same accuracy,
        the finest holds. ``time_limit`` is in seconds; None or infinity means none. What steers
        cvxpylayers, diffcp and SCS alone (``mode``, ``n_jobs_forward``, ``use_indirect``, ...) is
        accepted in silence.

    Returns
    -------
    engine : Engine
        A copy with these options.
    unused : tuple of str
        Names that this engine has no use for, though another one has.

    Raises
    ------
    ValueError
        A name is unknown, a value is out of range, or no solver has the name ``solve_method``.

    Warns
    -----
    UserWarning
        ``solve_method`` names a solver that is none of our engines.
    """
    options = fields(engine) if is_dataclass(engine) else ()
    own = {field.name for field in options if field.init}
    _refuse_unknown(engine, args.keys() - own - OPTIONS.keys() - NATIVE.keys() - THEIRS, own)
    changes: dict[str, Any] = {}
    names: dict[str, list[str]] = {}
    unused: list[str] = []
    for name, value in args.items():
        field = name if name in own else _field(name, own)
        if field is not None:
            value = _converted(name, field, value, getattr(engine, field))
            both = field in changes and field in ACCURACY
            changes[field] = min(value, changes[field]) if both else value
            names.setdefault(field, []).append(name)
        elif name == "solve_method":
            unused += [name] * (not _served(engine, value))
        elif name not in THEIRS and not (name == "verbose" and not _flag(name, value)):
            unused.append(name)
    if "target" in changes and "tolerance" in own:  # what is aimed at must be good enough
        changes.setdefault("tolerance", max(changes["target"], cast(Any, engine).tolerance))
    try:
        return replace(cast(Any, engine), **changes) if changes else engine, tuple(unused)
    except ValueError as error:
        said = [f"{name!r} sets {k}" for k in names if k in str(error) for name in names[k]]
        raise ValueError(f"{error} (of the options, {', '.join(said)})") from error


def _refuse_unknown(engine: Engine, unknown: set[str], own: set[str]) -> None:
    if unknown:
        names = ", ".join(map(repr, sorted(unknown)))
        raise ValueError(
            f"engine {engine.name!r} knows no option {names}; its own: {', '.join(sorted(own))}; "
            f"understood for all engines: {', '.join(sorted(OPTIONS))}"
        )


def _served(engine: Engine, method: Any) -> bool:
    """Whether nothing is left to say of an option ``solve_method``."""
    known = ", ".join(ENGINES)
    name = method.lower() if isinstance(method, str) else None
    if name in ELSEWHERE:
        warn(
            f"solve_method={method!r} is no engine of this library, which are {known}; "
            f"{engine.name!r} solves the program",
            UserWarning,
        )
        return True
    if name not in (*ENGINES, engine.name):
        raise ValueError(f"solve_method={method!r} is no engine; known ones: {known}")
    return name == engine.name


def named_engine(args: Mapping[str, Any]) -> str | None:
    """The engine that ``solve_method`` names, as diffcp's users write it, e.g. ``"Clarabel"``."""
    method = args.get("solve_method")
    return method.lower() if isinstance(method, str) else None


def _field(name: str, own: set[str]) -> str | None:
    candidates = OPTIONS.get(name, NATIVE.get(name, ()))
    return next((field for field in candidates if field in own), None)


def _converted(name: str, field: str, value: Any, old: Any) -> Any:
    """The value in the type of the one that the engine has."""
    if field == "time_limit" and value is None:
        return 0.0
    if isinstance(old, bool):
        return _flag(name, value)
    if isinstance(old, str) and not isinstance(value, str):
        raise ValueError(f"option {name!r} must be a string, got {value!r}")
    return _number(name, field, value, old) if isinstance(old, Real) else value


def _number(name: str, field: str, value: Any, old: Any) -> float | int:
    if not isinstance(value, Real) or isinstance(value, bool):
        raise ValueError(f"option {name!r} must be a number, got {value!r}")
    number = float(value)
    if field == "time_limit":
        return 0.0 if isinf(number) and number > 0 else number
    if not isinstance(old, int):
        return number
    if not number.is_integer():
        raise ValueError(f"option {name!r} ({field}) must be an integer, got {value!r}")
    return int(number)


def _flag(name: str, value: Any) -> bool:
    """Whether an option is on; levels below zero are not."""
    if isinstance(value, str) and value in ("on", "off"):
        return value == "on"
    if not isinstance(value, Real):
        raise ValueError(f"option {name!r} must be True or False, got {value!r}")
    return float(value) > 0
