"""Solvers of linear costs over sets: paths, selections, tours, integer programs.

Each is a callable from float64 costs (B, *shape) to as many minimisers, to be used in
``lpgd.torch.OracleLayer`` or alone. What a solver needs is imported when it is built or called.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lpgd.core.reply import Reply
    from lpgd.oracles.knapsack import Knapsack
    from lpgd.oracles.pyepo_grid import PyEPOGrid
    from lpgd.oracles.tsp import TSP

_HOMES = {
    "Knapsack": "lpgd.oracles.knapsack",
    "PyEPOGrid": "lpgd.oracles.pyepo_grid",
    "Reply": "lpgd.core.reply",
    "TSP": "lpgd.oracles.tsp",
}

__all__ = ["TSP", "Knapsack", "PyEPOGrid", "Reply"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'lpgd.oracles' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
