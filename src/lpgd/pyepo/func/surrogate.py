"""SPO+ and the perturbation gradient loss."""

from __future__ import annotations

from typing import Any

import torch

from lpgd import losses
from lpgd.losses.linear import fitting
from lpgd.pyepo import _models
from lpgd.pyepo._rest import rest
from lpgd.pyepo._solvers import Choice
from lpgd.pyepo.func._checks import positive
from lpgd.pyepo.func.abcmodule import optModule
from lpgd.torch.losses.base import Reduction


class SPOPlus(optModule):
    """SPO+ (Elmachtoub and Grigas, 2022); see ``lpgd.losses.spo_plus`` and ``optModule``."""

    def __init__(
        self,
        optmodel: Any,
        processes: int = 1,
        solve_ratio: float = 1.0,
        reduction: Reduction = "mean",
        dataset: Any = None,
        *,
        oracle: Choice = "auto",
    ) -> None:
        super().__init__(optmodel, processes, solve_ratio, reduction, dataset, oracle=oracle)

    def forward(
        self,
        pred_cost: torch.Tensor,
        true_cost: torch.Tensor,
        true_sol: torch.Tensor,
        true_obj: torch.Tensor,
    ) -> torch.Tensor:
        """The loss of predicted costs (B, d), given true costs, solutions and objectives (B, 1)."""
        truth, costs = self._full(true_cost.detach()), self._full(pred_cost)
        fitting(costs.shape[-1:], costs=costs, true_cost=truth, true_sol=true_sol)
        best = true_obj.detach().squeeze(-1)
        if offset := _models.offset(self.optmodel):
            best = best - offset
        best = best if self._sense > 0 else -best
        loss = losses.spo_plus(costs, truth, true_sol.detach(), self._solve, best)
        return self._reduce(loss)


class perturbationGradient(optModule):
    """Perturbation gradient loss (Gupta and Huang, 2024); see ``lpgd.losses.envelope``."""

    def __init__(
        self,
        optmodel: Any,
        sigma: float = 0.1,
        two_sides: bool = False,
        processes: int = 1,
        solve_ratio: float = 1.0,
        reduction: Reduction = "mean",
        dataset: Any = None,
        *,
        oracle: Choice = "auto",
    ) -> None:
        positive(sigma, "sigma")
        super().__init__(optmodel, processes, solve_ratio, reduction, dataset, oracle=oracle)
        self.sigma, self.two_sides = sigma, two_sides

    def forward(self, pred_cost: torch.Tensor, true_cost: torch.Tensor) -> torch.Tensor:
        """The loss of predicted costs (B, d), given true costs (B, d)."""
        truth, costs = self._full(true_cost.detach()), self._full(pred_cost)
        fitting(costs.shape[-1:], costs=costs, true_cost=truth)
        side = "average" if self.two_sides else "upper"
        return self._reduce(losses.envelope(costs, truth, self._solve, self.sigma, side))


smartPredictThenOptimizePlus = SPOPlus
PG = perturbationGradient
__getattr__ = rest(__name__)
