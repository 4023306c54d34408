"""Losses stated as CVXPY expressions, added to the objective of a layer's problem."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from lpgd.core.errors import IllPosedError, StructureError
from lpgd.frontend.batches import Shape
from lpgd.frontend.envelope import Envelope, Evaluated
from lpgd.frontend.modelled import like
from lpgd.frontend.optimal_value import Piece, total
from lpgd.frontend.program import Program
from lpgd.rules.exact import Exact


@dataclass(frozen=True, eq=False)
class Stated:
    """The problems whose optimal values make up an envelope, each with its weight.

    Attributes
    ----------
    weights : tuple of float
    layers : tuple of CvxpyLayer, of any framework
        The layer itself where there is no loss.
    plain : tuple of bool
        Whether there is none.
    targets : int
        Number of target parameters.
    """

    weights: tuple[float, ...]
    layers: tuple[Any, ...]
    plain: tuple[bool, ...]
    targets: int

    @classmethod
    def of(cls, layer: Any, loss: Any, envelope: Envelope, targets: Sequence[Any]) -> Stated:
        """State and compile the problems with the loss.

        Raises
        ------
        StructureError
            The loss is no convex scalar expression of the problem's variables.
        IllPosedError
            Another side than the lower one of a loss that is not affine.
        """
        _check(layer, loss, envelope)
        made = [
            (weight, _with(layer, loss, t, targets) if t else layer, not t)
            for t, weight in envelope.ends
        ]
        weights, layers, plain = zip(*made, strict=True)
        return cls(weights, layers, plain, len(targets))

    def calls(
        self, inputs: tuple[Any, ...], target: Any, weight: Any
    ) -> Iterator[tuple[Any, tuple[Any, ...]]]:
        """Each layer with the arguments of its call.

        Raises
        ------
        StructureError
        """
        if weight is not None:
            raise StructureError("an expression has its own weights; weight must be None")
        given = tuple(target) if isinstance(target, (list, tuple)) else (target,)
        if len(given) != self.targets:
            raise StructureError(f"target must have {self.targets} tensors, got {len(given)}")
        for layer, bare in zip(self.layers, self.plain, strict=True):
            yield layer, inputs if bare else (*inputs, *given)

    def whole(self, calls: Sequence[Any]) -> Any:
        """The call, of those of ``calls`` in their order, that has all data."""
        return calls[self.plain.index(False)]

    def evaluate(
        self, programs: Sequence[Program], data: Sequence[np.ndarray], shape: Shape, eps: float
    ) -> Evaluated:
        """The envelope for every element; ``data`` are those of the program that has all."""
        counts = (len(program.names) for program in programs)
        pieces = list(map(Piece, self.weights, programs, counts))
        return total(pieces, data, shape, eps)


def _check(layer: Any, loss: Any, envelope: Envelope) -> None:
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
            "only state, and a convex solver only solve, for an affine loss. Use side='lower'; the "
            "upper side of a quadratic loss of a QP can be taken where it is well posed."
        )


def _with(layer: Any, loss: Any, t: float, targets: Sequence[Any]) -> Any:
    """The layer of the problem with t times the loss."""
    cp: Any = import_module("cvxpy")
    problem, parameters = layer.source
    maximise = isinstance(problem.objective, cp.Maximize)
    cost = -problem.objective.expr if maximise else problem.objective.expr
    stated = cp.Problem(cp.Minimize(cost + t * loss), problem.constraints)
    return like(layer, stated, [*parameters, *targets], rule=Exact())
