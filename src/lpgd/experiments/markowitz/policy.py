"""The trading policy: a convex program whose data are learned."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lpgd import LPGD, Exact
from lpgd.experiments.markowitz.estimates import Beliefs, Floats, Forecasts
from lpgd.torch import QPLayer

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
        self.layer = QPLayer(rule, engine=engine, on_failure="nan", threads=threads)

    def forward(self, holdings: Tensor, forecasts: Forecasts | None = None) -> Tensor:
        """Map holdings (..., n), in money, to trades (..., n); NaN where the solver failed.

        ``forecasts`` are those of the month, for an informed policy.
        """
        wealth = holdings.sum(dim=-1, keepdim=True)
        before = holdings / wealth
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
        after = self._solve(before, mean, risk, *costs)
        return wealth * (after - before)

    def _solve(
        self, before: Tensor, mean: Tensor, risk: Tensor, trading: Tensor, shorting: Tensor
    ) -> Tensor:
        """Return the best holdings after trading; variables are h⁺, |u| and (h⁺)₋."""
        n = before.shape[-1]
        eye, zero = torch.eye(n).to(before), torch.zeros(n, n).to(before)
        P = nn.functional.pad(2 * risk, (0, 2 * n, 0, 2 * n))
        rest = mean.new_zeros(*mean.shape[:-1], 2 * n)
        blocks = [[eye, -eye, zero], [-eye, -eye, zero], [-eye, zero, -eye]]
        spent = torch.cat([torch.ones(n).to(before), trading, shorting])
        G = torch.cat([torch.cat([torch.cat(row, dim=1) for row in blocks]), spent[None]])
        nothing = torch.zeros_like(before)
        h = torch.cat([before, -before, nothing, before.sum(dim=-1, keepdim=True)], dim=-1)
        free = torch.full((2 * n,), -torch.inf).to(before)
        x = self.layer(P, torch.cat([-mean, rest], dim=-1), G, h, lb=torch.cat([free, zero[0]]))
        return x[..., :n]


def _tensor(values: Floats, unit: float) -> Tensor:
    return torch.tensor(values * unit, dtype=torch.float64)
