"""Tracking: trade as an expert does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lpgd.experiments.markowitz.accounts import settle
from lpgd.experiments.markowitz.estimates import Forecasts
from lpgd.experiments.markowitz.policy import Policy
from lpgd.experiments.markowitz.world import World


@dataclass(frozen=True)
class Cases:
    """Holdings (K, n) at wealth 1, the expert's trades (K, n), and forecasts, if any."""

    holdings: Tensor
    trades: Tensor
    forecasts: Forecasts | None

    def __len__(self) -> int:
        return len(self.holdings)

    def __getitem__(self, rows: Tensor) -> Cases:
        forecasts = None if self.forecasts is None else self.forecasts.at(rows)
        return Cases(self.holdings[rows], self.trades[rows], forecasts)


def collect_cases(world: World, portfolios: int, seed: int) -> tuple[Cases, Cases, Cases]:
    """Ask the expert every month; return the cases of training, validation and test period.

    The holdings lie between those of an account that the expert has run from the first month on
    and random portfolios, so that cases differ in how much there is to trade. A month's cases are
    drawn from (seed, month) and depend on no later month. ``world.noise`` is added to the
    trades.
    """
    returns = torch.from_numpy(world.returns)
    n = returns.shape[1]
    periods = (world.periods.train, world.periods.validation, world.periods.test)
    own = torch.full((n,), 1 / n, dtype=torch.float64)
    parts: list[tuple[Tensor, Tensor]] = []
    for month in range(periods[0].start, periods[-1].stop):
        holdings = torch.cat([own[None], _between(own, portfolios, [seed, 3, month])])
        trades = world.expert(month, holdings)
        noise = world.noise * np.random.default_rng([seed, 5, month]).normal(size=(portfolios, n))
        parts.append((holdings[1:], trades[1:] + torch.from_numpy(noise)))
        own = returns[month] * settle(own, trades[0])
        own = own / own.sum()
    train, validation, test = (_join(world, period, parts) for period in periods)
    return train, validation, test


def tracking_loss(policy: Policy, cases: Cases) -> Tensor:
    """Return the mean over the cases that were solved of |u - expert's u|²."""
    trades = policy(cases.holdings, cases.forecasts)
    solved = trades.isfinite().all(dim=1)
    return (trades[solved] - cases.trades[solved]).square().sum(dim=1).mean()


def tracking_envelope(policy: Policy, tau: float) -> Callable[[Policy, Any], Tensor]:
    """Return the loss of which each case's lower envelope is taken, in place of its linearisation.

    Holdings of cases are at wealth 1, so that |u - expert's u| is |h⁺ - (h + expert's u)|.
    """
    envelope = policy.tracking(tau)

    def loss(policy: Policy, cases: Cases) -> Tensor:
        data = policy.data(cases.holdings, cases.forecasts)
        return envelope(*data, target=cases.holdings + cases.trades)

    return loss


def _between(own: Tensor, count: int, seed: list[int]) -> Tensor:
    rng = np.random.default_rng(seed)
    portfolios = torch.from_numpy(rng.dirichlet(np.ones(len(own)), size=count))
    share = torch.from_numpy(rng.random((count, 1)))
    return own + share * (portfolios - own)


def _join(world: World, period: range, parts: list[tuple[Tensor, Tensor]]) -> Cases:
    first = world.periods.train.start
    chosen = parts[period.start - first : period.stop - first]
    holdings, trades = (torch.cat([part[at] for part in chosen]) for at in (0, 1))
    months = torch.arange(period.start, period.stop).repeat_interleave(len(chosen[0][0]))
    return Cases(holdings, trades, world.forecasts and world.forecasts.at(months))
