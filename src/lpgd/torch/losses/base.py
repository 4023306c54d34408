"""What losses that solve share: the layer that solves, the sense, the reduction."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import nn

from lpgd.core.options import choice
from lpgd.frontend.oracle import checked
from lpgd.losses.linear import fitting
from lpgd.torch.arguments import check_numbers, common_dtype
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


def reduced(loss: torch.Tensor, reduction: Reduction, *given: torch.Tensor) -> torch.Tensor:
    """The mean or the sum of a loss, or the loss itself, in the dtype of what was ``given``."""
    if reduction != "none":
        loss = loss.mean() if reduction == "mean" else loss.sum()
    return loss.to(returned(*given)) if given else loss


def returned(*given: torch.Tensor) -> torch.dtype:
    """The common floating dtype of a loss's arguments.

    Raises
    ------
    StructureError
        There is none.
    """
    found = common_dtype({f"argument {place}": part for place, part in enumerate(given)})
    return found if found.is_floating_point else torch.get_default_dtype()


def wide(tensor: torch.Tensor) -> torch.Tensor:
    """As float64, where the device has it: differences of tilted costs cancel in less."""
    return tensor.to(torch.float32 if tensor.device.type == "mps" else torch.float64)


def plain(costs: Any, others: Mapping[str, Any]) -> tuple[torch.Tensor, ...]:
    """The costs and all other arguments in float64; masks are zeros and ones.

    Raises
    ------
    StructureError
        They are no dense tensors of real values, or on different devices.
    """
    given = {"costs": costs, **others}
    for name, part in given.items():
        check_numbers(name, part, costs, "costs")
    return tuple(map(wide, given.values()))


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
        """What solves, the costs to be minimised and all else, as vectors (..., d) in float64.

        The first gives minimisers of any number of costs, all solved at once; instances are given
        to each.

        Raises
        ------
        StructureError
            Wrong shape.
        """
        form = getattr(self.layer, "_form", (None,))
        parts = plain(costs, others)
        own, dims = checked(form, tuple(costs.shape)), len(form)
        fitting(own, costs=costs, **others)
        flat = [part.flatten(part.ndim - dims) for part in parts]
        # a module of the user's is asked in the dtype of the costs, which its parameters may have
        asks = parts[0].dtype if isinstance(self.layer, OracleLayer) else returned(costs)
        given = () if instances is None else (instances,)

        def solve(*tilted: torch.Tensor) -> tuple[torch.Tensor, ...]:
            with torch.no_grad():
                parts = torch.broadcast_tensors(*tilted)
                asked = parts[0] if len(parts) == 1 else torch.stack(parts)
                x = self.layer(self.sign * asked.unflatten(-1, own).to(asks), *given)
                x = x.flatten(x.ndim - dims).to(asked.dtype)
                return (x,) if len(tilted) == 1 else tuple(x)

        return solve, self.sign * flat[0], *flat[1:]
