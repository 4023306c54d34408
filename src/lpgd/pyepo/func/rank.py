"""Learning to rank the solutions of a pool (Mandi et al., 2022)."""

from __future__ import annotations

import torch

from lpgd import losses
from lpgd.losses.linear import fitting
from lpgd.pyepo._rest import rest
from lpgd.pyepo.func._pools import PoolModule
from lpgd.torch.losses.pools import SOFT


class _Rank(PoolModule):
    def _given(
        self, pred_cost: torch.Tensor, true_cost: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        truth, costs = self._full(true_cost), self._full(pred_cost)
        fitting(costs.shape[-1:], costs=costs, true_cost=truth)
        return costs, truth, self._refresh_solution_pool(costs)


class listwiseLearningToRank(_Rank):
    """Cross-entropy of the softmin of scores."""

    def forward(self, pred_cost: torch.Tensor, true_cost: torch.Tensor) -> torch.Tensor:
        """The loss of predicted costs (B, d), given true costs (B, d)."""
        return self._reduce(losses.listwise(*self._given(pred_cost, true_cost), *SOFT))


class pairwiseLearningToRank(_Rank):
    """Hinges of all scores against that of the best."""

    def forward(self, pred_cost: torch.Tensor, true_cost: torch.Tensor) -> torch.Tensor:
        """The loss of predicted costs (B, d), given true costs (B, d)."""
        return self._reduce(losses.pairwise(*self._given(pred_cost, true_cost)))


class pointwiseLearningToRank(_Rank):
    """Square errors of scores."""

    def forward(self, pred_cost: torch.Tensor, true_cost: torch.Tensor) -> torch.Tensor:
        """The loss of predicted costs (B, d), given true costs (B, d)."""
        return self._reduce(losses.pointwise(*self._given(pred_cost, true_cost)))


lsLTR = listwiseLearningToRank
prLTR = pairwiseLearningToRank
ptLTR = pointwiseLearningToRank
__getattr__ = rest(__name__)
