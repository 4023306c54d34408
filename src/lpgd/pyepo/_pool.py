"""Pools of solutions, as PyEPO keeps them."""

from __future__ import annotations

from typing import Any

import torch

CLOSE = 1e-4  # L1 distance an entry within which solutions are one; at most 0.1 in all


def initial(dataset: Any) -> torch.Tensor:
    """The different solutions of a data set, in lexicographic order.

    Raises
    ------
    TypeError
        It has none.
    """
    solutions = getattr(dataset, "sols", None)
    if not isinstance(solutions, torch.Tensor):
        raise TypeError("dataset is not an optDataset")
    return torch.unique(solutions, dim=0).clone()


def grown(pool: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    """The pool with those solutions at its end that it does not have."""
    new = torch.unique(found, dim=0)
    away = torch.cdist(new, pool, p=1.0)
    far = (away > min(CLOSE * found.shape[-1], 0.1)).all(dim=1)
    return torch.cat([pool, new[far]]) if bool(far.any()) else pool


def best(pool: torch.Tensor, costs: torch.Tensor) -> torch.Tensor:
    """The solution of the pool of least cost, for each row of costs."""
    return pool[(costs @ pool.T).argmin(dim=1)]
