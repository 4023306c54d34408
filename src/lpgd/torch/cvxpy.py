"""CVXPY problems as torch modules."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from lpgd.core.engine import Engine
from lpgd.core.errors import StructureError
from lpgd.core.public import public
from lpgd.core.rule import Rule
from lpgd.core.solution import Solution
from lpgd.families.cvxpy.compile import compile_model
from lpgd.families.cvxpy.model import CvxpyModel, Input, Output
from lpgd.frontend import modelled
from lpgd.frontend.arguments import check_parameters
from lpgd.frontend.views import CvxpyView
from lpgd.map.report import OnFailure
from lpgd.map.solution_map import SolutionMap
from lpgd.torch.arguments import (
    Arguments,
    Signature,
    check_kind,
    common_dtype,
    is_sparse,
    signature,
)  # fmt: skip
from lpgd.torch.bridge import Call
from lpgd.torch.program import ProgramLayer


def _as_they_are(*outputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return outputs


@public("lpgd.torch")
class CvxpyLayer(ProgramLayer):
    """The solution of a parametrised CVXPY problem, as ``cvxpylayers.torch.CvxpyLayer`` has it.

    Parameters
    ----------
    problem : cvxpy.Problem
        Disciplined parametrised (``problem.is_dpp()``); ``quad_form(x, P)`` may have a parameter P
        in the objective. Compiled once, here.
    parameters : list of cvxpy.Parameter
        All of the problem's, in the order of the tensors of a call.
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
        Whether an element that cannot be solved raises ``lpgd.SolverError`` or is marked with NaN.
    threads : int or None
        Most threads to use.
    accept_inexact : bool
        Whether a solution that the solver calls inaccurate counts as solved.

    Raises
    ------
    StructureError
        The problem is not DPP, or has other parameters or variables than those named.
    EngineError
        The engine cannot solve such a problem.
    ValueError
        An option is unknown or out of range.
    """

    outputs = staticmethod(_as_they_are)

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
        super().__init__(rule, engine, on_failure, threads, accept_inexact=accept_inexact)
        model = compile_model(
            problem, parameters, variables, gp=gp, verbose=verbose, canon_backend=canon_backend
        )
        self._settings = modelled.settings_of(self._map, model, solver_args, verbose=verbose)
        self._names = modelled.named(parameters)
        self._gp = gp
        self._source: tuple[Any, tuple[Any, ...]] | None = problem, tuple(parameters)
        self._warms = modelled.warms(self._map)
        self._warm_start_cache: Solution | None = None

    def forward(
        self,
        *params: torch.Tensor,
        solver_args: Mapping[str, Any] | None = None,
        warm_start: bool = False,
    ) -> tuple[torch.Tensor, ...]:
        """Solve the problem for every element of a batch.

        Parameters
        ----------
        *params : Tensor, (..., *parameter.shape), floating
            A value for each parameter; leading dimensions are batch dimensions and broadcast. Of a
            symmetric parameter's value the symmetric part counts.
        solver_args : mapping from str to value
            Options of the solver for this call, before those of the constructor.
        warm_start : bool
            Start from the solution of the layer's last call, if that had as many elements. Moreau
            only. Answers then depend on that call within the solver's tolerance.

        Returns
        -------
        tuple of Tensor, (..., *variable.shape)

        Raises
        ------
        StructureError
            A tensor is missing or has the wrong shape, dtype or device.
        ValueError
            Another engine is asked for a warm start, or an option is unknown.
        SolverError
            Elements that failed, with ``on_failure="raise"``; in backward, if a tilted solve fails.
        """
        setting = self._settings.of(solver_args)
        if warm_start:
            modelled.check_warm_start(self._map)
        start = self._warm_start_cache if warm_start else None
        with modelled.caught_as_diffcp():
            flat = self._solve({"params": params, "setting": setting, "start": start}, duals=True)
        outputs = setting.model.outputs
        return tuple(
            self._shaped(output, values) for output, values in zip(outputs, flat, strict=True)
        )

    @property
    def source(self) -> tuple[Any, tuple[Any, ...]] | None:
        """The CVXPY problem and parameters; None in a copy of a layer, which has no need of them.

        Neither is used but to state other problems, as ``EnvelopeLoss`` does.
        """
        return None if self._gp else self._source

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_source": None}

    def _shaped(self, output: Output, values: torch.Tensor) -> torch.Tensor:
        shaped = values.reshape((*values.shape[:-1], *output.shape))
        return shaped.exp() if self._gp and not output.dual else shaped

    def _signature(self, given: dict[str, Any]) -> tuple[Signature, list[torch.Tensor]]:
        if self._gp:  # values are taken apart each time
            return (), []
        key, tensors = signature(enumerate(given["params"]))
        return key and (given["setting"].model, *key), tensors

    def _note(self, call: Call) -> None:
        if self._warms and call.forward is not None:
            self._warm_start_cache = call.forward.solution

    def _solution_map(self, given: dict[str, Any]) -> SolutionMap:
        return given["setting"].map

    def _describe(self, given: dict[str, Any]) -> tuple[Arguments, CvxpyModel, CvxpyView]:
        params, model = given["params"], given["setting"].model
        dtype, device = _check(params, self._names)
        arguments = Arguments(
            {key: _entering(own, params) for key, own in model.inputs.items()},
            tuple(len(own.shape) for own in model.inputs.values()),
            {}, {}, model.n, dtype, device,
        )  # fmt: skip
        return arguments, model, CvxpyView(model)


def _entering(own: Input, params: Sequence[torch.Tensor]) -> torch.Tensor:
    tensor = params[own.parameter]
    if not own.log:
        return tensor
    fit = tensor > 0  # others make the element unfit, and must not make its gradient NaN
    return torch.where(fit, torch.where(fit, tensor, 1.0).log(), torch.nan)


def _check(
    params: Sequence[Any], expected: Sequence[tuple[str, tuple[int, ...]]]
) -> tuple[torch.dtype, torch.device]:
    """Check the values of the parameters; return the dtype and the device of the outputs."""
    modelled.check_count(params, expected)
    named = {modelled.which(i, name): params[i] for i, (name, _) in enumerate(expected)}
    for which, tensor in named.items():
        if is_sparse(tensor):
            raise StructureError(f"{which} must be dense, got a sparse argument; use .to_dense()")
        check_kind(which, tensor, params[0], "parameter 0")
    check_parameters([tuple(tensor.shape) for tensor in params], expected)
    if not params:
        return torch.get_default_dtype(), torch.device("cpu")
    return common_dtype(named), params[0].device
