"""What decides the numbers of a comparison where costs are predicted."""

from dataclasses import asdict, dataclass
from typing import ClassVar, Literal

from lpgd.experiments.decisions.config import DecisionConfig
from lpgd.experiments.decisions.task import DecisionExperiment


@dataclass(frozen=True)
class DecisionStudy:
    """Settings that all methods share; an experiment adds its own.

    A seed decides the instances too, so that results hold for more than one data set; the settings
    are chosen on one that no final run sees.
    """

    experiment: ClassVar[DecisionExperiment]

    train_size: int
    test_size: int
    task_loss: Literal["regret", "hamming"] = "regret"
    tuning_epochs: int = 20

    @property
    def stages(self) -> tuple[int]:
        """All tuning runs have the same length."""
        return (self.tuning_epochs,)

    def config(self, seed: int, *, tuning: bool) -> DecisionConfig:
        """Return the part of the configuration that all methods share."""
        shared = {name: value for name, value in asdict(self).items() if name != "tuning_epochs"}
        return self.experiment.config(**shared, seed=seed, data_seed=seed, tuning=tuning)
