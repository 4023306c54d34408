"""Inputs, the costs that belong to them, and the decisions that are best."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lpgd.metrics import normalised_regret, optimal, regret

Array = NDArray[Any]
Oracle = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From costs (B, d) to minimisers (B, d)."""


@dataclass(frozen=True)
class Cases:
    """N instances: ``inputs`` (N, ...), ``costs`` and the ``best`` decisions (N, d), float32.

    ``normals`` (N, m, d) are those of the constraints that bind at the best decisions, where a rule
    needs them.
    """

    inputs: Tensor
    costs: Tensor
    best: Tensor
    normals: Tensor | None = None

    def __len__(self) -> int:
        return len(self.costs)

    def __getitem__(self, rows: Any) -> Cases:
        normals = None if self.normals is None else self.normals[rows]
        return Cases(self.inputs[rows], self.costs[rows], self.best[rows], normals)

    def regrets(self, decisions: Array) -> tuple[float, float]:
        """Return the normalised regret of decisions (N, d), and the share that is optimal."""
        costs = self.costs.double().numpy()
        least = (costs * self.best.double().numpy()).sum(axis=1)
        each = regret(decisions, costs, least)
        return normalised_regret(each, least), float(optimal(each, least).mean())


@dataclass(frozen=True)
class Split:
    """Instances to learn from and to judge by, the solver of all, and words for both."""

    train: Cases
    test: Cases
    oracle: Oracle
    headline: str


def split(inputs: Array, costs: Array, train_size: int, oracle: Oracle, headline: str) -> Split:
    """Solve all instances; the first ``train_size`` are to learn from.

    Costs get the unit of their mean size in training, so that a tau and a learning rate mean the
    same everywhere.
    """
    unit = np.abs(costs[:train_size]).mean()
    scaled = (costs / unit).astype(np.float32)
    parts = [torch.from_numpy(part) for part in (inputs, scaled, solved(oracle, scaled))]
    return Split(
        Cases(*(part[:train_size] for part in parts)),
        Cases(*(part[train_size:] for part in parts)),
        oracle,
        f"{headline}, {train_size} instances to train, {len(costs) - train_size} to test",
    )


def solved(oracle: Oracle, costs: Array) -> NDArray[np.float32]:
    """Return the best decisions."""
    return oracle(costs.astype(np.float64)).astype(np.float32)
