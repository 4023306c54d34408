"""Means and covariances of returns, from the past only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Beliefs:
    """What a policy believes about a market, per month.

    ``mean`` (n,) of the returns in excess of 1, ``root`` (n, n) symmetric with root² the
    covariance, ``aversion`` to risk, ``trading`` and ``shorting`` costs (n,) per unit traded or
    held short. With ``informed``, mean and covariance come on top of forecasts of each month.
    """

    mean: Floats
    root: Floats
    aversion: float
    trading: Floats
    shorting: Floats
    informed: bool = False


@dataclass(frozen=True)
class Forecasts:
    """Mean (..., n) of the returns in excess of 1 and covariance (..., n, n), month by month."""

    mean: Tensor
    covariance: Tensor

    def at(self, months: Tensor | int) -> Forecasts:
        """Return those of some months."""
        return Forecasts(self.mean[months], self.covariance[months])


def symmetric_root(covariance: Floats) -> Floats:
    """Return the positive semidefinite root of a covariance (n, n)."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def trailing(returns: Floats, window: int) -> Forecasts:
    """Estimate mean and covariance from the ``window`` months before each month.

    ``returns`` (T, n) are gross. Entry t depends on no row from t on; it is NaN if t < window.
    """
    months, n = returns.shape
    means, covariances = np.full((months, n), np.nan), np.full((months, n, n), np.nan)
    for month in range(window, months):
        past = returns[month - window : month]
        means[month] = past.mean(axis=0) - 1
        covariances[month] = np.cov(past, rowvar=False)
    return Forecasts(torch.from_numpy(means), torch.from_numpy(covariances))


def shrink(covariance: Tensor, amount: float) -> Tensor:
    """Move a covariance (n, n) towards its diagonal: 0 leaves it, 1 leaves nothing else."""
    return (1 - amount) * covariance + amount * torch.diag(torch.diag(covariance))
