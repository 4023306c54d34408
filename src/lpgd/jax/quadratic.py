"""Quadratic and linear programs as functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax

from lpgd.core.engine import Engine
from lpgd.core.errors import StructureError
from lpgd.core.options import flag
from lpgd.core.public import public
from lpgd.core.rule import Rule
from lpgd.families.qp.qp import QP
from lpgd.frontend.views import QPView
from lpgd.jax.arguments import collect
from lpgd.jax.own import Own
from lpgd.jax.program import Asked, Posed, solver_of
from lpgd.jax.subject import answered
from lpgd.map.report import OnFailure
from lpgd.map.solution_map import SolutionMap


@public("lpgd.jax")
class DualSolution(NamedTuple):
    """Solution and multipliers of a program.

    Attributes
    ----------
    x : array, (..., n)
    y : array, (..., m_eq)
        Multipliers of Ax = b; length 0 without them.
    z : array, (..., m_in)
        Multipliers of Gx <= h, >= 0; length 0 without them.
    z_box : array, (..., n)
        Multipliers of ub minus those of lb.
    """

    x: jax.Array
    y: jax.Array
    z: jax.Array
    z_box: jax.Array


@answered
def solve_qp(
    P: Any,
    q: Any,
    G: Any = None,
    h: Any = None,
    A: Any = None,
    b: Any = None,
    lb: Any = None,
    ub: Any = None,
    *,
    return_duals: bool = False,
    rule: Rule | None = None,
    engine: str | Engine = "auto",
    on_failure: OnFailure = "raise",
    threads: int | None = None,
    accept_inexact: bool = False,
) -> Any:
    """minimise 1/2 x'Px + q'x  subject to  Gx <= h, Ax = b, lb <= x <= ub.

    Works under all transformations of JAX. Leading dimensions are batch dimensions and broadcast;
    an argument without them is shared by the batch, as is one that ``vmap`` does not map. Computed
    in float64, returned in the arguments' common dtype.

    Parameters
    ----------
    P : (..., n, n) floating
        Symmetric positive semidefinite, both triangles. P, G and A may be ``Sparse``.
    q : (..., n)
    G, h : (..., m_in, n) and (..., m_in), or both None
        An entry of h may be +inf.
    A, b : (..., m_eq, n) and (..., m_eq), or both None
    lb, ub : (..., n), or None
        May be infinite.
    return_duals : bool
        Whether to return the multipliers as well.
    rule : lpgd.LPGD or lpgd.Exact, optional
        How the solution is differentiated; by default ``lpgd.LPGD()``, which chooses tau itself.
        Forward mode is the derivative, whatever the rule.
    engine : str or Engine
        ``"auto"``, a name, or an instance with options.
    on_failure : {"raise", "nan"}
        Whether an element that cannot be solved raises ``lpgd.SolverError`` (in compiled functions
        see ``lpgd.jax.errors``), or is marked: x = NaN, zero gradients, one ``lpgd.SolverWarning``
        a call.
    threads : int or None
        Most threads of the solver; None uses all processors where the problems are large enough.
    accept_inexact : bool
        Whether a solution that the solver calls inaccurate counts as solved.

    Returns
    -------
    (..., n) array, or DualSolution

    Raises
    ------
    StructureError
        Wrong shape, dtype or a missing partner; when the function is traced.
    EngineError
        The engine cannot do what the rule asks of it, or the rule needs a key or a state.
    SolverError
        Elements that failed, with ``on_failure="raise"``; in backward, if a tilted solve fails.
    """
    given = {"P": P, "q": q, "G": G, "h": h, "A": A, "b": b, "lb": lb, "ub": ub}
    solver = solver_of(rule, engine, on_failure, threads, accept_inexact=accept_inexact)
    return _asked(given, "q", ("P", "q"), solver, Own(), duals=return_duals)


@answered
def solve_lp(
    c: Any,
    G: Any = None,
    h: Any = None,
    A: Any = None,
    b: Any = None,
    lb: Any = None,
    ub: Any = None,
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
    """minimise c'x  subject to  Gx <= h, Ax = b, lb <= x <= ub; see :func:`solve_qp`.

    The derivative of x in c is zero at every vertex: a rule with a finite tau is what makes it
    learn.

    Parameters
    ----------
    c : (..., n) floating
    G, h : (..., m_in, n) and (..., m_in), or both None
        G may be ``Sparse``.
    A, b : (..., m_eq, n) and (..., m_eq), or both None
        Likewise.
    lb, ub : (..., n), or None
    return_duals, rule, engine, on_failure, threads, accept_inexact
        As for :func:`solve_qp`.
    key, state : optional
        As for :func:`argmin`; of rules for linear costs.

    Returns
    -------
    (..., n) array, or DualSolution

    Raises
    ------
    StructureError, EngineError, SolverError
        As :func:`solve_qp`.
    """
    given = {"c": c, "G": G, "h": h, "A": A, "b": b, "lb": lb, "ub": ub}
    own, more = Own(key, state), {"accept_inexact": accept_inexact}
    solver = solver_of(rule, engine, on_failure, threads, own=own, **more)
    return _asked(given, "c", ("c",), solver, own, duals=return_duals)


def _asked(
    given: Mapping[str, Any], cost: str, required: tuple[str, ...], solver: SolutionMap,
    own: Own, *, duals: bool,
) -> Asked:  # fmt: skip
    flag("return_duals", duals)
    arguments = collect(given, cost, required, sparse=("P", "G", "A"))
    if "P" in arguments.patterns and not arguments.patterns["P"].symmetric:
        raise StructureError("P must store both triangles: its pattern is not symmetric")
    problem = QP.of(arguments.sizes, arguments.n, arguments.patterns)
    widths = (problem.n, arguments.sizes.get("A", 0), arguments.sizes.get("G", 0), problem.n)
    posed = Posed(solver, problem, QPView(problem), widths)
    return Asked(
        posed,
        posed.followed(arguments, own),
        lambda flat: DualSolution(*flat) if duals else flat[0],
    )
