"""The markets: returns, what was known before each of them, and who trades there."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lpgd import Exact
from lpgd.experiments.markowitz.config import MarkowitzConfig
from lpgd.experiments.markowitz.estimates import (
    Beliefs,
    Floats,
    Forecasts,
    symmetric_root,
    trailing,
)
from lpgd.experiments.markowitz.expert import PolicyTrader, ShrunkMeanVariance, Trader
from lpgd.experiments.markowitz.market import Market
from lpgd.experiments.markowitz.policy import Policy
from lpgd.experiments.markowitz.prices import load_prices, monthly_returns
from lpgd.experiments.runs import ExperimentError

COST = 0.001  # of what is traded, and of what is held short, in a month
_AVERSION = 10.0
_WINDOWS = {"sp500": 60, "factors": 36}  # months that an estimate looks back
_SAMPLE = 240  # months behind the learner's first estimates


@dataclass(frozen=True)
class Periods:
    """Months for training, for choosing settings and for the final judgement, in this order."""

    train: range
    validation: range
    test: range

    @classmethod
    def after(cls, start: int, lengths: tuple[int, int, int]) -> Periods:
        """Cut periods of these lengths, one after the other."""
        ends = np.cumsum([start, *lengths]).tolist()
        return cls(*(range(a, b) for a, b in pairwise(ends)))


@dataclass(frozen=True)
class World:
    """A market with its history.

    ``returns`` (T, n) are gross; those of month t come after the trades of month t. ``forecasts``,
    if there are any, are known before these trades. ``beliefs`` are the learner's first ones.
    ``market`` can be sampled, if the returns come from one. ``noise`` is the standard deviation of
    what the expert's recorded trades differ from its rule, as a share of wealth.
    """

    returns: Floats
    forecasts: Forecasts | None
    periods: Periods
    expert: Trader
    beliefs: Beliefs
    market: Market | None = None
    noise: float = 0.0


def make_world(config: MarkowitzConfig) -> World:
    """Generate the market, or read the historical one."""
    if config.data == "synthetic":
        return synthetic(config)
    days, prices, _names = load_prices(config.prices)
    return historical(monthly_returns(days, prices), _WINDOWS[config.prices])


def synthetic(config: MarkowitzConfig) -> World:
    """Draw a log-normal market; its expert is the policy with the market's own parameters.

    The learner begins with estimates from a sample of its own (``config.seed``), with less
    aversion to risk and twice the costs.
    """
    market = Market.draw(config.assets, np.random.default_rng([config.data_seed, 0]))
    judged = max(1, config.months // 2)
    periods = Periods.after(0, (config.months, judged, judged))
    returns = market.sample((periods.test.stop,), np.random.default_rng([config.data_seed, 1]))
    sample = market.sample((_SAMPLE,), np.random.default_rng([config.data_seed, 2, config.seed]))
    truth = _beliefs(market.mean, market.return_covariance, aversion=_AVERSION, cost=COST)
    expert = PolicyTrader(Policy(truth, Exact()))
    start = _beliefs(
        sample.mean(axis=0) - 1, np.cov(sample, rowvar=False), aversion=7.0, cost=2 * COST
    )
    return World(returns, None, periods, expert, start, market, config.noise)


def historical(returns: Floats, window: int) -> World:
    """Set up a historical market: three fifths of the months train, a fifth each judges.

    Forecasts are trailing estimates, so the first ``window`` months serve these alone. The learner
    begins by believing them; its own part of the covariance is a quarter of the variances before
    the training period.
    """
    months = len(returns) - window
    if months < 10:
        raise ExperimentError(f"{len(returns)} months are too few to look back {window}")
    judged = months // 5
    forecasts = trailing(returns, window)
    variances = returns[:window].var(axis=0)
    beliefs = _beliefs(
        np.zeros_like(variances), np.diag(variances / 4), aversion=5.0, cost=COST, informed=True
    )
    periods = Periods.after(window, (months - 2 * judged, judged, judged))
    return World(returns, forecasts, periods, ShrunkMeanVariance(forecasts), beliefs)


def _beliefs(
    mean: Floats, covariance: Floats, *, aversion: float, cost: float, informed: bool = False
) -> Beliefs:
    costs = np.full(len(mean), cost)
    return Beliefs(
        mean,
        np.sqrt(np.diag(covariance)) if informed else symmetric_root(covariance),
        aversion,
        costs,
        costs,
        informed,
    )
