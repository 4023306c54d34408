"""What is trained where costs are predicted, how it is judged, and what a run reports."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, Literal

import torch
from numpy.typing import NDArray
from torch import nn

from lpgd.experiments.comparison import Study
from lpgd.experiments.contest import Comparable, Outcome
from lpgd.experiments.decisions.cases import Array, Cases, Split
from lpgd.experiments.decisions.config import DecisionConfig
from lpgd.experiments.decisions.criteria import CountingOracle, criterion
from lpgd.experiments.metrics import Row
from lpgd.experiments.runs import RunDirectory
from lpgd.experiments.training import Trainer


class DecisionModel(nn.Module):
    """A predictor of costs, what it is trained by, and the number of instances solved for that."""

    solved: torch.Tensor

    def __init__(self, config: DecisionConfig, predictor: nn.Module, split: Split) -> None:
        super().__init__()
        oracle = CountingOracle(split.oracle)
        self.predictor = predictor
        self.criterion, self.fields = criterion(config, oracle)
        self.register_buffer("solved", oracle.solved)

    def forward(self, cases: Cases) -> torch.Tensor:
        """Return the loss of a batch."""
        given = (getattr(cases, name) for name in self.fields)
        return self.criterion(self.predictor(cases.inputs), *given)


class DecisionTask:
    """A model that learns costs, judged by the regret of the decisions that they lead to."""

    judged = ("regret", "optimal", "solved")

    def __init__(self, config: DecisionConfig, predictor: nn.Module, split: Split) -> None:
        self.config, self.split = config, split
        self.model = DecisionModel(config, predictor, split)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.lr)
        layer = getattr(self.model.criterion, "layer", None)
        nothing = SimpleNamespace(
            seconds_forward=0, seconds_backward=0, failures=0, degenerate=None
        )
        self.stats: Any = nothing if layer is None else layer.stats

    @property
    def size(self) -> int:
        """Number of instances to train on."""
        return len(self.split.train)

    def loss(self, examples: NDArray[Any]) -> torch.Tensor:
        """Return the loss of a batch of instances."""
        return self.model(self.split.train[torch.from_numpy(examples)])

    def predict(self, cases: Cases) -> Array:
        """Return the costs that are predicted, (N, d) float64."""
        with torch.no_grad():
            return self.model.predictor(cases.inputs).double().numpy()

    def decide(self, cases: Cases) -> Array:
        """Return the decisions that the predictions lead to."""
        return self.split.oracle(self.predict(cases))

    def judge(self) -> Row:
        """Decide on the test instances."""
        regret, optimal = self.split.test.regrets(self.decide(self.split.test))
        return {"regret": regret, "optimal": optimal, "solved": int(self.model.solved)}


class DecisionExperiment(Comparable, ABC):
    """An experiment with predicted costs, for the commands."""

    config: ClassVar[type[DecisionConfig]]

    @abstractmethod
    def split(self, config: Any) -> Split:
        """Generate or read the instances."""

    @abstractmethod
    def predictor(self, config: Any, split: Split) -> nn.Module:
        """Return a new model from inputs (B, ...) to costs (B, d)."""

    @abstractmethod
    def draw_decisions(self, task: DecisionTask, run: RunDirectory) -> None:
        """Draw some test instances and what is decided there."""

    def task(self, config: Any, folder: Path | None = None) -> DecisionTask:
        """Make instances and model."""
        split = self.split(config)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            return DecisionTask(config, self.predictor(config, split), split)

    def check(self, config: Any) -> None:
        """Accept all: an oracle does whatever the rules here ask of it."""
        assert isinstance(config, self.config)

    def headline(self, task: DecisionTask) -> str:
        return task.split.headline

    def describe(self, row: Row) -> str:
        return f"test regret {100 * (row['regret'] or 0.0):.2f} %"

    def result(self, trainer: Trainer) -> dict[str, Any]:
        """Return the last judgement."""
        last = trainer.judgements()[-1]
        return {name: last[name] for name in trainer.task.judged}

    def draw(self, trainer: Trainer, run: RunDirectory) -> None:
        from lpgd.experiments.decisions.figures import draw_regret

        draw_regret(trainer, run)
        self.draw_decisions(trainer.task, run)

    def score(self, outcome: Outcome) -> tuple[float, ...]:
        """Order runs by their regret at the end."""
        return (last_regret(outcome),)

    def verdict(self, outcome: Outcome) -> str:
        return f"regret {100 * last_regret(outcome):.2f} %"


def last_regret(outcome: Outcome) -> float:
    """Return the regret at the end; infinite if nothing could be measured."""
    regret = outcome.curves["regret"][-1]
    return float("inf") if regret is None else regret


@dataclass(frozen=True, kw_only=True)
class DecisionStudy(Study):
    """Settings that all methods share; an experiment adds its own.

    A seed decides the instances too, so that results hold for more than one data set; the settings
    are chosen on one that no final run sees.
    """

    experiment: ClassVar[DecisionExperiment]

    train_size: int
    test_size: int
    task_loss: Literal["regret", "hamming"] = "regret"

    def config(self, seed: int, *, tuning: bool) -> DecisionConfig:
        return replace(super().config(seed, tuning=tuning), data_seed=seed)
