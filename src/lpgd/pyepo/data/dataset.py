"""Data sets of features, costs, solutions and objectives, solved when they are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import Dataset

from lpgd.core.options import choice
from lpgd.core.solution import FloatArray
from lpgd.pyepo import _models, _solvers
from lpgd.pyepo._rest import base, rest
from lpgd.pyepo._solvers import Choice
from lpgd.pyepo.func._checks import positive_int, probability

if TYPE_CHECKING:
    Theirs = Dataset[tuple[torch.Tensor, ...]]
else:
    Theirs = base(__name__, "optDataset", Dataset)  # what PyEPO's own losses ask for


class optDataset(Theirs):
    """Features, costs, optimal solutions and objectives, all float32.

    Parameters
    ----------
    model : optModel
    feats : (B, p)
    costs : (B, d)
    oracle : {"auto", "model"}
        See ``lpgd.pyepo.func.abcmodule.optModule``.
    """

    def __init__(self, model: Any, feats: Any, costs: Any, *, oracle: Choice = "auto") -> None:
        feats, costs = _checked(model, feats, costs)
        choice("oracle", oracle, ("auto", "model"))
        self.model, self.feats, self.costs, self._oracle = model, feats, costs, oracle
        sols, objs = self._get_sols()
        self._keep(sols, objs)

    def _keep(self, sols: FloatArray, objs: FloatArray) -> None:
        kept = self.feats, self.costs, sols, objs
        feats, costs, solutions, objectives = (
            torch.as_tensor(part, dtype=torch.float32) for part in kept
        )
        self.feats, self.costs, self.sols, self.objs = feats, costs, solutions, objectives

    def _get_sols(self) -> tuple[FloatArray, FloatArray]:
        return self._solved(self.costs)

    def _solved(self, costs: Any) -> tuple[FloatArray, FloatArray]:
        """Solutions (B, d) and objectives (B, 1) of costs."""
        ours = _solvers.recognised(self.model) if self._oracle == "auto" else None
        if ours is None:
            pairs = [_solvers.one(self.model, _models.full(self.model, c)) for c in costs]
            return np.stack([x for x, _ in pairs]), np.array([[value] for _, value in pairs])
        array = np.asarray(costs.detach().cpu() if isinstance(costs, torch.Tensor) else costs)
        array = array.astype(np.float64)
        x = ours(_models.sign(self.model) * array)
        return x, (array * x).sum(axis=1, keepdims=True)

    def __len__(self) -> int:
        return len(self.costs)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, ...]:
        return self.feats[index], self.costs[index], self.sols[index], self.objs[index]


class optDatasetKNN(optDataset):
    """Costs mixed with those of the nearest neighbours in features (Schutte et al., 2024).

    Parameters
    ----------
    model, feats, costs, oracle
        See ``optDataset``.
    k : int
        Neighbours, >= 1.
    weight : float
        Of an instance's own costs, in [0, 1].
    """

    def __init__(
        self,
        model: Any,
        feats: Any,
        costs: Any,
        k: int = 10,
        weight: float = 0.5,
        *,
        oracle: Choice = "auto",
    ) -> None:
        feats, costs = _checked(model, feats, costs)
        positive_int(k, "k")
        if k >= len(feats):
            raise ValueError(f"Invalid k={k}; must satisfy 1 <= k < num_data ({len(feats)}).")
        probability(weight, "weight")
        self.k, self.weight = k, weight
        super().__init__(model, feats, costs, oracle=oracle)

    def _get_sols(self) -> tuple[FloatArray, FloatArray]:
        mixed = self._get_knn()
        count, width, k = mixed.shape
        x, values = self._solved(mixed.transpose(0, 2, 1).reshape(-1, width))
        self.costs = mixed.mean(axis=2)
        return x.reshape(count, k, -1).mean(axis=1), values.reshape(count, k).mean(axis=1)[:, None]

    def _get_knn(self) -> Any:
        """Costs mixed with those of each neighbour, (B, d, k)."""
        from scipy.spatial.distance import cdist

        feats, costs = (
            part.detach().cpu().numpy() if isinstance(part, torch.Tensor) else part
            for part in (self.feats, self.costs)
        )
        away = cdist(feats, feats, "euclidean")
        np.fill_diagonal(away, np.inf)
        near = costs[np.argpartition(away, self.k, axis=1)[:, : self.k]]
        own = self.weight * costs[:, :, None]
        return own + (1 - self.weight) * near.transpose(0, 2, 1)


def _checked(model: Any, feats: Any, costs: Any) -> tuple[Any, Any]:
    if not (callable(getattr(model, "setObj", None)) and callable(getattr(model, "solve", None))):
        raise TypeError("arg model is not an optModel")
    feats, costs = (
        part if isinstance(part, (np.ndarray, torch.Tensor)) else np.asarray(part)
        for part in (feats, costs)
    )
    if not (feats.ndim and costs.ndim):
        raise ValueError("feats and costs must have a row for each instance")
    if len(feats) != len(costs):
        raise ValueError(
            f"feats and costs must have the same number of instances: {len(feats)} and {len(costs)}"
        )
    return feats, costs


__getattr__ = rest(__name__)
