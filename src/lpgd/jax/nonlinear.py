"""Nonlinear programs of CasADi expressions or of functions of JAX, as a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.tree_util import tree_leaves

from lpgd.core.engine import Engine
from lpgd.core.errors import StructureError
from lpgd.core.options import flag
from lpgd.core.public import public
from lpgd.core.rule import Rule
from lpgd.families.lagrangian.lagrangian import Lagrangian
from lpgd.frontend.nlp import Expressions, check, symbolic
from lpgd.frontend.trees import Layout
from lpgd.frontend.views import QPView
from lpgd.jax.functions import FunctionProgram
from lpgd.jax.program import Asked, Posed, solver_of
from lpgd.jax.pytrees import Leaves
from lpgd.jax.quadratic import DualSolution
from lpgd.jax.subject import answered
from lpgd.jax.traced import Traced
from lpgd.map.report import OnFailure

MOST = 64  # layouts of parameters that a program remembers


class _Made(NamedTuple):
    """The structure of a call, and what it asks of JAX."""

    problem: Lagrangian
    asked: Traced | None


@public("lpgd.jax")
class NonlinearProgram:
    """minimise f(x, w)  subject to  g(x, w) <= 0, h(x, w) = 0, in CasADi expressions. Experimental.

    Of functions of JAX it is made by :meth:`of_functions`.

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
        self.expressions: Expressions | None = symbolic(x, symbols, f, g, h)
        self.n = self.expressions.n
        self._functions: Any = None
        self._ranks: Any = tuple(map(len, self.expressions.shapes))
        self._known: dict[Layout, FunctionProgram] = {}

    @classmethod
    def of_functions(
        cls,
        f: Callable[..., Any],
        n: int,
        g: Callable[..., Any] | None = None,
        h: Callable[..., Any] | None = None,
        *,
        ranks: Any = None,
    ) -> NonlinearProgram:
        """The program of functions of JAX, which takes their derivatives.

        Make it once, outside of what is compiled: it remembers what JAX compiled of it.

        Parameters
        ----------
        f : callable
            ``f(x, *params)``, a scalar for one element, without batch dimensions; in float64.
            Parameters are any pytrees of arrays.
        n : int
            Number of variables.
        g, h : callable, optional
            ``g(x, *params)`` and ``h(x, *params)``, one-dimensional.
        ranks : pytree of int like the tuple of parameters, optional
            How many dimensions each parameter has for one element; those in front are batch
            dimensions and broadcast. By default all are one element's; ``jax.vmap`` batches too.

        Raises
        ------
        TypeError, ValueError
            f, g or h cannot be called, or n is no number of variables.
        """
        check(n, f, g, h)
        made = cls.__new__(cls)
        made.expressions, made.n = None, n
        made._functions, made._ranks, made._known = (f, h, g), ranks, {}
        return made

    def leaves(self, params: tuple[Any, ...], boxes: dict[str, tuple[Any, int]]) -> Leaves:
        """Arguments of a call, checked.

        Raises
        ------
        StructureError
        """
        if self.expressions is not None and len(params) != len(self.expressions.shapes):
            count = len(self.expressions.shapes)
            raise StructureError(f"program has {count} parameters, got {len(params)}")
        found = Leaves.of(params, self._ranks, boxes)
        ends = dict.fromkeys(boxes, (self.n,))
        if self.expressions is not None:
            ends |= dict(zip(found.names, self.expressions.shapes, strict=True))
        for name, own in ends.items():
            shape = found.arrays[name].shape
            if shape[len(shape) - len(own) :] != own:
                raise StructureError(f"{name} must have shape (..., {own}), got {shape}")
        return found

    def made(self, leaves: Leaves) -> _Made:
        """The structure of a call.

        Raises
        ------
        StructureError
            h or g is not one-dimensional, f no scalar, or one of them uses a traced value.
        """
        names = tuple(leaves.arrays)
        bounds = tuple(name for name in ("lb", "ub") if name in names)
        if self.expressions is not None:
            return _Made(self.expressions.problem(names, bounds), None)
        if leaves.params not in self._known:
            if len(self._known) == MOST:
                self._known.pop(next(iter(self._known)), None)  # the oldest
            f, h, g = self._functions
            self._known[leaves.params] = FunctionProgram.of(f, h, g, self.n, leaves.params)
        own = self._known[leaves.params]
        return _Made(own.problem(leaves.names, names, bounds), own.traced)


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
) -> Any:
    """A local solution of a nonlinear program near ``start``. Experimental.

    Works under all transformations of JAX; see ``lpgd.torch.NLPLayer`` and docs/nlp for what a
    gradient means here.

    Parameters
    ----------
    program : NonlinearProgram
    *params : array, or of functions pytree of arrays
        Of expressions in the shapes of their symbols; leading dimensions are batch dimensions and
        broadcast.
    lb, ub : (..., n), or None
        May be infinite.
    start : (..., n), or None
        Where to start, by default at zero; it has no gradient.
    return_duals, rule, engine, on_failure, accept_inexact
        As for :func:`solve_qp`; engines as of ``lpgd.torch.NLPLayer``.

    Returns
    -------
    (..., n) array, or DualSolution
        ``y`` of h = 0, ``z`` of g <= 0, ``z_box`` of ub minus those of lb.

    Raises
    ------
    StructureError, EngineError, SolverError
        As :func:`solve_qp`.
    TypeError
        The program is no ``NonlinearProgram``.
    """
    if not isinstance(program, NonlinearProgram):
        raise TypeError(f"program must be a NonlinearProgram, got {program!r}")
    flag("return_duals", return_duals)
    solver = solver_of(rule, engine, on_failure, accept_inexact=accept_inexact)
    begin = start
    if begin is None:
        begin = jnp.zeros(program.n, jnp.result_type(*tree_leaves(params), jnp.float16))
    boxes = {"lb": lb, "ub": ub, "start": begin}
    given = {name: (value, 1) for name, value in boxes.items() if value is not None}
    leaves = program.leaves(params, given)
    problem, asked = program.made(leaves)
    rows = {name: block.stop - block.start for name, block in problem.blocks.items()}
    widths = (program.n, rows["A"], rows["G"], program.n)
    posed = Posed(solver, problem, QPView(problem), widths, asked=asked)
    return Asked(
        posed, leaves.arguments, lambda flat: DualSolution(*flat) if return_duals else flat[0]
    )
