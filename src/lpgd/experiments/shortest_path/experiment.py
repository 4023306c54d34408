"""The shortest-path experiment: instances, model, study."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import nn

from lpgd.experiments.decisions.cases import Split, split
from lpgd.experiments.decisions.config import DecisionConfig
from lpgd.experiments.decisions.task import DecisionExperiment, DecisionStudy, DecisionTask
from lpgd.experiments.runs import RunDirectory
from lpgd.experiments.settings import Range, check_size
from lpgd.generators import shortest_path
from lpgd.oracles import PyEPOGrid


@dataclass(frozen=True, kw_only=True)
class ShortestPathConfig(DecisionConfig):
    """Settings of one run: a grid of ``grid`` nodes each way, ``features`` of an instance.

    The costs are a polynomial of ``degree`` in linear functions of the features, times a factor
    between 1 - ``noise`` and 1 + ``noise``.
    """

    ranges: ClassVar[dict[str, Range]] = DecisionConfig.ranges | {
        "grid": (2, 100),
        "features": (1, 1000),
        "degree": (1, 20),
    }

    grid: int = 5
    features: int = 5
    degree: int = 4
    noise: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size("noise", self.noise)


class ShortestPathExperiment(DecisionExperiment):
    """Shortest paths, for the commands."""

    config = ShortestPathConfig

    def split(self, config: ShortestPathConfig) -> Split:
        """Generate the instances."""
        inputs, costs = shortest_path(
            config.train_size + config.test_size,
            config.features,
            (config.grid, config.grid),
            degree=config.degree,
            noise=config.noise,
            seed=config.data_seed,
        )
        grid = PyEPOGrid(config.grid, config.grid)
        about = f"Shortest paths, {config.grid}x{config.grid} nodes, {config.features} features"
        return split(inputs.astype(np.float32), costs, config.train_size, grid, about)

    def predictor(self, config: ShortestPathConfig, split: Split) -> nn.Module:
        """Return a linear model."""
        return nn.Linear(config.features, split.train.costs.shape[1])

    def draw_decisions(self, task: DecisionTask, run: RunDirectory) -> None:
        """Draw the grid's costs, the best paths and those decided."""
        from lpgd.experiments.shortest_path.figures import draw_paths

        draw_paths(task, run)


SHORTEST_PATH = ShortestPathExperiment()


@dataclass(frozen=True, kw_only=True)
class ShortestPathStudy(DecisionStudy):
    """What decides the numbers of a comparison, besides the methods."""

    experiment: ClassVar[DecisionExperiment] = SHORTEST_PATH

    grid: int = 5
    features: int = 5
    degree: int = 4
    noise: float = 0.5
