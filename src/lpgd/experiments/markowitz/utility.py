"""Utility: do well over two years, gains counting half of what losses do.

After Agrawal, Barratt, Boyd and Stellato (2020), "Learning convex optimization control policies".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lpgd.experiments.markowitz.estimates import Forecasts
from lpgd.experiments.markowitz.policy import Policy
from lpgd.experiments.markowitz.world import World
from lpgd.experiments.runs import ExperimentError


@dataclass(frozen=True)
class Rollouts:
    """First holdings (N, n), gross returns (N, H, n), and their months (N, H) in a history."""

    start: Tensor
    returns: Tensor
    months: Tensor | None
    forecasts: Forecasts | None  # of the whole history

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, rows: Tensor) -> Rollouts:
        months = None if self.months is None else self.months[rows]
        return Rollouts(self.start[rows], self.returns[rows], months, self.forecasts)

    def forecasts_of(self, step: int) -> Forecasts | None:
        """Return the forecasts that are known at a step, if there are any."""
        if self.forecasts is None or self.months is None:
            return None
        return self.forecasts.at(self.months[:, step])


def draw_rollouts(
    world: World, months: range, count: int, horizon: int, seed: list[int]
) -> Rollouts:
    """Draw rollouts: samples of a synthetic market, or stretches of a historical period.

    Those of a historical period lie within it as a whole.
    """
    rng = np.random.default_rng(seed)
    n = world.returns.shape[1]
    start = torch.from_numpy(rng.dirichlet(np.ones(n), size=count))
    if world.market is not None:
        sampled = torch.from_numpy(world.market.sample((count, horizon), rng))
        return Rollouts(start, sampled, None, None)
    if len(months) < horizon:
        raise ExperimentError(f"a period has {len(months)} months, fewer than --horizon {horizon}")
    first = rng.integers(months.start, months.stop - horizon + 1, size=count)
    at = first[:, None] + np.arange(horizon)
    returns = torch.from_numpy(world.returns[at])
    return Rollouts(start, returns, torch.from_numpy(at), world.forecasts)


def utility_loss(policy: Policy, rollouts: Rollouts) -> Tensor:
    """Return the mean over months and rollouts of -min(2(g - 1), g - 1), g the growth of wealth.

    Holdings follow h <- r∘(h + u). A rollout in which a month could not be solved is left out.
    """
    holdings, costs = rollouts.start, []
    for step in range(rollouts.returns.shape[1]):
        trades = policy(holdings, rollouts.forecasts_of(step))
        after = rollouts.returns[:, step] * (holdings + trades)
        gain = after.sum(dim=1) / holdings.sum(dim=1) - 1
        costs.append(-torch.minimum(2 * gain, gain))
        holdings = after
    cost = torch.stack(costs, dim=1).mean(dim=1)
    return cost[cost.isfinite()].mean()
