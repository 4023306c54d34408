import pytest
import torch

from lpgd import LPGD
from lpgd.experiments.markowitz.policy import Policy
from lpgd.experiments.markowitz.utility import Rollouts, draw_rollouts, utility_loss
from lpgd.experiments.runs import ExperimentError

from .worlds import historical_world, synthetic_world


class Idle(torch.nn.Module):
    """Never trades."""

    def forward(self, holdings, forecasts=None):
        return torch.zeros_like(holdings)


def test_losses_count_twice_of_gains():
    returns = torch.tensor([[[1.1, 1.1], [0.95, 0.95]]], dtype=torch.float64)
    start = torch.full((1, 2), 0.5, dtype=torch.float64)
    loss = utility_loss(Idle(), Rollouts(start, returns, None, None))
    assert float(loss) == pytest.approx((-0.1 + 2 * 0.05) / 2)


def test_gradient_through_a_rollout_agrees_with_finite_differences():
    world = synthetic_world()
    rollouts = draw_rollouts(world, world.periods.train, 4, 5, [0])
    policy = Policy(world.beliefs, LPGD(), learn_costs=False)
    utility_loss(policy, rollouts).backward()
    direction = torch.linspace(-1, 1, 4, dtype=torch.float64)
    sides = []
    for step in (1e-5, -1e-5):
        with torch.no_grad():
            policy.mean += step * direction
            sides.append(float(utility_loss(policy, rollouts)))
            policy.mean -= step * direction
    expected = (sides[0] - sides[1]) / 2e-5
    assert float(policy.mean.grad @ direction) == pytest.approx(expected, rel=1e-3)


def test_historical_rollouts_lie_within_their_period():
    world = historical_world()
    months = world.periods.validation
    rollouts = draw_rollouts(world, months, 50, 6, [0])
    assert rollouts.months.min() == months.start
    assert rollouts.months.max() == months.stop - 1
    some = rollouts[torch.tensor([3, 7])]
    at = int(some.months[1, 2])
    assert torch.equal(some.returns[1, 2], torch.from_numpy(world.returns[at]))
    assert torch.equal(some.forecasts_of(2).mean[1], world.forecasts.mean[at])


def test_a_period_shorter_than_a_rollout_is_refused():
    world = historical_world()
    with pytest.raises(ExperimentError, match="8 months, fewer than --horizon 24"):
        draw_rollouts(world, world.periods.test, 5, 24, [0])


def test_synthetic_rollouts_are_samples():
    world = synthetic_world()
    rollouts = draw_rollouts(world, world.periods.train, 5, 24, [0])
    assert rollouts.returns.shape == (5, 24, 4)
    assert rollouts.forecasts_of(0) is None
    again = draw_rollouts(world, world.periods.train, 5, 24, [0])
    assert torch.equal(rollouts.returns, again.returns)
