"""The knapsack experiment: instances, binding constraints, model, study."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lpgd.experiments.decisions.cases import Cases, Split, split
from lpgd.experiments.decisions.config import DecisionConfig
from lpgd.experiments.decisions.task import DecisionExperiment, DecisionStudy, DecisionTask
from lpgd.experiments.runs import RunDirectory
from lpgd.experiments.settings import Range, check_size
from lpgd.generators import knapsack
from lpgd.oracles import Knapsack

_TIGHT = 1e-6


@dataclass(frozen=True, kw_only=True)
class KnapsackConfig(DecisionConfig):
    """Settings of one run: ``items`` with weights in ``dimensions``.

    ``room`` is what fits of all weight in each dimension. The values are a polynomial of ``degree``
    in linear functions of the ``features``, times a factor between 1 - ``noise`` and 1 + ``noise``.
    """

    rules: ClassVar[dict[str, tuple[str, ...]]] = DecisionConfig.rules | {"cave": ()}
    ranges: ClassVar[dict[str, Range]] = DecisionConfig.ranges | {
        "items": (1, 10_000),
        "dimensions": (1, 100),
        "features": (1, 1000),
        "degree": (1, 20),
    }

    epochs: int = 12
    samples: int = 5
    train_size: int = 400
    test_size: int = 400
    items: int = 20
    dimensions: int = 2
    room: float = 0.3
    features: int = 5
    degree: int = 4
    noise: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size("noise", self.noise)
        check_size("room", self.room)


class KnapsackExperiment(DecisionExperiment):
    """Knapsacks, for the commands."""

    config = KnapsackConfig

    def split(self, config: KnapsackConfig) -> Split:
        """Generate the instances; costs are minus the values."""
        weights, inputs, values = knapsack(
            config.train_size + config.test_size,
            config.features,
            config.items,
            config.dimensions,
            degree=config.degree,
            noise=config.noise,
            seed=config.data_seed,
        )
        capacities = config.room * weights.sum(axis=1)
        oracle = Knapsack(weights, capacities)
        about = f"Knapsacks of {config.items} items and {config.dimensions} dimensions"
        found = split(inputs.astype(np.float32), -values, config.train_size, oracle, about)
        if config.rule != "cave":
            return found
        return replace(found, train=_with_normals(found.train, weights, capacities))

    def predictor(self, config: KnapsackConfig, split: Split) -> nn.Module:
        """Return a linear model."""
        return nn.Linear(config.features, config.items)

    def draw_decisions(self, task: DecisionTask, run: RunDirectory) -> None:
        """Draw the values and the items chosen."""
        from lpgd.experiments.knapsack.figures import draw_items

        draw_items(task, run)


KNAPSACK = KnapsackExperiment()


@dataclass(frozen=True, kw_only=True)
class KnapsackStudy(DecisionStudy):
    """What decides the numbers of a comparison, besides the methods."""

    experiment: ClassVar[DecisionExperiment] = KNAPSACK

    items: int = 20
    dimensions: int = 2


def normals(
    best: NDArray[np.float64], weights: NDArray[np.float64], capacities: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the normals of the constraints that bind at solutions: (N, d) to (N, d + m, d).

    They are those of the bounds 0 <= x <= 1, and of dimensions that are full; other rows are zero.
    """
    bounds = (2 * best - 1)[:, :, None] * np.eye(best.shape[1])
    full = capacities - best @ weights.T <= _TIGHT * capacities
    return np.concatenate([bounds, full[:, :, None] * weights], axis=1)


def _with_normals(
    cases: Cases, weights: NDArray[np.float64], capacities: NDArray[np.float64]
) -> Cases:
    found = normals(cases.best.double().numpy(), weights, capacities)
    return replace(cases, normals=torch.from_numpy(found.astype(np.float32)))
