"""Figures of one run: its losses, accounts over the test period, and what was learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lpgd.experiments.markowitz.accounts import Account
from lpgd.experiments.markowitz.policy import Policy, make_policy
from lpgd.experiments.plotting import (
    INK,
    MUTED,
    PALETTE,
    draw_training,
    new_figure,
    save,
    shown,
    use_log_scale,
)
from lpgd.experiments.runs import RunDirectory
from lpgd.experiments.training import Trainer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOSSES = {
    "tracking": "squared distance to the expert's trades",
    "utility": "cost: −utility of a month's growth",
}


def draw_figures(trainer: Trainer, run: RunDirectory) -> None:
    """Draw everything there is to see of a run."""
    task = trainer.task
    draw_losses(trainer, run)
    draw_accounts(task.accounts(), run)
    start, market = make_policy(task.config, task.world.beliefs), task.world.market
    draw_parameters(task.model, start, None if market is None else market.mean, run)


def draw_losses(trainer: Trainer, run: RunDirectory) -> None:
    """Draw the losses against epochs and against seconds of training."""
    figure, axes = new_figure(1, 2, (9, 3.6))
    draw_training(axes, trainer, [("validation_loss", "validation")])
    objective = trainer.task.config.objective
    if objective == "tracking":
        for axis in axes:
            use_log_scale(axis)
    axes[0].set_ylabel(_LOSSES[objective])
    axes[0].legend(frameon=False)
    save(figure, run.figure("loss"))


def draw_accounts(accounts: dict[str, Account], run: RunDirectory) -> None:
    """Draw wealth over the test period."""
    figure, (axis,) = new_figure(1, 1, (7, 3.8))
    styles = {"policy": (PALETTE[0], "-"), "start": (MUTED, "-"), "expert": (PALETTE[1], "--")}
    for name, account in accounts.items():
        color, line = styles[name]
        label = (
            f"{name}: {100 * account.annual_return:.1f} % a year, volatility "
            f"{100 * account.volatility:.1f} %, turnover {100 * account.turnover:.1f} % a month"
        )
        axis.plot(shown([1.0, *account.wealth]), color=color, linestyle=line, label=label)
    axis.set(xlabel="months of the test period", ylabel="wealth after costs")
    axis.legend(frameon=False, fontsize=8)
    save(figure, run.figure("wealth"))


def draw_parameters(
    policy: Policy, start: Policy, mean: np.ndarray | None, run: RunDirectory
) -> None:
    """Draw the learned vectors, asset by asset, beside those at the start.

    ``mean`` (n,) is the market's true one, in excess of 1, where there is one.
    """
    learned, first = dict(policy.named_parameters()), dict(start.named_parameters())
    titles = {
        "mean": "mean [% a month]",
        "trading": "trading cost [‰]",
        "shorting": "shorting cost [‰]",
        "belief_in_mean": "belief in the forecast mean",
    }
    names = [name for name in titles if name in learned]
    figure, axes = new_figure(1, len(names), (3.4 * len(names), 3.2))
    for axis, name in zip(axes, names, strict=True):
        _draw_vector(axis, *(shown(values[name].detach().numpy()) for values in (first, learned)))
        axis.set(title=titles[name], xlabel="asset")
    if mean is not None:
        axes[0].plot(
            np.arange(len(mean)), 100 * mean, "_", color=INK, markersize=10, label="market"
        )
    axes[0].legend(frameon=False, fontsize=8)
    save(figure, run.figure("parameters"))


def _draw_vector(axis: Axes, start: np.ndarray, learned: np.ndarray) -> None:
    assets = np.arange(len(start))
    axis.plot(assets, start, "o", color=MUTED, markersize=5, label="start")
    axis.plot(assets, learned, "o", color=PALETTE[0], markersize=5, label="learned")
