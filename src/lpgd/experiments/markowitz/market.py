"""Synthetic markets whose monthly returns are log-normal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lpgd.experiments.markowitz.estimates import Floats

_FACTORS = 3  # the market, and two styles
_FACTOR_VOLATILITY = (0.04, 0.02, 0.015)  # per month


@dataclass(frozen=True)
class Market:
    """Gross returns exp(x), x normal with ``drift`` (n,) and ``covariance`` (n, n), a month."""

    drift: Floats
    covariance: Floats

    @classmethod
    def draw(cls, assets: int, rng: np.random.Generator) -> Market:
        """Draw a market of funds: a quarter of bonds, the others of shares.

        A factor model, in which loadings, own noise and premiums all grow with a fund's risk.
        """
        bonds = max(1, assets // 4)
        risk = np.concatenate([np.linspace(0.2, 0.3, bonds), np.linspace(0.8, 1.3, assets - bonds)])
        loadings = rng.normal(size=(assets, _FACTORS))
        loadings[:, 0] = rng.uniform(0.7, 1.3, size=assets)
        spread = risk[:, None] * loadings * np.array(_FACTOR_VOLATILITY)
        own = risk * rng.uniform(0.02, 0.035, size=assets)
        covariance = spread @ spread.T + np.diag(own**2)
        premium = 0.001 + risk * (0.005 + rng.normal(scale=0.001, size=assets))
        return cls(premium - np.diag(covariance) / 2, covariance)

    @property
    def mean(self) -> Floats:
        """Expected return in excess of 1 (n,)."""
        return np.exp(self.drift + np.diag(self.covariance) / 2) - 1

    @property
    def return_covariance(self) -> Floats:
        """Covariance of the gross returns (n, n)."""
        gross = 1 + self.mean
        return np.outer(gross, gross) * (np.exp(self.covariance) - 1)

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
        """Draw gross returns (*shape, n), independent from month to month."""
        root = np.linalg.cholesky(self.covariance)
        noise = rng.normal(size=(*shape, len(self.drift)))
        return np.exp(self.drift + noise @ root.T)
