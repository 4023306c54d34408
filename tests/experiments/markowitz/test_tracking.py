from dataclasses import replace

import pytest
import torch

from lpgd import Exact
from lpgd.experiments.markowitz.policy import Policy
from lpgd.experiments.markowitz.tracking import (
    Cases,
    collect_cases,
    tracking_envelope,
    tracking_loss,
)

from .worlds import historical_world, synthetic_world


def test_the_expert_itself_has_no_loss_but_the_noise():
    world = synthetic_world(months=40)
    exact, noisy = (collect_cases(replace(world, noise=noise), 6, 0)[0] for noise in (0.0, 0.02))
    expected = world.returns.shape[1] * 0.02**2
    with torch.no_grad():
        assert float(tracking_loss(world.expert.policy, exact)) < 1e-15
        loss = float(tracking_loss(world.expert.policy, noisy))
    assert loss == pytest.approx(expected, rel=0.15)
    assert torch.equal(exact.holdings, noisy.holdings)


def test_cases_are_portfolios_with_different_needs_to_trade():
    train, validation, test = collect_cases(historical_world(), 5, 0)
    assert [len(train), len(validation), len(test)] == [5 * 24, 5 * 8, 5 * 8]
    torch.testing.assert_close(train.holdings.sum(1), torch.ones(120, dtype=torch.float64))
    volume = train.trades.abs().sum(1)
    assert volume.max() > 3 * volume.min()


def test_loss_leaves_out_what_was_not_solved():
    world = synthetic_world()
    cases, policy = collect_cases(world, 2, 0)[0], Policy(world.beliefs, Exact())
    holdings = cases.holdings.clone()
    holdings[0] = torch.nan
    with pytest.warns(match="1 of"):
        loss = tracking_loss(policy, Cases(holdings, cases.trades, None))
    rest = cases[torch.arange(1, len(cases))]
    torch.testing.assert_close(loss, tracking_loss(policy, rest))


def test_the_envelope_of_the_loss_is_below_it_and_near_for_a_small_tau():
    world = synthetic_world()
    cases, policy = collect_cases(world, 2, 0)[0], Policy(world.beliefs, Exact())
    own = tracking_loss(policy, cases)
    near, far = (tracking_envelope(policy, tau)(policy, cases) for tau in (1e-6, 1.0))
    assert far < 0.5 * own
    torch.testing.assert_close(near, own, rtol=1e-2, atol=1e-6)
    far.backward()
    assert policy.mean.grad.abs().max() > 0
    assert policy.root.grad.abs().max() > 0
