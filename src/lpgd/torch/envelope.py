"""Envelopes of losses that are added to a layer's problem in whole."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import nn

from lpgd.core.errors import StructureError
from lpgd.core.public import public
from lpgd.core.stats import Stats
from lpgd.frontend.adding import evaluate
from lpgd.frontend.batches import Shape
from lpgd.frontend.envelope import Adding, Envelope, Evaluated, Given, refuse
from lpgd.losses.added import LOSSES
from lpgd.rules.ends import Side
from lpgd.torch.arguments import check_kind, common_dtype
from lpgd.torch.cvxpy import CvxpyLayer
from lpgd.torch.evaluated import Evaluate, Work
from lpgd.torch.expressions import Stated
from lpgd.torch.oracle import OracleLayer
from lpgd.torch.program import ProgramLayer
from lpgd.torch.subject import presented

Reduction = Literal["mean", "sum", "none"]
REDUCTIONS = ("mean", "sum", "none")


@public("lpgd.torch")
class EnvelopeLoss(nn.Module):
    """Value of an envelope of a loss of a layer's solution, with its exact gradient.

    LPGD linearises the loss. Where the loss can be added to the problem itself, its proximal map is
    better: of the lower envelope l_tau(w) = min_x loss(x) + D(x | w) / tau, D(x | w) being how far
    x is from optimal (math page, sections 1 and 2; Paulus et al., 2024, "LPPM"). The gradient is
    that of this value, in the arguments of the layer and in the target: no rule is involved, and
    ``layer.rule`` is not used.

    Parameters
    ----------
    layer : QPLayer, LPLayer, ConicLayer, CvxpyLayer or OracleLayer
        Its engine and options solve; its counters count.
    loss : {"quadratic", "absolute", "linear", "hamming"} or cvxpy.Expression
        With a target t and weights w: 1/2 sum w (x - t)^2, sum w |x - t|, sum w t x (t being true
        costs), and for binary solutions of oracles sum w |x - t|. For a ``CvxpyLayer`` an
        expression of the problem's variables and of ``targets``, convex and disciplined
        parametrised.
    tau : float
        How far the value may look from the solution, > 0, in objective units per loss unit. As
        tau goes to zero the value becomes the loss of the solution. It belongs to one element, so
        that ``reduction="mean"`` does not change what it means.
    side : {"lower", "upper", "average"}
        "upper" looks for worse points than the solution, "average" is the mean of both. These are
        well posed for affine losses, and for quadratic ones where P + rho I - tau W is positive
        definite on the null space of the equalities.
    rho : float
        Weight of a proximal term about the solution, >= 0, that is held fixed; 0 for expressions.
    targets : sequence of cvxpy.Parameter
        Of an expression, in the order of the tensors of a call.
    reduction : {"mean", "sum", "none"}
        Over the elements that were solved; "none" returns one value an element.

    Raises
    ------
    IllPosedError
        The family cannot add the loss, or the side is a non-convex problem whatever the data.
    StructureError
        An expression is not convex, or has other variables or parameters than those named.
    """

    def __init__(
        self,
        layer: ProgramLayer,
        loss: Any,
        tau: float,
        side: Side = "lower",
        *,
        rho: float = 0.0,
        targets: Sequence[Any] = (),
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        if not isinstance(layer, ProgramLayer):
            raise TypeError(f"layer must be one of lpgd.torch, got {type(layer).__name__}")
        if reduction not in REDUCTIONS:
            raise ValueError(f"reduction must be one of {REDUCTIONS}, got {reduction!r}")
        self.layer, self.reduction = layer, reduction
        self._envelope = Envelope(tau, side, rho)
        self._loss, self._stated = loss, None
        if isinstance(layer, CvxpyLayer):
            self._stated = Stated.of(layer, loss, self._envelope, targets)
        else:
            self._map = self._adding(layer, loss)

    def _adding(self, layer: ProgramLayer, loss: Any) -> Any:
        if loss not in tuple(LOSSES):
            raise ValueError(f"loss must be one of {sorted(LOSSES)}, got {loss!r}")
        kind, own = LOSSES[loss], self._envelope
        refuse(loss, kind, "oracle" if isinstance(layer, OracleLayer) else "", own.side)
        rule = Adding(curved=kind.curved or own.rho > 0)
        return replace(layer._map, rule=rule, memory={})

    @property
    def stats(self) -> Stats:
        """What the layer has done so far; two or three solves an element and call."""
        return self.layer.stats

    def extra_repr(self) -> str:
        """Options for ``print(model)``."""
        own = self._envelope
        return f"{self._loss}, tau={own.tau}, side={own.side!r}, rho={own.rho}"

    def forward(self, *inputs: Any, target: Any, weight: Any = None, **named: Any) -> torch.Tensor:
        """The envelope of the loss at the layer's arguments.

        Parameters
        ----------
        *inputs, **named
            Arguments of the layer.
        target : Tensor, (..., n); for expressions a tensor for each of ``targets``, or the only one
            Leading dimensions are batch dimensions and broadcast with those of the arguments. Of an
            oracle (..., *shape), as its costs.
        weight : Tensor, (..., n) or (), optional
            >= 0, 1 if not given. The mean-squared error is "quadratic" with weight 2 / n. Not for
            expressions.

        Returns
        -------
        Tensor, (), or with ``reduction="none"`` (...)
            NaN, or with a reduction left out, where an element could not be solved and the layer's
            ``on_failure`` is "nan".

        Raises
        ------
        StructureError, SolverError, EngineError
            As the layer.
        IllPosedError
            The upper side is a non-convex problem for some element.
        """
        evaluate: Any = self._evaluated
        if torch.compiler.is_compiling():  # a graph break: the solves are not traced
            evaluate = cast(Any, torch.compiler.disable(evaluate))
        values = evaluate(inputs, named, target, weight)
        if self.reduction == "none":
            return values
        solved = values[values.isfinite()] if self.layer._map.on_failure == "nan" else values
        return solved.mean() if self.reduction == "mean" else solved.sum()

    def _evaluated(
        self, inputs: tuple[Any, ...], named: dict[str, Any], target: Any, weight: Any
    ) -> torch.Tensor:
        if self._stated is not None:
            work, tensors = self._stated.work(inputs, target, weight)
        else:
            work, tensors = self._work(inputs, named, target, weight)
        return Evaluate.apply(work, *tensors)

    def _work(
        self, inputs: tuple[Any, ...], named: dict[str, Any], target: Any, weight: Any
    ) -> tuple[Work, list[torch.Tensor]]:
        seen = presented(self.layer, inputs, named)
        first, n = seen.tensors[0], seen.call.program.problem.n
        form: Shape = getattr(seen.call.program.problem, "form", (n,))  # of an oracle's costs
        target = _flat("target", target, form, first)
        if weight is None:
            weight = torch.ones((), dtype=first.dtype, device=first.device)
        scalar = isinstance(weight, torch.Tensor) and weight.ndim == 0
        weight = weight.expand(n) if scalar else _flat("weight", weight, form, first)
        program = replace(seen.call.program, map=self._map)
        tensors = [*seen.tensors, target, weight]
        shape = _shape(program.batch([t.shape for t in seen.tensors]), target, weight)
        kind, own, eps = LOSSES[self._loss], self._envelope, seen.call.resolution
        cores = (*program.cores, 1, 1)

        def run(arrays: Sequence[np.ndarray], shapes: Sequence[Shape]) -> Evaluated:
            return evaluate(program, own, kind, Given(arrays, shapes, shape, eps))

        dtype = common_dtype({str(i): tensor for i, tensor in enumerate(tensors)})
        return Work(run, cores, dtype, first.device), tensors


def _flat(name: str, tensor: Any, form: Shape, first: torch.Tensor) -> torch.Tensor:
    """A tensor (..., *form) as (..., n)."""
    check_kind(name, tensor, first, "the layer's first argument")
    lead = tensor.ndim - len(form)
    if lead < 0 or tuple(tensor.shape[lead:]) != form:
        listed = ", ".join(map(str, form))
        raise StructureError(f"{name} must have shape (..., {listed}), got {tuple(tensor.shape)}")
    return tensor.reshape(*tensor.shape[:lead], math.prod(form))


def _shape(batch: Shape, *others: torch.Tensor) -> Shape:
    try:
        return tuple(np.broadcast_shapes(batch, *(tuple(other.shape[:-1]) for other in others)))
    except ValueError:
        raise StructureError(
            f"target and weight of shapes {', '.join(str(tuple(o.shape)) for o in others)} do not "
            f"broadcast with the batch dimensions {batch} of the layer"
        ) from None
