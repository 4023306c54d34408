"""Lagrangian divergences of a target: plain, regularised, perturbed."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from lpgd import losses
from lpgd.core.options import flag, number, whole
from lpgd.core.public import public
from lpgd.rules.frank_wolfe import FrankWolfe
from lpgd.rules.perturbation import Perturbation
from lpgd.torch.losses.base import Loss, Reduction, reduced, returned
from lpgd.torch.noise import GaussianNoise, noisy
from lpgd.torch.oracle import OracleLayer


@public("lpgd.torch.losses")
class FenchelYoung(Loss):
    """Fenchel-Young loss (Blondel et al., 2020): the Lagrangian divergence D(x_t | c).

    <c, x_t> - L*(c), with gradient x_t - x*(c); of a pool of solutions it is contrastive MAP. With
    ``weight``, the divergence of <c, x> + weight/2 ||x||^2 over the hull of the set (Dalle et al.,
    2022).

    Parameters
    ----------
    solver : callable or Module
        An oracle, or a layer from costs to solutions; an oracle with a weight.
    weight : float
        >= 0.
    reduction : {"mean", "sum", "none"}
    """

    def __init__(
        self,
        solver: Callable[..., Any] | nn.Module,
        weight: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        number("weight", weight)
        if weight and not isinstance(solver, nn.Module):
            solver = OracleLayer(solver, FrankWolfe(weight))
        elif weight and getattr(solver, "rule", None) != FrankWolfe(weight):
            raise ValueError(f"a layer must have the rule lpgd.rules.FrankWolfe({weight})")
        super().__init__(solver, reduction)
        self.weight = weight

    def forward(
        self, costs: torch.Tensor, target: torch.Tensor, instances: Any = None
    ) -> torch.Tensor:
        """The loss of costs (..., d), given a target solution (..., d)."""
        solve, c, x = self._begun(instances, costs, target=target)
        loss = losses.regularised_fenchel_young(c, x, self.weight, solve)
        return reduced(loss, self.reduction, costs, target)


@public("lpgd.torch.losses")
class PerturbedFenchelYoung(Loss):
    """Perturbed Fenchel-Young loss (Berthet et al., 2020): <c, x_t> - E L*(c + sigma z).

    Its gradient is x_t - E x*(c + sigma z). Multiplied (Dalle et al., 2022), the noise keeps the
    signs of the costs, and weighs each solution by the factor of its costs.

    Parameters
    ----------
    solver : callable or Module
        An oracle, or a layer from costs to solutions. Instances are not supported.
    sigma : float
        Size of the noise, > 0.
    samples : int
        >= 1.
    seed : int
    multiplicative : bool
    reduction : {"mean", "sum", "none"}
    """

    def __init__(
        self,
        solver: Callable[..., Any] | nn.Module,
        sigma: float = 1.0,
        samples: int = 10,
        seed: int = 0,
        *,
        multiplicative: bool = False,
        reduction: Reduction = "mean",
    ) -> None:
        whole("seed", seed, least=0)
        flag("multiplicative", multiplicative)
        super().__init__(solver, reduction)
        self.noise = GaussianNoise(seed)
        self._how = Perturbation(sigma, samples, self.noise, multiply=multiplicative)

    def forward(self, costs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The loss of costs (..., d), given a target solution (..., d)."""
        solve, c, x = self._begun(None, costs, target=target)
        loss = losses.perturbed_fenchel_young(c, x, noisy(c, self._how, returned(costs)), solve)
        return reduced(loss, self.reduction, costs, target)
