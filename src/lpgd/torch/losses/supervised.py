"""Losses against a target solution, and of true costs."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from lpgd import losses
from lpgd.core.public import public
from lpgd.losses.linear import step
from lpgd.rules.ends import Side
from lpgd.torch.losses.base import Loss, Reduction, reduced


class _Imitation(Loss):
    """A loss with a ``tau``; see ``lpgd.losses.imitation``."""

    def __init__(
        self,
        solver: Callable[..., Any] | nn.Module,
        tau: float = 1.0,
        reduction: Reduction = "mean",
    ) -> None:
        step(tau)
        super().__init__(solver, reduction)
        self.tau = tau


@public("lpgd.torch.losses")
class SPOPlus(Loss):
    """SPO+ (Elmachtoub and Grigas, 2022): an upper bound of regret, convex in the costs.

    The upper envelope of regret with tau = 1/2 and the divergence of the true solution: gradient
    2 (x_t - x*(2 c - c_t)). See ``lpgd.losses.spo_plus``; parameters as those of all losses here.

    Parameters
    ----------
    solver : callable or Module
        An oracle, or a layer from costs to solutions.
    reduction : {"mean", "sum", "none"}
    """

    def forward(
        self, costs: torch.Tensor, true_costs: torch.Tensor, target: torch.Tensor,
        instances: Any = None,
    ) -> torch.Tensor:  # fmt: skip
        """The loss of costs (..., d), given true costs and their solution, both (..., d)."""
        solve, c, truth, x = self._begun(instances, costs, true_costs=true_costs, target=target)
        loss = losses.spo_plus(c, self.sign * truth, x, solve)
        return reduced(loss, self.reduction, costs, true_costs, target)


@public("lpgd.torch.losses")
class PerturbationGradient(Loss):
    """Perturbation gradient loss (Gupta and Huang, NeurIPS 2024): LPGD's envelope of <c_t, x>.

    Parameters
    ----------
    solver : callable or Module
        An oracle, or a layer from costs to solutions.
    tau : float
        > 0; their sigma, or h.
    side : {"upper", "average", "lower"}
        "upper" is their one-sided, "average" their central difference.
    reduction : {"mean", "sum", "none"}
    """

    def __init__(
        self,
        solver: Callable[..., Any] | nn.Module,
        tau: float = 0.1,
        side: Side = "upper",
        reduction: Reduction = "mean",
    ) -> None:
        step(tau, side)
        super().__init__(solver, reduction)
        self.tau = tau
        self.side: Side = side

    def forward(
        self, costs: torch.Tensor, true_costs: torch.Tensor, instances: Any = None
    ) -> torch.Tensor:
        """The loss of costs (..., d), given true costs (..., d)."""
        solve, c, truth = self._begun(instances, costs, true_costs=true_costs)
        loss = losses.envelope(c, self.sign * truth.detach(), solve, self.tau, self.side)
        return reduced(loss, self.reduction, costs, true_costs)


@public("lpgd.torch.losses")
class Imitation(_Imitation):
    """Distance to a target under a task loss: the upper envelope of <slope, x - x_t>, and D / tau.

    Parameters
    ----------
    solver : callable or Module
        An oracle, or a layer from costs to solutions.
    tau : float
        > 0.
    reduction : {"mean", "sum", "none"}
    """

    def forward(
        self, costs: torch.Tensor, target: torch.Tensor, slope: torch.Tensor,
        instances: Any = None,
    ) -> torch.Tensor:  # fmt: skip
        """The loss of costs (..., d), given a target solution and the slope of the task loss."""
        solve, c, x, of = self._begun(instances, costs, target=target, slope=slope)
        loss = losses.imitation(c, x, of, solve, self.tau)
        return reduced(loss, self.reduction, costs, target, slope)


@public("lpgd.torch.losses")
class StructuredHinge(_Imitation):
    """Structured hinge loss (Tsochantaridis et al., 2005): imitation with Hamming loss.

    Parameters
    ----------
    solver : callable or Module
        An oracle of 0/1 vectors, or a layer from costs to such solutions.
    tau : float
        Weight of the Hamming loss, > 0; the loss is divided by it.
    reduction : {"mean", "sum", "none"}
    """

    def forward(
        self, costs: torch.Tensor, target: torch.Tensor, instances: Any = None
    ) -> torch.Tensor:
        """The loss of costs (..., d), given a target solution (..., d)."""
        solve, c, x = self._begun(instances, costs, target=target)
        loss = losses.structured_hinge(c, x, solve, self.tau)
        return reduced(loss, self.reduction, costs, target)
