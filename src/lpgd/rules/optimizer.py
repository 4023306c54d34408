"""Perturbed optimisers: the mean solution of noisy costs, and its derivative."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np

from lpgd.core.options import flag
from lpgd.core.params import Params
from lpgd.core.problem import Problem
from lpgd.core.public import public
from lpgd.core.rule import Backward, Memory, Pullback, Rule, Samples
from lpgd.core.solution import FloatArray, Solution
from lpgd.core.tilt import Cotangent
from lpgd.rules.linear import COST, pulled, refuse_curved
from lpgd.rules.noise import Gaussian, Noise, known
from lpgd.rules.perturbation import Perturbation, found

LEAST = 1e-8  # of a cost by whose size a gradient is divided


@public("lpgd.rules")
@final
@dataclass(frozen=True)
class Perturbed(Rule):
    """Perturbed optimiser (Berthet et al., NeurIPS 2020): x = E x*(c + sigma z), z normal.

    Not a finite difference but the derivative of the smoothed map: gradient =
    E[z <x*(c + sigma z), dx>] / sigma (math page, section 6). This is the score-function estimate
    of a loss that is linear; see ``lpgd.torch.losses.ScoreFunction`` for any other.

    Parameters
    ----------
    sigma : float
        Size of the noise, > 0, in units of the costs; of their logarithms if it multiplies.
    samples : int
        Perturbed problems for each element, >= 1.
    noise : Noise
        ``lpgd.rules.Gaussian(seed)``; the gradient holds for normal noise.
    multiplicative : bool
        Whether costs are multiplied by exp(sigma z - sigma^2 / 2), which keeps their signs (Dalle
        et al., 2022). Costs must not be zero.
    variance_reduction : bool
        Whether the mean of the other samples is a baseline, which changes no expectation.
    fixed : tuple of int
        Entries of the costs that have no noise.
    """

    sigma: float = 1.0
    samples: int = 10
    noise: Noise = field(default_factory=Gaussian)
    multiplicative: bool = False
    variance_reduction: bool = True
    fixed: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        known(self.noise)
        flag("multiplicative", self.multiplicative)
        flag("variance_reduction", self.variance_reduction)
        self._perturbation()

    def _perturbation(self) -> Perturbation:
        how = self.sigma, self.samples, self.noise, self.fixed
        return Perturbation(*how, multiply=self.multiplicative)

    def requires(self, problem: Problem) -> str | None:
        """None: nothing is solved in backward."""
        refuse_curved(problem, "Perturbed")
        return None

    def begin(self) -> Memory:
        """What the noise remembers."""
        return self.noise.begin()

    @property
    def keyed(self) -> bool:
        """See ``Rule.keyed``."""
        return self._perturbation().keyed

    def sample(self, problem: Problem, params: Params, memory: Memory) -> Samples:
        """See ``Rule.sample``."""
        return self._perturbation().sample(params, memory)

    def pullback(self, point: Solution, cotangent: Cotangent, backward: Backward) -> Pullback:
        """The derivative of the smoothed map; see ``Rule.pullback``."""
        samples, solved, rows = found(cotangent, backward)
        noise = samples.noise["z"][rows]
        reward = np.einsum("nsi,ni->ns", solved.x[rows], cotangent.dx)
        if self.variance_reduction and rows.shape[1] > 1:
            reward = less_baseline(reward)
        gradient = np.einsum("nsi,ns->ni", noise, reward) / rows.shape[1]
        if not self.multiplicative:
            return pulled(point, cotangent, gradient / self.sigma)
        first = samples.params[COST].full()[rows[:, 0]]
        keep = self._perturbation().keep(first)
        costs = first / np.exp(self.sigma * noise[:, 0] - 0.5 * self.sigma**2 * keep)
        return pulled(point, cotangent, gradient / away_from_zero(self.sigma * costs))


def less_baseline(reward: FloatArray) -> FloatArray:
    """Rewards (N, S) less the mean of the other samples' rewards."""
    count = reward.shape[1]
    return (reward - reward.mean(axis=1, keepdims=True)) * (count / (count - 1))


def away_from_zero(values: FloatArray) -> FloatArray:
    """The values, those near zero replaced by the least of their sign."""
    least = np.where(values >= 0, LEAST, -LEAST)
    return np.where(np.abs(values) < LEAST, least, values)
