"""Envelopes of losses that are added to a layer's problem in whole."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from lpgd.core.public import public
from lpgd.core.stats import Stats
from lpgd.frontend import envelope as shared
from lpgd.frontend.adding import evaluate
from lpgd.frontend.batches import Shape
from lpgd.frontend.envelope import Envelope, Evaluated, Given, Reduction
from lpgd.frontend.functional import Functional
from lpgd.frontend.stated import Stated
from lpgd.rules.ends import Side
from lpgd.torch.arguments import check_kind, common_dtype
from lpgd.torch.cvxpy import CvxpyLayer
from lpgd.torch.evaluated import Evaluate, Work
from lpgd.torch.nlp import NLPLayer
from lpgd.torch.oracle import OracleLayer
from lpgd.torch.program import ProgramLayer
from lpgd.torch.saddle import SaddleLayer
from lpgd.torch.subject import presented
from lpgd.torch.surroundings import untraced


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
    layer : QPLayer, LPLayer, ConicLayer or any other layer of this package
        Its engine and options solve; its counters count.
    loss : {"quadratic", "absolute", "linear", "hamming"}, cvxpy.Expression or callable
        With a target t and weights w: 1/2 sum w (x - t)^2, sum w |x - t|, sum w t x (t being true
        costs), and for binary solutions of oracles sum w |x - t|. For a ``CvxpyLayer`` an
        expression of the problem's variables and of ``targets``, convex and disciplined
        parametrised. For a ``SaddleLayer`` "linear", or any convex ``loss(x, *targets)`` of one
        element, which ``solve`` finds in ``tilt.objective`` and ``tilt.lagrangian``.
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
    targets : sequence of cvxpy.Parameter, or of int
        Of an expression, in the order of the tensors of a call; of a function how many dimensions
        each target has for one element, as the layer's ``ranks`` say it of parameters.
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
        shared.check_reduction(reduction)
        self.layer, self.reduction = layer, reduction
        self._envelope = Envelope(tau, side, rho)
        self._loss = loss
        self._stated: Stated | Functional | None = None
        if isinstance(layer, CvxpyLayer):
            self._stated = Stated.of(layer, loss, self._envelope, targets)
        elif isinstance(layer, SaddleLayer) and callable(loss):
            self._stated = Functional.of(layer, loss, self._envelope, targets)
        else:
            shared.check(loss)
            shared.refuse(loss, _family(layer))
            shared.refuse_side(loss, side)

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
        values = untraced(self._evaluated)(inputs, named, target, weight)
        if self.reduction == "none":
            return values
        solved = values[values.isfinite()] if self.layer._map.on_failure == "nan" else values
        return solved.mean() if self.reduction == "mean" else solved.sum()

    def _evaluated(
        self, inputs: tuple[Any, ...], named: dict[str, Any], target: Any, weight: Any
    ) -> torch.Tensor:
        if self._stated is not None:
            work, tensors = self._whole(self._stated, inputs, target, weight)
        else:
            work, tensors = self._work(inputs, named, target, weight)
        return Evaluate.apply(work, *tensors)

    def _whole(
        self, stated: Stated | Functional, inputs: tuple[Any, ...], target: Any, weight: Any
    ) -> tuple[Work, list[torch.Tensor]]:
        """One call with an expression, and the tensors that it depends on."""
        calls = stated.calls(inputs, target, weight)
        every = [presented(layer, given, {}) for layer, given in calls]
        seen, programs = stated.whole(every), [own.call.program for own in every]
        call, tensors = seen.call, list(seen.tensors)
        shape = call.program.batch([tensor.shape for tensor in tensors])

        def run(arrays: Sequence[np.ndarray]) -> Evaluated:
            return stated.evaluate(programs, arrays, shape, call.resolution)

        return Work(run, call.program.cores, call.dtype, call.device, call.functions), tensors

    def _work(
        self, inputs: tuple[Any, ...], named: dict[str, Any], target: Any, weight: Any
    ) -> tuple[Work, list[torch.Tensor]]:
        seen = presented(self.layer, inputs, named)
        program, first = seen.call.program, seen.tensors[0]
        form = shared.form(program)
        target = _flat("target", target, form, first)
        if weight is None:
            weight = torch.ones((), dtype=first.dtype, device=first.device)
        scalar = isinstance(weight, torch.Tensor) and weight.ndim == 0
        n = program.problem.n
        weight = weight.expand(n) if scalar else _flat("weight", weight, form, first)
        program = shared.adding(program, self._loss, self._envelope)
        tensors = [*seen.tensors, target, weight]
        batch = program.batch([t.shape for t in seen.tensors])
        shape = shared.joint(batch, tuple(target.shape), tuple(weight.shape))
        own, name, eps = self._envelope, self._loss, seen.call.resolution

        def run(arrays: Sequence[np.ndarray]) -> Evaluated:
            return evaluate(program, own, name, Given(arrays, shape, eps))

        dtype = common_dtype({str(i): tensor for i, tensor in enumerate(tensors)})
        cores = (*program.cores, 1, 1)
        return Work(run, cores, dtype, first.device, seen.call.functions), tensors


def _family(layer: ProgramLayer) -> str:
    """What is known of a layer's family before it is called."""
    kinds = {OracleLayer: "oracle", SaddleLayer: "Lagrangian", NLPLayer: "NLP"}
    return next((name for kind, name in kinds.items() if isinstance(layer, kind)), "")


def _flat(name: str, tensor: Any, form: Shape, first: torch.Tensor) -> torch.Tensor:
    """A tensor (..., *form) as (..., n)."""
    check_kind(name, tensor, first, "the layer's first argument")
    return tensor.reshape(*shared.fit(name, tuple(tensor.shape), form), math.prod(form))
