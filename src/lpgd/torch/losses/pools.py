"""Losses against a pool of solutions: contrastive, and learning to rank."""

from functools import partial
from typing import Literal

import torch
from torch import nn

from lpgd import losses
from lpgd.core.options import array, choice
from lpgd.core.public import public
from lpgd.losses.linear import fitting
from lpgd.torch.losses.base import Reduction, known, plain, reduced

Sense = Literal["min", "max"]
SOFT = partial(torch.softmax, dim=-1), partial(torch.log_softmax, dim=-1)


class _PoolLoss(nn.Module):
    """Keeps a pool (P, d) as a buffer; nothing is solved."""

    pool: torch.Tensor

    def __init__(
        self, pool: torch.Tensor, sense: Sense = "min", reduction: Reduction = "mean"
    ) -> None:
        super().__init__()
        pool = pool if isinstance(pool, torch.Tensor) else torch.from_numpy(array("pool", pool))
        if pool.ndim != 2 or not len(pool):
            raise ValueError(f"pool must have shape (P, d) with P >= 1, got {tuple(pool.shape)}")
        choice("sense", sense, ("min", "max"))
        self.register_buffer("pool", pool.detach().clone())
        self.sign = 1.0 if sense == "min" else -1.0
        self.reduction: Reduction = known(reduction)

    def _begun(
        self, costs: torch.Tensor, **other: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Costs to be minimised, what else is given, and the pool, of one dtype.

        Raises
        ------
        StructureError
            Wrong shape.
        """
        other = plain(costs, other)
        fitting(self.pool.shape[1:], costs=costs, **other)
        (given,) = other.values()
        dtype = torch.promote_types(costs.dtype, given.dtype)
        pool = self.pool.to(costs.device, dtype)
        return self.sign * costs.to(dtype), given.to(dtype), pool


@public("lpgd.torch.losses")
class NoiseContrastive(_PoolLoss):
    """Noise-contrastive estimation (Mulamba et al., 2021): the mean over a pool of <c, x_t - x>.

    Parameters
    ----------
    pool : Tensor, (P, d)
        Solutions.
    sense : {"min", "max"}
    reduction : {"mean", "sum", "none"}
    """

    def forward(self, costs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The loss of costs (..., d), given a target solution (..., d)."""
        loss = losses.noise_contrastive(*self._begun(costs, target=target))
        return reduced(loss, self.reduction)


@public("lpgd.torch.losses")
class ContrastiveMAP(_PoolLoss):
    """Contrastive MAP (Mulamba et al., 2021): the divergence D(x_t | c) over a pool.

    Parameters
    ----------
    pool : Tensor, (P, d)
        Solutions.
    sense : {"min", "max"}
    reduction : {"mean", "sum", "none"}
    """

    def forward(self, costs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The loss of costs (..., d), given a target solution (..., d)."""
        loss = losses.contrastive_map(*self._begun(costs, target=target))
        return reduced(loss, self.reduction)


@public("lpgd.torch.losses")
class LearningToRank(_PoolLoss):
    """Learning to rank the solutions of a pool as the true costs do (Mandi et al., 2022).

    Parameters
    ----------
    pool : Tensor, (P, d)
        Solutions.
    kind : {"pointwise", "pairwise", "listwise"}
        Square error of the scores, hinges against the best, cross-entropy of softmin.
    sense : {"min", "max"}
    reduction : {"mean", "sum", "none"}
    """

    def __init__(
        self,
        pool: torch.Tensor,
        kind: Literal["pointwise", "pairwise", "listwise"] = "pairwise",
        sense: Sense = "min",
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(pool, sense, reduction)
        choice("kind", kind, ("pointwise", "pairwise", "listwise"))
        self.kind = kind

    def forward(self, costs: torch.Tensor, true_costs: torch.Tensor) -> torch.Tensor:
        """The loss of costs (..., d), given true costs (..., d)."""
        c, truth, pool = self._begun(costs, true_costs=true_costs)
        given = c, self.sign * truth, pool
        if self.kind == "listwise":
            return reduced(losses.listwise(*given, *SOFT), self.reduction)
        of = losses.pointwise if self.kind == "pointwise" else losses.pairwise
        return reduced(of(*given), self.reduction)
