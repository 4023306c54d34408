"""Regularised Frank-Wolfe, and its Fenchel-Young loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from lpgd import losses, rules
from lpgd.core.params import batched
from lpgd.core.solution import Solution
from lpgd.families.oracle.oracle import Oracle
from lpgd.losses.linear import fitting
from lpgd.pyepo._rest import rest
from lpgd.pyepo._solvers import Choice
from lpgd.pyepo.func._checks import nonnegative, positive, positive_int
from lpgd.pyepo.func.abcmodule import optModule
from lpgd.torch.losses.base import Reduction

EXACT = 1e-10  # a looser tolerance saves next to nothing: the algorithm is finite


class _FrankWolfe(optModule):
    def __init__(
        self, optmodel: Any, lambd: float, max_iter: int, tol: float, **options: Any
    ) -> None:
        positive(lambd, "lambda")
        positive_int(max_iter, "max_iter")
        nonnegative(tol, "tol")
        super().__init__(optmodel, **options)
        self.lambd, self.max_iter, self.tol = float(lambd), max_iter, tol

    def _rule(self, weight: float) -> rules.FrankWolfe:
        return rules.FrankWolfe(weight, self.max_iter, min(self.tol, EXACT))

    @torch.no_grad()
    def _nearest(self, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The points of the hull nearest to theta (B, d), their vertices, and their weights."""
        self._dtype, self._device = theta.dtype, theta.device
        target = theta.detach().to("cpu", torch.float64).numpy()

        def solve(params: Any) -> Solution:
            costs = np.array(params["q"].full())
            status = np.zeros(len(costs), dtype=np.int8)
            return Solution(self._ask(costs), costs[:, :0], status)

        problem, params = Oracle(target.shape[1]), {"q": batched(-target)}
        samples, found = self._rule(1.0).explore(problem, params, solve)
        assert samples.weight is not None
        counts = np.bincount(samples.rows, minlength=len(target))
        place = np.arange(len(samples.rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        vertices = np.zeros((len(target), counts.max(initial=0) + 1, target.shape[1]))
        weights = np.zeros(vertices.shape[:2])
        vertices[samples.rows, place], weights[samples.rows, place] = found.x, samples.weight
        made = np.einsum("bk,bkd->bd", weights, vertices), vertices, weights
        mu, corners, shares = (torch.from_numpy(part).to(theta) for part in made)
        return mu, corners, shares


class regularizedFrankWolfeOpt(_FrankWolfe):
    """Regularised Frank-Wolfe (Dalle et al., 2022); see ``lpgd.rules.FrankWolfe``."""

    def __init__(
        self,
        optmodel: Any,
        lambd: float = 1.0,
        max_iter: int = 10000,
        tol: float = 1e-6,
        processes: int = 1,
        solve_ratio: float = 1.0,
        dataset: Any = None,
        *,
        oracle: Choice = "auto",
    ) -> None:
        options = {"processes": processes, "solve_ratio": solve_ratio, "dataset": dataset}
        super().__init__(optmodel, lambd, max_iter, tol, oracle=oracle, **options)

    def forward(self, pred_cost: torch.Tensor) -> torch.Tensor:
        """Regularised solutions of predicted costs (B, d)."""
        return self._through(self._rule(self.lambd), self._full(pred_cost))

    def compute_regularization(self, y: torch.Tensor) -> torch.Tensor:
        """lambd / 2 ||y||^2 of each row."""
        return 0.5 * self.lambd * (y**2).sum(dim=-1)

    def _frank_wolfe(self, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return self._nearest(theta)


class regularizedFrankWolfeFenchelYoung(_FrankWolfe):
    """Fenchel-Young loss of regularised Frank-Wolfe; see ``lpgd.losses``."""

    def __init__(
        self,
        optmodel: Any,
        lambd: float = 1.0,
        max_iter: int = 10000,
        tol: float = 1e-6,
        processes: int = 1,
        solve_ratio: float = 1.0,
        reduction: Reduction = "mean",
        dataset: Any = None,
        *,
        oracle: Choice = "auto",
    ) -> None:
        options = {"processes": processes, "solve_ratio": solve_ratio, "dataset": dataset}
        super().__init__(
            optmodel, lambd, max_iter, tol, reduction=reduction, oracle=oracle, **options
        )

    def forward(self, pred_cost: torch.Tensor, true_sol: torch.Tensor) -> torch.Tensor:
        """The loss of predicted costs (B, d), given true solutions (B, d)."""
        rule = self._rule(self.lambd)

        @torch.no_grad()
        def solve(costs: torch.Tensor) -> tuple[torch.Tensor]:
            return (self._through(rule, costs),)

        given = self._full(pred_cost), true_sol.detach(), self.lambd
        fitting(given[0].shape[-1:], costs=given[0], true_sol=true_sol)
        return self._reduce(losses.regularised_fenchel_young(*given, solve))

    def _frank_wolfe(self, theta: torch.Tensor) -> torch.Tensor:
        return self._nearest(theta)[0]


RFWO = regularizedFrankWolfeOpt
RFY = regularizedFrankWolfeFenchelYoung
__getattr__ = rest(__name__)
