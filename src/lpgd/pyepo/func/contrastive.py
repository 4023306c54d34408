"""Contrastive losses against a pool of solutions."""

from __future__ import annotations

import torch

from lpgd import losses
from lpgd.losses.linear import fitting
from lpgd.pyepo._rest import rest
from lpgd.pyepo.func._pools import PoolModule


class noiseContrastiveEstimation(PoolModule):
    """Noise-contrastive estimation (Mulamba et al., 2021)."""

    def forward(self, pred_cost: torch.Tensor, true_sol: torch.Tensor) -> torch.Tensor:
        """The loss of predicted costs (B, d), given true solutions (B, d)."""
        costs = self._full(pred_cost)
        fitting(costs.shape[-1:], costs=costs, true_sol=true_sol)
        pool = self._refresh_solution_pool(costs)
        return self._reduce(losses.noise_contrastive(costs, true_sol, pool))


class contrastiveMAP(PoolModule):
    """Contrastive maximum a posteriori (Mulamba et al., 2021)."""

    def forward(self, pred_cost: torch.Tensor, true_sol: torch.Tensor) -> torch.Tensor:
        """The loss of predicted costs (B, d), given true solutions (B, d)."""
        costs = self._full(pred_cost)
        fitting(costs.shape[-1:], costs=costs, true_sol=true_sol)
        pool = self._refresh_solution_pool(costs)
        return self._reduce(losses.contrastive_map(costs, true_sol, pool))


NCE = noiseContrastiveEstimation
CMAP = contrastiveMAP
__getattr__ = rest(__name__)
