"""Cone programs as a function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import jax

from lpgd.core.engine import Engine
from lpgd.core.errors import StructureError
from lpgd.core.options import flag
from lpgd.core.public import public
from lpgd.core.rule import Rule
from lpgd.families.conic.cones import Cones
from lpgd.families.conic.conic import Conic
from lpgd.families.conic.polyhedral import Polyhedral, forms
from lpgd.frontend.views import ConicView
from lpgd.jax.arguments import collect
from lpgd.jax.own import Own
from lpgd.jax.program import Asked, Posed, solver_of
from lpgd.jax.subject import answered
from lpgd.map.report import OnFailure


@public("lpgd.jax")
class ConicSolution(NamedTuple):
    """Solution, multipliers and slacks of a cone program.

    Attributes
    ----------
    x : array, (..., n)
    y : array, (..., m)
        Multipliers, in the dual cone.
    s : array, (..., m)
        b - Ax, in the cone up to the engine's tolerance.
    """

    x: jax.Array
    y: jax.Array
    s: jax.Array


@answered
def solve_conic(
    P: Any,
    q: Any,
    A: Any,
    b: Any,
    cones: Cones,
    *,
    return_duals: bool = False,
    rule: Rule | None = None,
    engine: str | Engine = "auto",
    on_failure: OnFailure = "raise",
    threads: int | None = None,
    accept_inexact: bool = False,
    key: Any = None,
    state: Mapping[str, Any] | None = None,
) -> Any:
    """minimise 1/2 x'Px + q'x  subject to  Ax + s = b, s in a product of cones.

    See :func:`solve_qp` for transformations, batches and dtypes, and ``lpgd.torch.ConicLayer`` for
    engines and what they answer.

    Parameters
    ----------
    P : (..., n, n) or None
        Symmetric positive semidefinite, both triangles; None for a linear objective. P and A may
        be ``Sparse``.
    q : (..., n) floating
    A : (..., m, n)
    b : (..., m)
    cones : lpgd.Cones
        The cones of the rows of A, in their order.
    return_duals : bool
        Whether to return multipliers and slacks as well.
    rule, engine, on_failure, threads, accept_inexact
        As for :func:`solve_qp`.
    key, state : optional
        As for :func:`argmin`; of rules for linear costs, without P.

    Returns
    -------
    (..., n) array, or ConicSolution

    Raises
    ------
    StructureError, EngineError, SolverError
        As :func:`solve_qp`.
    MissingExtraError
        The engine's solver is not installed.
    """
    flag("return_duals", return_duals)
    own, more = Own(key, state), {"accept_inexact": accept_inexact}
    solver = solver_of(rule, engine, on_failure, threads, own=own, **more)
    if not isinstance(cones, Cones):
        raise TypeError(f"cones must be lpgd.Cones(...), got {cones!r}")
    given = {"P": P, "q": q, "A": A, "b": b}
    arguments = collect(given, "q", required=("q", "A", "b"), sparse=("P", "A"))
    if arguments.sizes["A"] != cones.m:
        raise StructureError(
            f"A must have {cones.m} rows, one for each row of the cones, got {arguments.sizes['A']}"
        )
    if "P" in arguments.patterns and not arguments.patterns["P"].symmetric:
        raise StructureError("P must store both triangles: its pattern is not symmetric")
    conic = Conic(arguments.n, cones, arguments.patterns, "P" in arguments.arrays)
    problem = solver.choose(*forms(conic)).problem
    view = ConicView(cast(Conic | Polyhedral, problem))
    widths = (arguments.n, cones.m, cones.m)
    posed = Posed(solver, problem, view, widths)
    return Asked(
        posed,
        posed.followed(arguments, own),
        lambda flat: ConicSolution(*flat) if return_duals else flat[0],
    )
