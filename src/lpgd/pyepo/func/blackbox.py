"""Blackbox differentiation and the negative identity."""

from __future__ import annotations

from typing import Any

import torch

from lpgd import rules
from lpgd.pyepo._rest import rest
from lpgd.pyepo._solvers import Choice
from lpgd.pyepo.func._checks import positive
from lpgd.pyepo.func.abcmodule import optModule


class blackboxOpt(optModule):
    """Blackbox differentiation (Pogančić et al., 2020); see ``lpgd.rules.blackbox``."""

    def __init__(
        self,
        optmodel: Any,
        lambd: float = 10,
        processes: int = 1,
        solve_ratio: float = 1.0,
        dataset: Any = None,
        *,
        oracle: Choice = "auto",
    ) -> None:
        positive(lambd, "lambda")
        super().__init__(optmodel, processes, solve_ratio, dataset=dataset, oracle=oracle)
        self.lambd = lambd

    def forward(self, pred_cost: torch.Tensor) -> torch.Tensor:
        """Solutions of predicted costs (B, d)."""
        return self._tilted(self._full(pred_cost), self.lambd)


class negativeIdentity(optModule):
    """Backward as if the solver were minus the identity (Sahoo et al., 2023)."""

    def __init__(
        self,
        optmodel: Any,
        processes: int = 1,
        solve_ratio: float = 1.0,
        dataset: Any = None,
        *,
        oracle: Choice = "auto",
    ) -> None:
        super().__init__(optmodel, processes, solve_ratio, dataset=dataset, oracle=oracle)

    def forward(self, pred_cost: torch.Tensor) -> torch.Tensor:
        """Solutions of predicted costs (B, d)."""
        return self._through(rules.Identity(), self._full(pred_cost))


DBB = blackboxOpt
NID = negativeIdentity
__getattr__ = rest(__name__)
