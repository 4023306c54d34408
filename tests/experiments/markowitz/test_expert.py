import cvxpy as cp
import numpy as np
import torch

from lpgd import Exact
from lpgd.experiments.markowitz.estimates import Beliefs, shrink, trailing
from lpgd.experiments.markowitz.expert import PolicyTrader, ShrunkMeanVariance
from lpgd.experiments.markowitz.policy import Policy

N = 5
RETURNS = np.random.default_rng(3).lognormal(0.01, 0.06, size=(40, N))
HOLDINGS = torch.from_numpy(np.random.default_rng(4).dirichlet(np.ones(N), size=3))


def test_shrunk_rule_minimises_what_it_says():
    past = trailing(RETURNS, 24)
    rule = ShrunkMeanVariance(past)
    trades = rule(30, 2 * HOLDINGS)
    mean = past.mean[30]
    mean = mean + rule.mean_shrinkage * (mean.mean() - mean)
    covariance = shrink(past.covariance[30], rule.covariance_shrinkage).numpy()
    for before, after in zip(HOLDINGS.numpy(), (2 * HOLDINGS + trades).numpy() / 2, strict=True):
        w = cp.Variable(N)
        risk = rule.aversion * cp.quad_form(w, covariance)
        cost = -mean.numpy() @ w + risk + rule.friction / 2 * cp.sum_squares(w - before)
        cp.Problem(cp.Minimize(cost), [cp.sum(w) == 1, w >= 0]).solve(cp.CLARABEL)
        np.testing.assert_allclose(after, w.value, atol=1e-6)


def test_shrunk_rule_does_not_look_ahead():
    changed = RETURNS.copy()
    changed[30:] *= 2
    rules = [ShrunkMeanVariance(trailing(returns, 24)) for returns in (RETURNS, changed)]
    assert torch.equal(rules[0](30, HOLDINGS), rules[1](30, HOLDINGS))
    assert not torch.equal(rules[0](31, HOLDINGS), rules[1](31, HOLDINGS))


def test_policy_trades_with_the_forecasts_of_the_month():
    costs = np.full(N, 0.001)
    beliefs = Beliefs(np.zeros(N), np.full(N, 0.05), 5.0, costs, costs, informed=True)
    past, policy = trailing(RETURNS, 24), Policy(beliefs, Exact())
    trades = PolicyTrader(policy, past)(30, HOLDINGS)
    assert not trades.requires_grad
    assert torch.equal(trades, policy(HOLDINGS, past.at(30)))
    uninformed = PolicyTrader(policy)(30, HOLDINGS)
    assert torch.equal(uninformed, policy(HOLDINGS))
    assert not torch.equal(trades, uninformed)
