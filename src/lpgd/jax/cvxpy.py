"""CVXPY problems as functions of JAX arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import jax
import jax.numpy as jnp

from lpgd.core.engine import Engine
from lpgd.core.public import public
from lpgd.core.rule import Rule
from lpgd.core.stats import Stats
from lpgd.families.cvxpy.compile import compile_model
from lpgd.families.cvxpy.model import CvxpyModel, Input, Output
from lpgd.frontend import modelled
from lpgd.frontend.arguments import check_parameters
from lpgd.frontend.replay import Last
from lpgd.frontend.subject import Subject
from lpgd.frontend.views import CvxpyView
from lpgd.jax.arguments import Arguments, floating
from lpgd.jax.program import Asked, Posed, solver_of
from lpgd.jax.subject import subject
from lpgd.map.report import OnFailure


@public("lpgd.jax")
class CvxpyLayer:
    """The solution of a parametrised CVXPY problem, as ``cvxpylayers.jax.CvxpyLayer`` has it.

    It holds no arrays: close over it, or make it a static field of a module.

    Parameters
    ----------
    problem : cvxpy.Problem
        Disciplined parametrised (``problem.is_dpp()``); ``quad_form(x, P)`` may have a parameter P
        in the objective. Compiled once, here.
    parameters : list of cvxpy.Parameter
        All of the problem's, in the order of the arrays of a call.
    variables : list of cvxpy.Variable
        What a call returns: variables of the problem, and dual variables of its constraints
        (``constraint.dual_variables[0]``).
    solver : str, Engine or None
        CVXPY's name of a solver (``cp.CLARABEL``) or ours (``"clarabel"``), or an engine with
        options; None or ``"DIFFCP"`` chooses.
    gp : bool
        Whether the problem is a geometric program (disciplined, log-log convex).
    verbose : bool
        Whether CVXPY reports on its compilation, and the solver on its work.
    canon_backend : str or None
        CVXPY's canonicalization backend.
    solver_args : mapping from str to value
        Options of the solver, e.g. ``{"eps": 1e-8, "max_iters": 1000}``; see the documentation.
    rule : lpgd.LPGD or lpgd.Exact
        How the solution is differentiated; ``lpgd.LPGD()`` if not given.
    on_failure : {"raise", "nan"}
        As for :func:`lpgd.jax.solve_qp`.
    threads : int or None
        Most threads of the solver.
    accept_inexact : bool
        Whether a solution that the solver calls inaccurate counts as solved.

    Raises
    ------
    StructureError
        The problem is not DPP, or has other parameters or variables than those named.
    EngineError
        The engine cannot solve such a problem, or the rule needs a key or a state.
    ValueError
        An option is unknown or out of range.
    """

    def __init__(
        self,
        problem: Any,
        parameters: Sequence[Any],
        variables: Sequence[Any],
        solver: str | Engine | None = None,
        gp: bool = False,  # noqa: FBT001, FBT002 - the signature of cvxpylayers
        verbose: bool = False,  # noqa: FBT001, FBT002
        canon_backend: str | None = None,
        solver_args: Mapping[str, Any] | None = None,
        *,
        rule: Rule | None = None,
        on_failure: OnFailure = "raise",
        threads: int | None = None,
        accept_inexact: bool = False,
    ) -> None:
        engine = modelled.engine_of(solver)
        self._map = solver_of(rule, engine, on_failure, threads, accept_inexact=accept_inexact)
        model = compile_model(
            problem, parameters, variables, gp=gp, verbose=verbose, canon_backend=canon_backend
        )
        self._settings = modelled.settings_of(self._map, model, solver_args, verbose=verbose)
        self._names = modelled.named(parameters)
        self._gp = gp
        self._source: tuple[Any, tuple[Any, ...]] | None = problem, tuple(parameters)
        self._last = Last() if modelled.warms(self._map) else None

    @property
    def rule(self) -> Rule:
        """How the layer is differentiated."""
        return self._map.rule

    @property
    def stats(self) -> Stats:
        """What the layer has done so far."""
        return self._map.stats

    def __call__(
        self,
        *params: Any,
        solver_args: Mapping[str, Any] | None = None,
        warm_start: bool = False,
    ) -> tuple[jax.Array, ...]:
        """Solve the problem for every element of a batch.

        Parameters
        ----------
        *params : array, (..., *parameter.shape), floating
            A value for each parameter; leading dimensions are batch dimensions and broadcast. Of a
            symmetric parameter's value the symmetric part counts.
        solver_args : mapping from str to value
            Options of the solver for this call, before those of the constructor.
        warm_start : bool
            Start from the solution of the layer's last solve, if that had as many elements. Moreau
            only. Answers then depend on that solve within the solver's tolerance.

        Returns
        -------
        tuple of array, (..., *variable.shape)

        Raises
        ------
        StructureError
            An array is missing or has the wrong shape or dtype; when the call is traced.
        ValueError
            Another engine is asked for a warm start, or an option is unknown.
        SolverError
            Elements that failed, with ``on_failure="raise"``; in backward, if a tilted solve fails.
        """
        with modelled.caught_as_diffcp():
            return self.ask(*params, solver_args=solver_args, warm_start=warm_start).answer()

    def ask(
        self,
        *params: Any,
        solver_args: Mapping[str, Any] | None = None,
        warm_start: bool = False,
    ) -> Asked:
        """A call that is not solved yet."""
        setting = self._settings.of(solver_args)
        if warm_start:
            modelled.check_warm_start(self._map)
        model = setting.model
        widths = tuple(prod(output.shape) for output in model.outputs)
        posed = Posed(
            setting.map, model, CvxpyView(model), widths, last=self._last, warm=warm_start
        )

        def present(flat: Sequence[jax.Array]) -> tuple[jax.Array, ...]:
            return tuple(map(self._shaped, model.outputs, flat))

        return Asked(posed, self._arguments(params, model), present)

    def subject(self, inputs: tuple[Any, ...], named: Mapping[str, Any], loss: Any) -> Subject:
        """A call and a loss of what it returns, as ``lpgd.diagnose`` takes it."""
        return subject(type(self).__name__, self.ask, inputs, named, loss)

    @property
    def source(self) -> tuple[Any, tuple[Any, ...]] | None:
        """The CVXPY problem and parameters; None in a copy of a layer, which has no need of them.

        Neither is used but to state other problems, as ``EnvelopeLoss`` does.
        """
        return None if self._gp else self._source

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_source": None}

    def _shaped(self, output: Output, values: jax.Array) -> jax.Array:
        shaped = values.reshape((*values.shape[:-1], *output.shape))
        return jnp.exp(shaped) if self._gp and not output.dual else shaped

    def _arguments(self, params: Sequence[Any], model: CvxpyModel) -> Arguments:
        modelled.check_count(params, self._names)
        arrays = [
            floating(modelled.which(place, name), value)
            for place, (value, (name, _)) in enumerate(zip(params, self._names, strict=True))
        ]
        check_parameters([array.shape for array in arrays], self._names)
        return Arguments(
            {key: _entering(own, arrays) for key, own in model.inputs.items()},
            tuple(len(own.shape) for own in model.inputs.values()),
            jnp.result_type(*arrays) if arrays else jnp.result_type(float),
            model.n,
        )


def _entering(own: Input, arrays: Sequence[jax.Array]) -> jax.Array:
    array = arrays[own.parameter]
    if not own.log:
        return array
    fit = array > 0  # others make the element unfit, and must not make its gradient NaN
    return jnp.where(fit, jnp.log(jnp.where(fit, array, 1.0)), jnp.nan)
