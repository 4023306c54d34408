"""The terrain experiment: instances, model, study."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn

from lpgd.experiments.decisions.cases import Split, split
from lpgd.experiments.decisions.config import DecisionConfig
from lpgd.experiments.decisions.task import DecisionExperiment, DecisionStudy, DecisionTask
from lpgd.experiments.runs import ExperimentError, RunDirectory
from lpgd.experiments.settings import Range, check_choice
from lpgd.experiments.terrain.files import read_part
from lpgd.experiments.terrain.landscape import landscapes
from lpgd.experiments.terrain.network import CostReader
from lpgd.experiments.terrain.paths import FlatPath, grid_of


@dataclass(frozen=True, kw_only=True)
class TerrainConfig(DecisionConfig):
    """Settings of one run: maps of ``tiles`` tiles each way, or those in the folder ``data``.

    ``negative`` says how paths take negative costs, which tilts and noise make: clipped at zero, as
    blackbox differentiation has it and the theory of LPGD has not, or exactly, as flow that may
    have cycles besides (hundreds of times slower).
    """

    ranges: ClassVar[dict[str, Range]] = DecisionConfig.ranges | {
        "tiles": (2, 100),
        "channels": (1, 1000),
    }

    epochs: int = 15
    lr: float = 0.003
    samples: int = 5
    train_size: int = 500
    test_size: int = 500
    tiles: int = 12
    channels: int = 8
    negative: Literal["clip", "flow"] = "clip"
    data: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("negative", self.negative, ("clip", "flow"))
        if not (self.data is None or isinstance(self.data, str)):
            raise ExperimentError(f"data must be a folder's name, got {self.data!r}")


class TerrainExperiment(DecisionExperiment):
    """Shortest paths on terrain, for the commands."""

    config = TerrainConfig

    def split(self, config: TerrainConfig) -> Split:
        """Generate the maps, or read the user's own."""
        images, costs = _maps(config)
        shape = costs.shape[1], costs.shape[2]
        source = "generated terrain" if config.data is None else config.data
        about = f"Shortest paths on {source}, {shape[0]}x{shape[1]} tiles"
        path = FlatPath(shape, config.negative)
        return split(images, costs.reshape(len(costs), -1), config.train_size, path, about)

    def predictor(self, config: TerrainConfig, split: Split) -> nn.Module:
        """Return a small convolutional network."""
        return CostReader(grid_of(split), config.channels)

    def draw_decisions(self, task: DecisionTask, run: RunDirectory) -> None:
        """Draw maps, costs and paths."""
        from lpgd.experiments.terrain.figures import draw_maps

        draw_maps(task, run)


TERRAIN = TerrainExperiment()


@dataclass(frozen=True, kw_only=True)
class TerrainStudy(DecisionStudy):
    """What decides the numbers of a comparison, besides the methods."""

    experiment: ClassVar[DecisionExperiment] = TERRAIN

    tiles: int = 12
    channels: int = 8


def _maps(config: TerrainConfig) -> tuple[NDArray[Any], NDArray[np.float64]]:
    if config.data is None:
        return landscapes(config.train_size + config.test_size, config.tiles, config.data_seed)
    folder = Path(config.data)
    train = read_part(folder, "train", config.train_size)
    test = read_part(folder, "val" if config.tuning else "test", config.test_size)
    if train[0].shape[1:] != test[0].shape[1:] or train[1].shape[1:] != test[1].shape[1:]:
        raise ExperimentError(f"{folder}: maps to train and to test differ in size")
    images, costs = (np.concatenate(parts) for parts in zip(train, test, strict=True))
    return images, costs
