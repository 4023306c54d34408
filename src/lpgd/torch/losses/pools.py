"""Losses against a pool of solutions: contrastive, and learning to rank."""

from functools import partial
from typing import Literal

import torch
from torch import nn

from lpgd import losses
from lpgd.core.options import array, choice
from lpgd.core.public import public
from lpgd.losses.linear import fitting
from lpgd.torch.losses.base import Reduction, known, plain, reduced, wide

Sense = Literal["min", "max"]
ROUNDING = 2.0**12  # in units of the precision
SOFT = partial(torch.softmax, dim=-1), partial(torch.log_softmax, dim=-1)


class _PoolLoss(nn.Module):
    """Keeps a pool (P, d) as a buffer; nothing is solved."""

    pool: torch.Tensor

    def __init__(
        self, pool: torch.Tensor, sense: Sense = "min", reduction: Reduction = "mean"
    ) -> None:
        super().__init__()
        pool = pool if isinstance(pool, torch.Tensor) else torch.from_numpy(array("pool", pool))
        if pool.is_complex() or pool.layout != torch.strided:
            raise ValueError(f"pool must be dense real numbers, got {pool.dtype}, {pool.layout}")
        if pool.ndim != 2 or not len(pool):
            raise ValueError(f"pool must have shape (P, d) with P >= 1, got {tuple(pool.shape)}")
        choice("sense", sense, ("min", "max"))
        self.register_buffer("pool", pool.detach().clone())
        self.sign = 1.0 if sense == "min" else -1.0
        self.reduction: Reduction = known(reduction)

    @property
    def _rounding(self) -> float:
        """Difference of scores that is none, so that company in the batch settles no tie."""
        return ROUNDING * torch.finfo(wide(self.pool[:0]).dtype).eps

    def _begun(
        self, costs: torch.Tensor, **other: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Costs to be minimised, what else is given, and the pool, in float64.

        Raises
        ------
        StructureError
            Wrong shape.
        """
        own, given = plain(costs, other)
        fitting(self.pool.shape[1:], costs=costs, **other)
        return self.sign * own, given, wide(self.pool.to(costs.device))


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
        return reduced(loss, self.reduction, costs, target)


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
        loss = losses.contrastive_map(*self._begun(costs, target=target), rounding=self._rounding)
        return reduced(loss, self.reduction, costs, target)


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
            loss = losses.listwise(*given, *SOFT)
        elif self.kind == "pointwise":
            loss = losses.pointwise(*given)
        else:
            loss = losses.pairwise(*given, rounding=self._rounding)
        return reduced(loss, self.reduction, costs, true_costs)
