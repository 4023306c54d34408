import sys
from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
import torch

from lpgd import LPGD, Exact, MissingExtraError
from lpgd.experiments.markowitz.estimates import Beliefs, Forecasts
from lpgd.experiments.markowitz.policy import Policy

N = 4
RNG = np.random.default_rng(0)
COSTS = np.array([0.001, 0.004, 0.002, 0.003])
BELIEFS = Beliefs(
    RNG.uniform(0.002, 0.02, N), np.diag(RNG.uniform(0.03, 0.06, N)), 5.0, COSTS, 2 * COSTS
)
HOLDINGS = torch.from_numpy(RNG.dirichlet(np.ones(N), size=6))
FORECASTS = Forecasts(
    torch.from_numpy(RNG.normal(scale=0.01, size=(6, N))),
    torch.eye(N, dtype=torch.float64).expand(6, N, N) * 0.002,
)


def policy(rule=None, **changes):
    return Policy(replace(BELIEFS, **changes), rule or Exact())


def textbook_trades(beliefs, before):
    """The program of the documentation, as CVXPY has it."""
    after = cp.Variable(N)
    trades = after - before
    spent = cp.sum(trades) + beliefs.trading @ cp.abs(trades) + beliefs.shorting @ cp.neg(after)
    risk = beliefs.aversion * cp.sum_squares(beliefs.root @ after)
    cp.Problem(cp.Maximize(beliefs.mean @ after - risk), [spent <= 0]).solve(cp.CLARABEL)
    return after.value - before


@pytest.mark.parametrize("aversion", [1.0, 5.0, 100.0])
def test_trades_solve_the_program_of_the_documentation(aversion):
    beliefs = replace(BELIEFS, aversion=aversion)
    trades = policy(aversion=aversion)(HOLDINGS).detach().numpy()
    expected = np.stack([textbook_trades(beliefs, h) for h in HOLDINGS.numpy()])
    np.testing.assert_allclose(trades, expected, atol=1e-6)


def test_trades_scale_with_wealth():
    model = policy()
    torch.testing.assert_close(model(3 * HOLDINGS), 3 * model(HOLDINGS), atol=1e-8, rtol=0)


def test_costs_are_paid_and_never_negative():
    model = policy(aversion=1.0)
    with torch.no_grad():
        model.trading.fill_(-1.0)
        free = model(HOLDINGS)
        model.trading.fill_(4.0)
        dear = model(HOLDINGS)
    spent = dear.sum(1) + 0.004 * dear.abs().sum(1) + (
        torch.from_numpy(2 * COSTS) * (HOLDINGS + dear).clamp(max=0).abs()
    ).sum(1)  # fmt: skip
    assert spent.max() < 1e-8
    assert dear.abs().sum() < free.abs().sum()


@pytest.mark.filterwarnings("ignore::lpgd.core.errors.SolverWarning")
def test_negative_aversion_counts_as_none():
    model = policy()
    with torch.no_grad():
        model.aversion.fill_(-1.0)
        trades = model(HOLDINGS)
    assert trades.isnan().all()  # without risk the best trade is unbounded, and marked


def test_forecasts_enter_as_far_as_they_are_believed():
    model = policy(informed=True)
    with torch.no_grad():
        model.belief_in_mean.fill_(0.0)
        model.belief_in_covariance.fill_(0.0)
        uninformed = model(HOLDINGS, FORECASTS)
        model.belief_in_mean.fill_(1.0)
        informed = model(HOLDINGS, FORECASTS)
        shifted = policy(mean=BELIEFS.mean + FORECASTS.mean[2].numpy())(HOLDINGS[2])
    torch.testing.assert_close(uninformed, policy()(HOLDINGS))
    torch.testing.assert_close(informed[2], shifted, atol=1e-7, rtol=0)


@pytest.mark.parametrize("rule", [Exact(), LPGD(), LPGD(tau=1e-4)], ids=str)
@pytest.mark.parametrize("informed", [False, True])
def test_gradients_of_all_parameters_agree_with_finite_differences(rule, informed):
    model = policy(rule, informed=informed, root=BELIEFS.root + 0.005)
    forecasts = FORECASTS if informed else None
    weight = torch.from_numpy(np.random.default_rng(1).normal(size=(6, N)))

    def loss():
        return (weight * model(HOLDINGS, forecasts)).sum()

    loss().backward()
    for name, value in model.named_parameters():
        direction = torch.from_numpy(np.random.default_rng(2).normal(size=value.shape))
        step = 1e-5 * direction
        with torch.no_grad():
            value += step
            up = loss()
            value -= 2 * step
            down = loss()
            value += step
        expected = float(up - down) / 2e-5
        found = float((value.grad * direction).sum())
        assert found == pytest.approx(expected, rel=2e-3, abs=1e-6), name


def test_costs_can_be_left_alone():
    model = Policy(BELIEFS, Exact(), learn_costs=False)
    assert set(dict(model.named_parameters())) == {"mean", "root", "aversion"}
    assert set(model.state_dict()) == {"mean", "root", "aversion"}
    torch.testing.assert_close(model(HOLDINGS), policy()(HOLDINGS))


def test_missing_package_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cvxpy", None)
    with pytest.raises(MissingExtraError, match=r'cvxpy.*pip install "lpgd\[markowitz\]"'):
        policy()
