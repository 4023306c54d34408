"""Small worlds for tests."""

import numpy as np

from lpgd.experiments.markowitz.config import MarkowitzConfig
from lpgd.experiments.markowitz.world import historical, make_world

TINY = {"assets": 4, "months": 10, "portfolios": 2, "rollouts": 20, "horizon": 3, "batch": 5}


def tiny_config(**changes):
    return MarkowitzConfig(**(TINY | {"epochs": 3} | changes))


def synthetic_world(**changes):
    return make_world(tiny_config(**changes))


def recorded_returns(months=60, assets=4):
    return np.random.default_rng(5).lognormal(0.008, 0.05, size=(months, assets))


def historical_world(returns=None, window=20):
    return historical(recorded_returns() if returns is None else returns, window)
