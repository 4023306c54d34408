"""Solvers of linear costs over sets: paths, selections, tours, integer programs.

Each is a callable from float64 costs (B, *shape) to as many minimisers, to be used in
``lpgd.torch.OracleLayer`` or alone. What a solver needs is imported when it is built or called.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lpgd.core.reply import Reply
    from lpgd.oracles.assignment import Assignment, Matching
    from lpgd.oracles.base import SetOracle
    from lpgd.oracles.cp_sat import CpSat
    from lpgd.oracles.cvrp import CVRP
    from lpgd.oracles.cvxpy_set import CvxpyProblem, CvxpyProgram, from_cvxpy
    from lpgd.oracles.graph_path import GraphPath
    from lpgd.oracles.grid_path import GridPath
    from lpgd.oracles.knapsack import Knapsack
    from lpgd.oracles.milp import MILP
    from lpgd.oracles.per_instance import Each, each
    from lpgd.oracles.polytope import Polytope
    from lpgd.oracles.pyepo_grid import PyEPOGrid
    from lpgd.oracles.pyepo_model import PyEPOModel
    from lpgd.oracles.selections import Ranking, TopK
    from lpgd.oracles.spanning_tree import SpanningTree
    from lpgd.oracles.tsp import TSP

_HOMES = {
    "Assignment": "lpgd.oracles.assignment",
    "CVRP": "lpgd.oracles.cvrp",
    "CpSat": "lpgd.oracles.cp_sat",
    "CvxpyProblem": "lpgd.oracles.cvxpy_set",
    "CvxpyProgram": "lpgd.oracles.cvxpy_set",
    "Each": "lpgd.oracles.per_instance",
    "GraphPath": "lpgd.oracles.graph_path",
    "GridPath": "lpgd.oracles.grid_path",
    "Knapsack": "lpgd.oracles.knapsack",
    "MILP": "lpgd.oracles.milp",
    "Matching": "lpgd.oracles.assignment",
    "Polytope": "lpgd.oracles.polytope",
    "PyEPOGrid": "lpgd.oracles.pyepo_grid",
    "PyEPOModel": "lpgd.oracles.pyepo_model",
    "Ranking": "lpgd.oracles.selections",
    "Reply": "lpgd.core.reply",
    "SetOracle": "lpgd.oracles.base",
    "SpanningTree": "lpgd.oracles.spanning_tree",
    "TSP": "lpgd.oracles.tsp",
    "TopK": "lpgd.oracles.selections",
    "each": "lpgd.oracles.per_instance",
    "from_cvxpy": "lpgd.oracles.cvxpy_set",
}

__all__ = [
    "CVRP",
    "MILP",
    "TSP",
    "Assignment",
    "CpSat",
    "CvxpyProblem",
    "CvxpyProgram",
    "Each",
    "GraphPath",
    "GridPath",
    "Knapsack",
    "Matching",
    "Polytope",
    "PyEPOGrid",
    "PyEPOModel",
    "Ranking",
    "Reply",
    "SetOracle",
    "SpanningTree",
    "TopK",
    "each",
    "from_cvxpy",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'lpgd.oracles' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
