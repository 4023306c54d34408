import numpy as np
import pytest
import torch

from lpgd.experiments.markowitz.accounts import Account, run_account, settle
from lpgd.experiments.markowitz.world import COST

from .worlds import historical_world


def test_wealth_falls_by_the_true_costs():
    holdings = torch.tensor([[0.5, 0.5], [2.0, 2.0]], dtype=torch.float64)
    trades = torch.tensor([[0.2, -0.2], [3.0, -3.0]], dtype=torch.float64)
    after = settle(holdings, trades)
    expected = torch.tensor([1 - 0.4 * COST, 4 - 6 * COST - 1 * COST], dtype=torch.float64)
    torch.testing.assert_close(after.sum(1), expected)


def test_idle_trader_earns_the_market():
    world = historical_world()
    months = world.periods.test
    account = run_account(lambda month, h: torch.zeros_like(h), world, months)
    growth = np.prod(world.returns[months.start : months.stop], axis=0).mean()
    assert account.wealth[-1] == pytest.approx(growth)
    assert account.turnover == 0


def test_economics():
    account = Account([1.1, 1.1 * 0.9] * 6, turnover=0.25)
    assert account.annual_return == pytest.approx(1.1 * 0.9 - 1)
    monthly = np.diff(np.array([1.0, *account.wealth])) / np.array([1.0, *account.wealth[:-1]])
    assert account.volatility == pytest.approx(np.sqrt(12) * monthly.std(ddof=1))
    assert account.to_json()["monthly_turnover"] == 0.25


def test_turnover_is_half_of_what_is_traded():
    world = historical_world()

    def swap(month, holdings):
        return 0.1 * holdings.sum() * torch.tensor([[1.0, -1.0, 0.0, 0.0]], dtype=torch.float64)

    assert run_account(swap, world, world.periods.test).turnover == pytest.approx(0.1)


@pytest.mark.parametrize("size", [50.0, float("nan")])
def test_a_ruined_trader_stays_ruined(size):
    world = historical_world()

    def gamble(month, holdings):
        return size * torch.tensor([[1.0, -1.0, 1.0, -1.0]], dtype=torch.float64)

    account = run_account(gamble, world, world.periods.test)
    assert len(account.wealth) == len(world.periods.test)
    assert account.wealth[-1] == 0
    assert account.annual_return == -1
    assert np.isnan(account.volatility)
