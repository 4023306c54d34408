"""Losses stated as CVXPY expressions, added to the objective of a layer's problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import torch

from lpgd.core.errors import IllPosedError, StructureError
from lpgd.frontend.batches import Shape
from lpgd.frontend.envelope import Envelope, Evaluated
from lpgd.frontend.optimal_value import Piece, total
from lpgd.rules.exact import Exact
from lpgd.torch.cvxpy import CvxpyLayer
from lpgd.torch.evaluated import Work
from lpgd.torch.subject import presented


@dataclass(frozen=True, eq=False)
class Stated:
    """The problems whose optimal values make up an envelope, each with its weight.

    Attributes
    ----------
    weights : tuple of float
    layers : tuple of CvxpyLayer
        The layer itself where there is no loss.
    plain : tuple of bool
        Whether there is none.
    targets : int
        Number of target parameters.
    """

    weights: tuple[float, ...]
    layers: tuple[CvxpyLayer, ...]
    plain: tuple[bool, ...]
    targets: int

    @classmethod
    def of(cls, layer: CvxpyLayer, loss: Any, envelope: Envelope, targets: Sequence[Any]) -> Stated:
        """State and compile the problems with the loss."""
        _check(layer, loss, envelope)
        made = [
            (weight, _with(layer, loss, t, targets) if t else layer, not t)
            for t, weight in envelope.ends
        ]
        weights, layers, plain = zip(*made, strict=True)
        return cls(weights, layers, plain, len(targets))

    def work(
        self, inputs: tuple[Any, ...], target: Any, weight: Any
    ) -> tuple[Work, list[torch.Tensor]]:
        """One call, and the tensors that it depends on."""
        if weight is not None:
            raise StructureError("an expression has its own weights; weight must be None")
        given = tuple(target) if isinstance(target, (list, tuple)) else (target,)
        if len(given) != self.targets:
            raise StructureError(f"target must have {self.targets} tensors, got {len(given)}")
        pieces: list[Piece] = []
        for scale, layer, bare in zip(self.weights, self.layers, self.plain, strict=True):
            seen = presented(layer, inputs if bare else (*inputs, *given), {})
            pieces.append(Piece(scale, seen.call.program, len(seen.tensors)))
        full = presented(next(_filled(self)), (*inputs, *given), {})
        call, tensors = full.call, list(full.tensors)
        shape = call.program.batch([tensor.shape for tensor in tensors])

        def run(arrays: Sequence[np.ndarray], shapes: Sequence[Shape]) -> Evaluated:
            return total(pieces, arrays, shapes, shape, call.resolution)

        return Work(run, call.program.cores, call.dtype, call.device), tensors


def _filled(stated: Stated) -> Any:
    return (own for own, bare in zip(stated.layers, stated.plain, strict=True) if not bare)


def _check(layer: CvxpyLayer, loss: Any, envelope: Envelope) -> None:
    if not hasattr(loss, "is_convex"):
        raise StructureError(
            "the loss of a CvxpyLayer must be a CVXPY expression of the problem's variables, got "
            f"{loss!r}; e.g. cp.sum_squares(x - target) with a cp.Parameter target"
        )
    if loss.size != 1:
        raise StructureError(f"the loss must be a scalar expression, got shape {loss.shape}")
    if layer.source is None:
        raise StructureError(
            "the layer does not hold its CVXPY problem: geometric programs cannot take a convex "
            "loss, and copies of layers have none. Give the layer as it was made."
        )
    own = {variable.id for variable in layer.source[0].variables()}
    strange = [v.name() for v in loss.variables() if v.id not in own]
    if strange:
        raise StructureError(f"the loss has variables that the problem lacks: {', '.join(strange)}")
    if envelope.rho:
        raise StructureError("rho must be 0 for an expression; add cp.sum_squares(x - point) to it")
    if not loss.is_convex():
        raise StructureError(f"the loss must be convex in the variables, by CVXPY's rules: {loss}")
    if envelope.side != "lower" and not loss.is_affine():
        raise IllPosedError(
            f"the {envelope.side} side subtracts the loss from a convex objective, which CVXPY can "
            "only state, and a convex solver only solve, for an affine loss. Use side='lower'; a "
            "QPLayer takes the upper side of a quadratic loss where it is well posed."
        )


def _with(layer: CvxpyLayer, loss: Any, t: float, targets: Sequence[Any]) -> CvxpyLayer:
    """The layer of the problem with t times the loss."""
    cp: Any = import_module("cvxpy")
    assert layer.source is not None
    problem, parameters = layer.source
    maximise = isinstance(problem.objective, cp.Maximize)
    cost = -problem.objective.expr if maximise else problem.objective.expr
    stated = cp.Problem(cp.Minimize(cost + t * loss), problem.constraints)
    return layer.like(stated, [*parameters, *targets], rule=Exact())
