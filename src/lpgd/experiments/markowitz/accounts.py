"""What trades do to wealth: costs, returns, and the economics of a trader over a period."""

import math
from dataclasses import dataclass
from itertools import pairwise
from statistics import stdev

import numpy as np
import torch
from torch import Tensor

from lpgd.experiments.markowitz.expert import Trader
from lpgd.experiments.markowitz.world import COST, World

_MONTHS = 12  # in a year


def settle(holdings: Tensor, trades: Tensor) -> Tensor:
    """Return the holdings (..., n) after trades for which the market charges its own costs.

    A policy with other ideas of the costs has planned to spend too much or too little; all
    positions are scaled so that wealth falls by the true costs exactly.
    """
    after = holdings + trades
    charged = COST * (trades.abs().sum(-1) + after.clamp(max=0).abs().sum(-1))
    left = holdings.sum(-1) - charged
    return after * (left / after.sum(-1))[..., None]


@dataclass(frozen=True)
class Account:
    """Where a trader got to from wealth 1, spread evenly over the assets.

    ``wealth`` after each month, 0 once the trader is ruined; ``turnover`` the mean share of wealth
    that is exchanged in a month (half of what is bought and sold).
    """

    wealth: list[float]
    turnover: float

    @property
    def annual_return(self) -> float:
        """Return the growth of wealth in a year; infinite if no number holds it."""
        try:
            return self.wealth[-1] ** (_MONTHS / len(self.wealth)) - 1
        except OverflowError:
            return math.inf

    @property
    def volatility(self) -> float:
        """Return the standard deviation of monthly returns until ruin, as of a year.

        NaN if that was in the first month, or if wealth grew beyond all numbers.
        """
        pairs = pairwise([1.0, *self.wealth])
        returns = [after / before for before, after in pairs if before > 0]
        if len(returns) < 2 or not all(map(math.isfinite, returns)):
            return math.nan
        return math.sqrt(_MONTHS) * stdev(returns)

    def to_json(self) -> dict[str, float]:
        """Return the economics of the period."""
        return {
            "annual_return": self.annual_return,
            "volatility": self.volatility,
            "monthly_turnover": self.turnover,
        }


def run_account(trader: Trader, world: World, months: range) -> Account:
    """Let a trader trade every month and reinvest all of its wealth.

    It is ruined when its wealth is not positive, or when its policy has no solution.
    """
    returns = torch.from_numpy(world.returns)
    n = returns.shape[1]
    holdings = torch.full((1, n), 1 / n, dtype=torch.float64)
    wealth, turnover = [], []
    for month in months:
        trades = trader(month, holdings)
        before, holdings = holdings, returns[month] * settle(holdings, trades)
        left = float(holdings.sum())
        if not left > 0:
            break
        turnover.append(float(trades.abs().sum() / before.sum() / 2))
        wealth.append(left)
    ruin = [0.0] * (len(months) - len(wealth))
    return Account(wealth + ruin, float(np.mean(turnover)) if turnover else 0.0)
