"""Cone-aligned vector estimation."""

from typing import Any, Literal, cast

import numpy as np
import torch
from torch import nn

from lpgd.core.errors import StructureError
from lpgd.core.options import choice, whole
from lpgd.core.public import public
from lpgd.frontend.oracle import checked
from lpgd.losses.cone import projected
from lpgd.losses.linear import fitting
from lpgd.torch.losses.base import Reduction, known, plain, reduced


def cone_cosine(costs: torch.Tensor, onto: torch.Tensor) -> torch.Tensor:
    """1 - cos(costs, onto) over the last axis."""
    return 1 - torch.nn.functional.cosine_similarity(costs, onto, dim=-1)


def on_cones(costs: torch.Tensor, normals: torch.Tensor, iterations: int | None) -> torch.Tensor:
    """Projections of costs (..., d) on the cones of normals (..., m, d), without a gradient."""
    return cast(Any, _Projection).apply(costs.detach(), normals.detach(), iterations)


class _Projection(torch.autograd.Function):
    """A function of its own, so that vmap and jacrev can batch it."""

    @staticmethod
    def forward(costs: torch.Tensor, normals: torch.Tensor, iterations: int | None) -> torch.Tensor:
        size, d = costs.shape[:-1].numel(), costs.shape[-1]
        flat = costs.to("cpu", torch.float64).reshape(size, d)
        rows = normals.to("cpu", torch.float64).reshape(size, *normals.shape[-2:])
        found = torch.from_numpy(projected(flat.numpy(), rows.numpy(), iterations))
        return found.to(costs.device, costs.dtype).reshape(costs.shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.mark_non_differentiable(output)

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        return None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        costs, normals = (
            part.expand(info.batch_size, *part.shape) if dim is None else part.movedim(dim, 0)
            for part, dim in zip(args[:2], in_dims[:2], strict=True)
        )
        return on_cones(costs, normals, args[2]), 0


@public("lpgd.torch.losses")
class CaVE(nn.Module):
    """Cone-aligned vector estimation (Tang and Khalil, CPAIOR 2024), for 0/1 linear programs.

    1 - cos of minus the costs and its projection on the cone of the normals that bind at the true
    solution: zero where the true solution is optimal. It needs no solver.

    Parameters
    ----------
    sense : {"min", "max"}
    iterations : int or None
        Steps of an interior-point method that ends inside the cone ("CaVE+", 3 in the paper; needs
        Clarabel); None projects exactly ("CaVE").
    reduction : {"mean", "sum", "none"}
    """

    def __init__(
        self,
        sense: Literal["min", "max"] = "min",
        iterations: int | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        choice("sense", sense, ("min", "max"))
        if iterations is not None:
            whole("iterations", iterations)
        self.sign, self.iterations = (-1.0 if sense == "min" else 1.0), iterations
        self.reduction: Reduction = known(reduction)

    def forward(self, costs: torch.Tensor, normals: torch.Tensor) -> torch.Tensor:
        """The loss of costs (..., d), given normals (..., m, d) of rows a x <= b; zeros pad.

        Raises
        ------
        StructureError
            Wrong shape.
        """
        own, rows = plain(costs, {"normals": normals})
        checked((None,), tuple(costs.shape))
        fitting(costs.shape[-1:], normals=normals)
        try:
            if normals.ndim < 2:
                raise ValueError(normals.shape)
            batch = np.broadcast_shapes(costs.shape[:-1], normals.shape[:-2])
        except ValueError:
            raise StructureError(
                f"normals must have shape (..., m, d) of the batch dimensions of costs, "
                f"{tuple(costs.shape)}, got {tuple(normals.shape)}"
            ) from None
        direction = self.sign * own.expand(*batch, *costs.shape[-1:])
        onto = on_cones(direction, rows.expand(*batch, *normals.shape[-2:]), self.iterations)
        return reduced(cone_cosine(direction, onto), self.reduction, costs, normals)
