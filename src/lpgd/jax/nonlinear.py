"""Nonlinear programs of CasADi expressions, as a function."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from lpgd.core.engine import Engine
from lpgd.core.errors import StructureError
from lpgd.core.public import public
from lpgd.core.rule import Rule
from lpgd.frontend.arguments import check_batches
from lpgd.frontend.nlp import Expressions, symbolic
from lpgd.frontend.views import QPView
from lpgd.jax.arguments import Arguments, floating
from lpgd.jax.program import Asked, Posed, solver_of
from lpgd.jax.quadratic import DualSolution
from lpgd.jax.subject import answered
from lpgd.map.report import OnFailure


@public("lpgd.jax")
class NonlinearProgram:
    """minimise f(x, w)  subject to  g(x, w) <= 0, h(x, w) = 0, in CasADi expressions. Experimental.

    Derivatives come from CasADi, so that callbacks never call JAX.

    Parameters
    ----------
    x : casadi.SX or casadi.MX, (n, 1)
        Symbols of the variables.
    params : symbol, or sequence of symbols
        One for each parameter: a scalar one for an array (...,), a column (k, 1) for (..., k), a
        matrix for (..., k, l).
    f, g, h : expression
        f is a scalar; g and h may be None.

    Raises
    ------
    MissingExtraError
        CasADi is not installed (extra ``nlp``).
    StructureError
        An expression has a symbol that is no parameter, or f is no scalar.
    """

    def __init__(self, x: Any, params: Any, f: Any, g: Any = None, h: Any = None) -> None:
        symbols = list(params) if isinstance(params, (list, tuple)) else [params]
        self.expressions: Expressions = symbolic(x, symbols, f, g, h)


@answered
def solve_nlp(
    program: NonlinearProgram,
    *params: Any,
    lb: Any = None,
    ub: Any = None,
    start: Any = None,
    return_duals: bool = False,
    rule: Rule | None = None,
    engine: str | Engine = "auto",
    on_failure: OnFailure = "raise",
    accept_inexact: bool = False,
) -> Asked:
    """A local solution of a nonlinear program near ``start``. Experimental.

    Works under all transformations of JAX; see ``lpgd.torch.NLPLayer`` and docs/nlp for what a
    gradient means here.

    Parameters
    ----------
    program : NonlinearProgram
    *params : array
        In the shapes of its symbols; leading dimensions are batch dimensions and broadcast.
    lb, ub : (..., n), or None
        May be infinite.
    start : (..., n), or None
        Where to start, by default at zero; it has no gradient.
    return_duals, rule, engine, on_failure, accept_inexact
        As for :func:`solve_qp`.

    Returns
    -------
    (..., n) array, or DualSolution
        ``y`` of h = 0, ``z`` of g <= 0, ``z_box`` of ub minus those of lb.

    Raises
    ------
    StructureError, EngineError, SolverError
        As :func:`solve_qp`.
    """
    made = program.expressions
    if len(params) != len(made.shapes):
        raise StructureError(f"program has {len(made.shapes)} parameters, got {len(params)}")
    values = {f"params[{place}]": floating(f"params[{place}]", v) for place, v in enumerate(params)}
    dtype = jnp.result_type(*values.values())
    boxes = {"lb": lb, "ub": ub, "start": jnp.zeros(made.n, dtype) if start is None else start}
    ends = dict(zip(values, made.shapes, strict=True))
    for name, value in boxes.items():
        if value is not None:
            values[name], ends[name] = floating(name, value), (made.n,)
    for name, value in values.items():
        own = ends[name]
        if value.ndim < len(own) or value.shape[value.ndim - len(own) :] != own:
            raise StructureError(f"{name} must have shape (..., {own}), got {value.shape}")
    cores = tuple(len(own) for own in ends.values())
    batches = zip(values.items(), cores, strict=True)
    check_batches({k: v.shape[: v.ndim - core] for (k, v), core in batches})
    problem = made.problem(tuple(values), tuple(k for k in ("lb", "ub") if k in values))
    rows = {name: block.stop - block.start for name, block in problem.blocks.items()}
    solver = solver_of(rule, engine, on_failure, accept_inexact=accept_inexact)
    widths = (made.n, rows["A"], rows["G"], made.n)
    arguments = Arguments(values, cores, jnp.result_type(*values.values()))
    return Asked(
        Posed(solver, problem, QPView(problem), widths),
        arguments,
        lambda flat: DualSolution(*flat) if return_duals else flat[0],
    )
