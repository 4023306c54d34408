"""What is trained in the Markowitz experiment, how it is judged, and what a run reports."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lpgd import SolverWarning
from lpgd.experiments.contest import Comparable, Outcome
from lpgd.experiments.markowitz.accounts import Account, run_account
from lpgd.experiments.markowitz.config import MarkowitzConfig
from lpgd.experiments.markowitz.estimates import Beliefs
from lpgd.experiments.markowitz.expert import PolicyTrader
from lpgd.experiments.markowitz.policy import PER_CENT, PER_MILLE, Policy, make_policy
from lpgd.experiments.markowitz.tracking import (
    Cases,
    collect_cases,
    tracking_envelope,
    tracking_loss,
)
from lpgd.experiments.markowitz.utility import Rollouts, draw_rollouts, utility_loss
from lpgd.experiments.markowitz.world import World, make_world
from lpgd.experiments.metrics import Row
from lpgd.experiments.runs import RunDirectory
from lpgd.experiments.training import Trainer

Examples = Cases | Rollouts
_JUDGING_ROLLOUTS = 200
_UNITS = {"mean": PER_CENT, "root": PER_CENT, "trading": PER_MILLE, "shorting": PER_MILLE}


@dataclass(frozen=True)
class Objective:
    """What a policy is trained for: examples of training, validation and test, and a loss."""

    examples: Callable[[MarkowitzConfig, World], Sequence[Examples]]
    loss: Callable[[Policy, Any], torch.Tensor]


class MarkowitzTask:
    """A policy that learns from the training period and is judged on the later ones."""

    judged = ("validation_loss",)

    def __init__(self, config: MarkowitzConfig, world: World) -> None:
        self.config = config
        self.world = world
        self.model = make_policy(config, world.beliefs)
        self.optimizer = _optimizer(config, self.model)
        objective = _OBJECTIVES[config.objective]
        self.train, self.validation, self.test = objective.examples(config, world)
        self._loss = self._train_loss = objective.loss
        if config.loss == "full":  # tau refers to a mean over a batch, as for a linearised loss
            self._train_loss = tracking_envelope(self.model, float(config.tau) / config.batch)

    @property
    def stats(self) -> Any:
        """Counters of the layer."""
        return self.model.layer.stats

    @property
    def size(self) -> int:
        """Number of training examples."""
        return len(self.train)

    def loss(self, examples: NDArray[np.int_]) -> torch.Tensor:
        """Return the loss of a batch."""
        return self._train_loss(self.model, self.train[torch.from_numpy(examples)])

    def judge(self) -> Row:
        """Measure the loss on the validation period."""
        return {"validation_loss": self.loss_of(self.model, self.validation)}

    def loss_of(self, policy: Policy, examples: Examples) -> float:
        """Measure the loss of a policy."""
        with torch.no_grad():
            return self._loss(policy, examples).item()

    def accounts(self) -> dict[str, Account]:
        """Run accounts over the test period: the policy, the policy at the start, the expert."""
        world = self.world
        traders = {
            "policy": PolicyTrader(self.model, world.forecasts),
            "start": PolicyTrader(make_policy(self.config, world.beliefs), world.forecasts),
            "expert": world.expert,
        }
        return {name: run_account(t, world, world.periods.test) for name, t in traders.items()}


class MarkowitzExperiment(Comparable):
    """Tuning a trading policy, for the commands."""

    config = MarkowitzConfig

    def task(self, config: MarkowitzConfig, folder: Path | None = None) -> MarkowitzTask:
        """Make the market and the policy."""
        return MarkowitzTask(config, make_world(config))

    def check(self, config: MarkowitzConfig) -> None:
        two = np.full(2, 0.01)
        policy = make_policy(config, Beliefs(two, np.eye(2), 1.0, two, two))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SolverWarning)  # training counts failures
            policy(torch.full((1, 2), 0.5, dtype=torch.float64))

    def headline(self, task: MarkowitzTask) -> str:
        config, sizes = (
            task.config,
            [len(part) for part in (task.train, task.validation, task.test)],
        )
        what = "trades" if config.objective == "tracking" else "rollouts"
        source = config.data if config.data == "synthetic" else f"historical ({config.prices})"
        return (
            f"Markowitz policy, {config.objective}, {source} market of "
            f"{task.world.returns.shape[1]} assets\n"
            f"{sizes[0]} {what} to train, {sizes[1]} to validate, {sizes[2]} to test"
        )

    def describe(self, row: Row) -> str:
        return f"validation {row['validation_loss']:.3g}"

    def result(self, trainer: Trainer) -> dict[str, Any]:
        """Return the losses, the economics of the test period, and what was learned."""
        task: MarkowitzTask = trainer.task
        start = make_policy(task.config, task.world.beliefs)
        return {
            "validation_loss": task.loss_of(task.model, task.validation),
            "test_loss": task.loss_of(task.model, task.test),
            "start_validation_loss": task.loss_of(start, task.validation),
            "start_test_loss": task.loss_of(start, task.test),
            "economics": {name: account.to_json() for name, account in task.accounts().items()},
            "learned": _learned(task.model),
        }

    def draw(self, trainer: Trainer, run: RunDirectory) -> None:
        from lpgd.experiments.markowitz.figures import draw_figures

        draw_figures(trainer, run)

    def score(self, outcome: Outcome) -> tuple[float, ...]:
        """Order runs by the least validation loss on the way."""
        return (least_loss(outcome),)

    def verdict(self, outcome: Outcome) -> str:
        return f"least validation loss {least_loss(outcome):.3g},"


MARKOWITZ = MarkowitzExperiment()


def least_loss(outcome: Outcome) -> float:
    """Return the least validation loss of a run; infinite if there was never one."""
    known = [loss for loss in outcome.curves["validation_loss"] if loss is not None]
    return min(known, default=float("inf"))


def _optimizer(config: MarkowitzConfig, policy: Policy) -> torch.optim.Optimizer:
    if config.objective == "tracking":
        return torch.optim.Adam(policy.parameters(), lr=config.lr)
    # Gradient descent in natural units, whatever the units in which parameters are kept.
    groups = [
        {"params": [value], "scale": _UNITS.get(name, 1.0) ** 2}
        for name, value in policy.named_parameters()
    ]
    return torch.optim.SGD(groups, lr=config.lr)


def _track(config: MarkowitzConfig, world: World) -> Sequence[Examples]:
    return collect_cases(world, config.portfolios, config.data_seed)


def _roll_out(config: MarkowitzConfig, world: World) -> Sequence[Examples]:
    periods = (world.periods.train, world.periods.validation, world.periods.test)
    counts = (config.rollouts, _JUDGING_ROLLOUTS, _JUDGING_ROLLOUTS)
    return [
        draw_rollouts(world, months, count, config.horizon, [config.data_seed, 4, number])
        for number, (months, count) in enumerate(zip(periods, counts, strict=True))
    ]


# Another loss is another line here: how to make the examples of the three periods, and the loss of
# a policy on some of them.
_OBJECTIVES: dict[str, Objective] = {
    "tracking": Objective(_track, tracking_loss),
    "utility": Objective(_roll_out, utility_loss),
}


def _learned(policy: Policy) -> dict[str, Any]:
    """Return the parameters in natural units."""
    return {
        name: (value.detach() / _UNITS.get(name, 1.0)).tolist()
        for name, value in policy.named_parameters()
    }
