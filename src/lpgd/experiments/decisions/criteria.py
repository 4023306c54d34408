"""Losses of predicted costs: a layer and what follows it, or a loss that needs no layer."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lpgd.experiments.decisions.cases import Oracle
from lpgd.experiments.decisions.config import LAYERS, DecisionConfig
from lpgd.torch import OracleLayer
from lpgd.torch.losses import CaVE, PerturbedFenchelYoung, SPOPlus

_SUM = "sum"  # over the batch


class CountingOracle:
    """An oracle that counts the instances it solves, in a tensor that a checkpoint can hold."""

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle
        self.gap: float = getattr(oracle, "gap", 0.0)  # how far it is from exact
        self.solved = torch.zeros((), dtype=torch.int64)

    def __call__(self, costs: NDArray[np.float64]) -> NDArray[np.float64]:
        self.solved += len(costs)
        return self._oracle(costs)


class Decided(nn.Module):
    """The regret, or the Hamming distance to the best, of what a layer decides."""

    def __init__(self, config: DecisionConfig, oracle: CountingOracle) -> None:
        super().__init__()
        self.layer = OracleLayer(oracle, config.make_rule())
        self._hamming = config.task_loss == "hamming"

    def forward(self, costs: Tensor, true_costs: Tensor, best: Tensor) -> Tensor:
        """Return the sum over a batch of costs (B, d)."""
        x = self.layer(costs)
        return (x * (1 - 2 * best) + best if self._hamming else true_costs * (x - best)).sum()


Make = Callable[[DecisionConfig, CountingOracle], nn.Module]

# What each rule makes, and the fields of `Cases` that its loss takes beside the costs.
_LOSSES: dict[str, tuple[Make, tuple[str, ...]]] = {
    **dict.fromkeys(LAYERS, (Decided, ("costs", "best"))),
    "two-stage": (lambda _config, _oracle: nn.MSELoss(reduction=_SUM), ("costs",)),
    "spo-plus": (lambda _, oracle: SPOPlus(oracle, _SUM), ("costs", "best")),
    "fenchel-young": (
        lambda config, oracle: PerturbedFenchelYoung(
            oracle, config.sigma, config.samples, config.seed, reduction=_SUM
        ),
        ("best",),
    ),
    "cave": (lambda _config, _oracle: CaVE(reduction=_SUM), ("normals",)),
}


def criterion(config: DecisionConfig, oracle: CountingOracle) -> tuple[Any, tuple[str, ...]]:
    """Return the loss of a rule, and the names of what it takes beside the predicted costs."""
    make, names = _LOSSES[config.rule]
    return make(config, oracle), names
