"""The trading policy: a convex program whose data are learned."""

from typing import Any

import torch
from torch import Tensor, nn

from lpgd import LPGD, Exact
from lpgd.experiments.extras import load
from lpgd.experiments.markowitz.config import MarkowitzConfig
from lpgd.experiments.markowitz.estimates import Beliefs, Floats, Forecasts
from lpgd.torch import CvxpyLayer, EnvelopeLoss

# Parameters are kept in units in which all are about 1, so that one learning rate suits them.
PER_CENT = 100.0
PER_MILLE = 1000.0
# Below a hundredth of a per mille the program would hardly say what was traded: with costs of zero
# buying and selling the same asset is free.
_LEAST_COST = 1e-5


class Policy(nn.Module):
    """Trade as a one-month problem of mean, variance and costs advises.

    With h the holdings at wealth 1, the trades u maximise ``mean'h⁺ - aversion²·|root h⁺|²``
    subject to ``h⁺ = h + u`` and ``1'u + trading'|u| + shorting'(h⁺)₋ <= 0``. ``aversion`` is the
    root of the risk aversion and counts as 0 if negative.

    An informed policy takes forecasts m and C: its mean is ``mean + belief_in_mean∘m``, its
    covariance ``root'root + belief_in_covariance²·C``.

    All are learned but, unless ``learn_costs``, the costs.
    """

    trading: Tensor
    shorting: Tensor

    def __init__(
        self,
        beliefs: Beliefs,
        rule: LPGD | Exact,
        engine: str = "auto",
        threads: int | None = None,
        *,
        learn_costs: bool = True,
    ) -> None:
        super().__init__()
        self.mean = nn.Parameter(_tensor(beliefs.mean, PER_CENT))
        self.root = nn.Parameter(_tensor(beliefs.root, PER_CENT))
        self.aversion = nn.Parameter(torch.tensor(beliefs.aversion, dtype=torch.float64).sqrt())
        for name, cost in (("trading", beliefs.trading), ("shorting", beliefs.shorting)):
            value = _tensor(cost, PER_MILLE)
            if learn_costs:
                self.register_parameter(name, nn.Parameter(value))
            else:
                self.register_buffer(name, value, persistent=False)
        if beliefs.informed:
            self.belief_in_mean = nn.Parameter(torch.ones_like(self.mean))
            self.belief_in_covariance = nn.Parameter(torch.ones_like(self.aversion))
        # An element that cannot be solved should cost one case, not the run.
        self._program = trading_program(len(beliefs.mean))
        self.layer = CvxpyLayer(
            *self._program, solver=None if engine == "auto" else engine,
            rule=rule, on_failure="nan", threads=threads,
        )  # fmt: skip

    def tracking(self, tau: float) -> EnvelopeLoss:
        """Return the lower envelope of the squared distance of h⁺ from a target.

        It takes what ``data`` returns.
        """
        cp, (after,) = load("cvxpy", "markowitz"), self._program[2]
        target = cp.Parameter(after.shape)
        distance = cp.sum_squares(after - target)
        return EnvelopeLoss(self.layer, distance, tau, targets=[target])

    def forward(self, holdings: Tensor, forecasts: Forecasts | None = None) -> Tensor:
        """Map holdings (..., n), in money, to trades (..., n); NaN where the solver failed.

        ``forecasts`` are those of the month, for an informed policy.
        """
        wealth = holdings.sum(dim=-1, keepdim=True)
        before = holdings / wealth
        (after,) = self.layer(*self.data(before, forecasts))
        return wealth * (after - before)

    def data(self, before: Tensor, forecasts: Forecasts | None = None) -> tuple[Tensor, ...]:
        """Return the data of the program for holdings at wealth 1."""
        mean = self.mean / PER_CENT
        if self.root.ndim == 1:
            covariance = torch.diag(self.root**2) / PER_CENT**2
        else:
            covariance = self.root.T @ self.root / PER_CENT**2
        if forecasts is not None:
            mean = mean + self.belief_in_mean * forecasts.mean
            covariance = covariance + self.belief_in_covariance**2 * forecasts.covariance
        risk = self.aversion.clamp(min=0) ** 2 * covariance
        costs = [(c / PER_MILLE).clamp(min=_LEAST_COST) for c in (self.trading, self.shorting)]
        return before, mean, risk, *costs


def make_policy(config: MarkowitzConfig, beliefs: Beliefs) -> Policy:
    """Make the policy of a run; the costs are learned from trades only, where they show."""
    return Policy(
        beliefs, config.make_rule(), config.engine, config.threads,
        learn_costs=config.objective == "tracking",
    )  # fmt: skip


def trading_program(assets: int) -> tuple[Any, list[Any], list[Any]]:
    """Return the program in CVXPY, its parameters and the variable h⁺, each an array (n,).

    The parameters are holdings h, mean, risk (n, n), trading and shorting costs. What is traded
    and what is short are variables of their own with |h⁺ - h| and (h⁺)₋ as lower bounds, rather
    than ``cp.abs`` and ``cp.neg`` of them: costs times an expression of h would not be DPP, and a
    further variable u = h⁺ - h makes a solve a third slower.
    """
    cp = load("cvxpy", "markowitz")
    before, mean = cp.Parameter(assets), cp.Parameter(assets)
    risk = cp.Parameter((assets, assets), PSD=True)
    trading, shorting = cp.Parameter(assets, nonneg=True), cp.Parameter(assets, nonneg=True)
    after, traded, short = cp.Variable(assets), cp.Variable(assets), cp.Variable(assets)
    constraints = [
        traded >= after - before,
        traded >= before - after,
        short >= -after,
        short >= 0,
        cp.sum(after) - cp.sum(before) + trading @ traded + shorting @ short <= 0,
    ]
    problem = cp.Problem(cp.Maximize(mean @ after - cp.quad_form(after, risk)), constraints)
    return problem, [before, mean, risk, trading, shorting], [after]


def _tensor(values: Floats, unit: float) -> Tensor:
    return torch.tensor(values * unit, dtype=torch.float64)
