import numpy as np
import pytest
import torch

from lpgd.experiments.markowitz.tracking import collect_cases
from lpgd.experiments.markowitz.world import historical
from lpgd.experiments.runs import ExperimentError

from .worlds import historical_world, recorded_returns, synthetic_world


def test_periods_follow_each_other():
    for world in (synthetic_world(), historical_world()):
        train, validation, test = (
            world.periods.train, world.periods.validation, world.periods.test
        )  # fmt: skip
        assert train.stop == validation.start
        assert validation.stop == test.start
        assert test.stop == len(world.returns)
        assert min(len(train), len(validation), len(test)) > 0
    assert train.start == 20  # months that serve the first estimates


@pytest.mark.parametrize("month", [35, 45, 55])
def test_nothing_before_a_month_depends_on_what_comes_later(month):
    returns = recorded_returns()
    changed = returns.copy()
    changed[month:] *= np.random.default_rng(6).lognormal(0, 0.2, size=changed[month:].shape)
    worlds = [historical_world(r) for r in (returns, changed)]
    first, rows = worlds[0].periods.train.start, 2 * (month + 1 - worlds[0].periods.train.start)
    cases = [collect_cases(world, portfolios=2, seed=0) for world in worlds]
    for name in ("holdings", "trades"):
        before, after = (torch.cat([getattr(part, name) for part in parts]) for parts in cases)
        assert torch.equal(before[:rows], after[:rows])
        assert not torch.equal(before[rows:], after[rows:])
    known = slice(first, month + 1)
    for name in ("mean", "covariance"):
        before, after = (getattr(world.forecasts, name)[known] for world in worlds)
        assert torch.equal(before, after)
    assert np.array_equal(worlds[0].beliefs.root, worlds[1].beliefs.root)


def test_forecasts_of_the_cases_are_those_of_their_months():
    world = historical_world()
    train, validation, _ = collect_cases(world, portfolios=3, seed=0)
    assert torch.equal(train.forecasts.mean[0], world.forecasts.mean[20])
    assert torch.equal(
        validation.forecasts.mean[4], world.forecasts.mean[world.periods.validation[1]]
    )


def test_seeds():
    worlds = [synthetic_world(seed=s, data_seed=d) for s, d in ((0, 0), (1, 0), (0, 1))]
    assert np.array_equal(worlds[0].returns, worlds[1].returns)
    assert not np.array_equal(worlds[0].beliefs.mean, worlds[1].beliefs.mean)
    assert not np.array_equal(worlds[0].returns, worlds[2].returns)


def test_too_short_a_history():
    with pytest.raises(ExperimentError, match="25 months are too few to look back 20"):
        historical(recorded_returns(25), 20)
