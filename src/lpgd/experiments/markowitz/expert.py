"""Experts whose trades a policy learns to copy."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lpgd import Exact
from lpgd.experiments.markowitz.estimates import Forecasts, shrink
from lpgd.experiments.markowitz.policy import Policy
from lpgd.torch import QPLayer

Trader = Callable[[int, Tensor], Tensor]
"""Month and holdings (K, n) at its beginning, to trades (K, n)."""


@dataclass(frozen=True)
class PolicyTrader:
    """Trades as a policy says, with each month's forecasts if it takes them."""

    policy: Policy
    forecasts: Forecasts | None = None

    def __call__(self, month: int, holdings: Tensor) -> Tensor:
        """Return the trades (K, n)."""
        forecasts = None if self.forecasts is None else self.forecasts.at(month)
        with torch.no_grad():
            return self.policy(holdings, forecasts)


@dataclass(frozen=True)
class ShrunkMeanVariance:
    """A mean-variance rule from past months, long only, with quadratic trading costs.

    At wealth 1 the holdings after trading minimise ``-m'w + aversion·w'Cw + friction/2·|w - h|²``
    subject to ``1'w = 1, w >= 0``. m is the trailing mean, moved four fifths of the way to its
    average over the assets; C the trailing covariance, shrunk towards its diagonal. A policy can
    come near it but not be equal: it pays in proportion to what it trades and may sell short.
    """

    trailing: Forecasts
    aversion: float = 10.0
    friction: float = 0.01
    mean_shrinkage: float = 0.8
    covariance_shrinkage: float = 0.3

    def __call__(self, month: int, holdings: Tensor) -> Tensor:
        """Return the trades (K, n)."""
        n = holdings.shape[-1]
        wealth = holdings.sum(dim=-1, keepdim=True)
        past = self.trailing.at(month)
        mean = past.mean + self.mean_shrinkage * (past.mean.mean() - past.mean)
        covariance = shrink(past.covariance, self.covariance_shrinkage)
        P = 2 * self.aversion * covariance + self.friction * torch.eye(n)
        one = torch.ones(1, dtype=torch.float64)
        with torch.no_grad():
            after = QPLayer(Exact())(
                P, -mean - self.friction * holdings / wealth, A=one.expand(1, n), b=one,
                lb=torch.zeros(n, dtype=torch.float64),
            )  # fmt: skip
        return wealth * after - holdings
