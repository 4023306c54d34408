"""Perturbed optimisers, perturbed Fenchel-Young losses, implicit maximum likelihood."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from lpgd import losses, rules
from lpgd.losses.linear import fitting
from lpgd.pyepo import _models
from lpgd.pyepo._rest import rest
from lpgd.pyepo._solvers import Choice
from lpgd.pyepo.func._checks import positive, positive_int
from lpgd.pyepo.func._noise import DrawnNoise
from lpgd.pyepo.func.abcmodule import optModule
from lpgd.pyepo.func.utils import sumGammaDistribution
from lpgd.rules.optimizer import less_baseline
from lpgd.rules.perturbation import perturbed
from lpgd.torch.losses.base import Reduction
from lpgd.torch.noise import GaussianNoise


class _Gaussian(optModule):
    """Operations that add normal noise to costs, or multiply by its exponential."""

    _multiplies = False

    def __init__(
        self, optmodel: Any, n_samples: int, sigma: float, seed: int, **options: Any
    ) -> None:
        positive_int(n_samples, "n_samples")
        positive(sigma, "sigma")
        super().__init__(optmodel, seed=seed, **options)
        self.n_samples, self.sigma, self.seed = n_samples, sigma, seed
        self._generators = GaussianNoise(seed)

    def _noise(self, costs: torch.Tensor) -> torch.Tensor:
        """Noise (B, S, d) for costs (B, d), none where costs are known."""
        drawn = self._generators.like(costs, self.n_samples)
        return drawn * self._keep(costs)

    def _keep(self, costs: torch.Tensor) -> torch.Tensor:
        keep = costs.new_ones(costs.shape[-1])
        model = getattr(self, "optmodel", None)
        keep[list(_models.fixed(model, len(keep)))] = 0
        return keep

    def _perturb(self, cp: torch.Tensor, noises: torch.Tensor) -> torch.Tensor:
        exp = torch.exp if self._multiplies else None
        return perturbed(cp, noises, self.sigma, exp, self._keep(cp))


class perturbedOpt(_Gaussian):
    """Perturbed optimiser (Berthet et al., 2020); see ``lpgd.rules.Perturbed``."""

    def __init__(
        self,
        optmodel: Any,
        n_samples: int = 10,
        sigma: float = 1.0,
        processes: int = 1,
        seed: int = 135,
        variance_reduction: bool = True,
        solve_ratio: float = 1.0,
        dataset: Any = None,
        *,
        oracle: Choice = "auto",
    ) -> None:
        options = {"processes": processes, "solve_ratio": solve_ratio, "dataset": dataset}
        super().__init__(optmodel, n_samples, sigma, seed, oracle=oracle, **options)
        self.variance_reduction = variance_reduction
        self._drawn = DrawnNoise(self._draw)

    def forward(self, pred_cost: torch.Tensor) -> torch.Tensor:
        """Mean solutions of predicted costs (B, d) with noise."""
        costs = self._full(pred_cost)
        self._drawn.like = costs.detach()
        self._drawn.sign = 1.0 if self._multiplies else self._sense
        rule = rules.Perturbed(
            self.sigma, self.n_samples, self._drawn, self._multiplies,
            self.variance_reduction, _models.fixed(self.optmodel, costs.shape[-1]),
        )  # fmt: skip
        return self._through(rule, costs)

    def _draw(self, shape: tuple[int, ...], like: torch.Tensor) -> torch.Tensor:
        return self._generators.like(like[: shape[0]], shape[1])  # unfit elements have none

    def _apply_variance_reduction(self, reward: torch.Tensor) -> torch.Tensor:
        reduce = self.variance_reduction and reward.shape[1] > 1
        return torch.from_numpy(less_baseline(reward.numpy())) if reduce else reward


class perturbedOptMul(perturbedOpt):
    """Perturbed optimiser whose noise keeps the signs of the costs (Dalle et al., 2022)."""

    _multiplies = True


class perturbedFenchelYoung(_Gaussian):
    """Perturbed Fenchel-Young loss (Berthet et al., 2020); see ``lpgd.losses``."""

    def __init__(
        self,
        optmodel: Any,
        n_samples: int = 10,
        sigma: float = 1.0,
        processes: int = 1,
        seed: int = 135,
        solve_ratio: float = 1.0,
        reduction: Reduction = "mean",
        dataset: Any = None,
        *,
        oracle: Choice = "auto",
    ) -> None:
        options = {"processes": processes, "solve_ratio": solve_ratio, "dataset": dataset}
        super().__init__(
            optmodel, n_samples, sigma, seed, reduction=reduction, oracle=oracle, **options
        )

    def forward(self, pred_cost: torch.Tensor, true_sol: torch.Tensor) -> torch.Tensor:
        """The loss of predicted costs (B, d), given true solutions (B, d)."""
        costs = self._full(pred_cost)
        fitting(costs.shape[-1:], costs=costs, true_sol=true_sol)
        noise = self._noise(costs.detach()) * (1.0 if self._multiplies else self._sense)
        noisy, target = self._perturb(costs, noise), true_sol.detach()
        return self._reduce(losses.perturbed_fenchel_young(costs, target, noisy, self._solve))

    def _calculate_expected_solution(
        self, cp: Any, ptb_c: Any, ptb_sols: torch.Tensor, noises: torch.Tensor
    ) -> torch.Tensor:
        """Minus the gradient of the loss, the target left out."""
        one = torch.ones_like(noises[:, 0])
        factor = self._perturb(one, noises) if self._multiplies else 1.0
        return (ptb_sols * factor).mean(dim=1)


class perturbedFenchelYoungMul(perturbedFenchelYoung):
    """Perturbed Fenchel-Young loss whose noise keeps the signs of the costs."""

    _multiplies = True


class implicitMLE(optModule):
    """Implicit maximum likelihood (Niepert et al., 2021); see ``lpgd.rules.IMLE``."""

    def __init__(
        self,
        optmodel: Any,
        n_samples: int = 10,
        sigma: float = 1.0,
        lambd: float = 10,
        distribution: Any = None,
        two_sides: bool = False,
        processes: int = 1,
        solve_ratio: float = 1.0,
        dataset: Any = None,
        *,
        oracle: Choice = "auto",
    ) -> None:
        positive_int(n_samples, "n_samples")
        positive(sigma, "sigma")
        positive(lambd, "lambda")
        super().__init__(optmodel, processes, solve_ratio, dataset=dataset, oracle=oracle)
        self.n_samples, self.sigma, self.lambd = n_samples, sigma, lambd
        self.distribution = sumGammaDistribution(kappa=5) if distribution is None else distribution
        self.two_sides = two_sides
        self._drawn = DrawnNoise(self._draw)

    def _draw(self, shape: tuple[int, ...], like: torch.Tensor) -> torch.Tensor:
        try:
            drawn = self.distribution.sample(size=shape, device=like.device, dtype=like.dtype)
        except TypeError:  # a distribution that knows no torch
            drawn = self.distribution.sample(size=shape)
        return torch.from_numpy(drawn).to(like) if isinstance(drawn, np.ndarray) else drawn

    def forward(self, pred_cost: torch.Tensor) -> torch.Tensor:
        """Mean solutions of predicted costs (B, d) with noise."""
        costs = self._full(pred_cost)
        self._drawn.like, self._drawn.sign = costs.detach(), self._sense
        return self._through(self._rule(costs.shape[-1]), costs)

    def _rule(self, width: int) -> Any:
        known = _models.fixed(self.optmodel, width)
        how = self.sigma, self.n_samples, self._drawn, self._side, known
        return rules.IMLE(self.lambd, *how)

    @property
    def _side(self) -> Any:
        return "average" if self.two_sides else "lower"


class adaptiveImplicitMLE(implicitMLE):
    """Adaptive implicit maximum likelihood; see ``lpgd.rules.AdaptiveIMLE``."""

    def __init__(
        self,
        optmodel: Any,
        n_samples: int = 10,
        sigma: float = 1.0,
        distribution: Any = None,
        two_sides: bool = False,
        processes: int = 1,
        solve_ratio: float = 1.0,
        dataset: Any = None,
        *,
        oracle: Choice = "auto",
    ) -> None:
        how = n_samples, sigma, 1.0, distribution, two_sides, processes, solve_ratio, dataset
        super().__init__(optmodel, *how, oracle=oracle)
        self.step = 1e-3
        self._ruled(self._rule(optmodel.num_cost))

    def _rule(self, width: int) -> Any:
        known = _models.fixed(self.optmodel, width)
        how = self.sigma, self.n_samples, self._drawn, self._side, known
        return rules.AdaptiveIMLE(*how, step=self.step)

    @property
    def alpha(self) -> float:
        """The step over the ratio of the norms of costs and cotangents."""
        return float(self._memory["alpha"][0])

    @alpha.setter
    def alpha(self, value: float) -> None:
        self._memory["alpha"] = np.array([float(value)])

    @property
    def grad_norm_avg(self) -> float:
        """The running mean of the share of entries of the gradient that are not zero."""
        return float(self._memory["share"][0])

    @property
    def _memory(self) -> Any:
        assert self._layer is not None
        return self._layer._map.memory


DPO = perturbedOpt
DPOMul = perturbedOptMul
PFY = perturbedFenchelYoung
PFYMul = perturbedFenchelYoungMul
IMLE = implicitMLE
AIMLE = adaptiveImplicitMLE
__getattr__ = rest(__name__)
