"""What losses that solve share: the layer that solves, the sense, the reduction."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import nn

from lpgd.core.options import choice
from lpgd.frontend.oracle import checked
from lpgd.losses.linear import fitting
from lpgd.torch.arguments import check_values
from lpgd.torch.oracle import OracleLayer

Reduction = Literal["mean", "sum", "none"]


def known(reduction: Any) -> Reduction:
    """Check a reduction.

    Raises
    ------
    ValueError
    """
    choice("reduction", reduction, ("mean", "sum", "none"))
    return reduction


def reduced(loss: torch.Tensor, reduction: Reduction) -> torch.Tensor:
    """The mean or the sum of a loss, or the loss itself."""
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()


def plain(costs: Any, others: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """All arguments beside the costs, of which masks are zeros and ones.

    Raises
    ------
    StructureError
        They are no tensors with values, or on different devices.
    """
    for name, part in {"costs": costs, **others}.items():
        check_values(name, part, costs, "costs")
    return {k: v.to(costs.dtype) if v.dtype == torch.bool else v for k, v in others.items()}


class Loss(nn.Module):
    """A loss of predicted costs that solves.

    Parameters
    ----------
    solver : callable or Module
        An oracle as ``lpgd.torch.OracleLayer`` takes it, or a layer of that kind: a module from
        costs (..., d) to solutions (..., d), of which a ``sense="max"`` is heeded.
    reduction : {"mean", "sum", "none"}
        Over all batch dimensions.
    """

    def __init__(
        self, solver: Callable[..., Any] | nn.Module, reduction: Reduction = "mean"
    ) -> None:
        super().__init__()
        self.layer = solver if isinstance(solver, nn.Module) else OracleLayer(solver)
        self.reduction: Reduction = known(reduction)

    @property
    def sign(self) -> float:
        """1 where the layer minimises, -1 where it maximises."""
        return -1.0 if getattr(self.layer, "sense", "min") == "max" else 1.0

    def _begun(
        self, instances: Any, costs: torch.Tensor, **others: torch.Tensor
    ) -> tuple[Any, ...]:
        """What solves, the costs to be minimised and all else, as vectors (..., d).

        The first gives minimisers of any number of costs, all solved at once; instances are given
        to each.

        Raises
        ------
        StructureError
            Wrong shape.
        """
        form = getattr(self.layer, "_form", (None,))
        others = plain(costs, others)
        own, dims = checked(form, tuple(costs.shape)), len(form)
        fitting(own, costs=costs, **others)
        flat = [part.flatten(part.ndim - dims) for part in (costs, *others.values())]
        given = () if instances is None else (instances,)

        def solve(*tilted: torch.Tensor) -> tuple[torch.Tensor, ...]:
            with torch.no_grad():
                parts = torch.broadcast_tensors(*tilted)
                asked = parts[0] if len(parts) == 1 else torch.stack(parts)
                x = self.layer(self.sign * asked.unflatten(-1, own), *given)
                x = x.flatten(x.ndim - dims)
                return (x,) if len(tilted) == 1 else tuple(x)

        return solve, self.sign * flat[0], *flat[1:]
