"""Who solves a PyEPO model: an oracle of ours where its class says what it is, else the model."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from lpgd.core.options import choice
from lpgd.core.rule import is_whole
from lpgd.core.solution import FloatArray
from lpgd.oracles import TSP, Knapsack, PyEPOGrid
from lpgd.pyepo import _models
from lpgd.pyepo._rest import theirs

Choice = Literal["auto", "model"]
Oracle = Callable[[FloatArray], FloatArray]
"""From costs (B, d) that are minimised to solutions (B, d)."""
TSPS = ("tspDFJModel", "tspGGModel", "tspMTZModel")


def recognised(model: Any) -> Oracle | None:
    """Our oracle of a model that is exactly one of PyEPO's; None for any other."""
    cls = type(model)
    own = {"setObj", "solve", "_setFullObj", "_fullCost"} & set(vars(model))
    backend = cls.__module__.split(".")
    if backend[:2] != ["pyepo", "model"] or own or getattr(model, "_extra_constrs", None):
        return None
    if _tampered(model):
        return None
    if cls.__name__ in ("shortestPathModel", "shortestPathCpModel"):
        return PyEPOGrid(*model.grid)
    if cls.__name__ in ("knapsackModel", "knapsackCpModel"):
        return None if (model.weights < 0).any() else Knapsack(model.weights, model.capacity)
    return TSP(model.num_nodes) if cls.__name__ in TSPS else None


def _tampered(model: Any) -> bool:
    """Whether a Gurobi model has other rows, columns or bounds than its class gives it."""
    inner: Any = getattr(model, "_model", None)
    if type(inner).__module__.split(".")[0] != "gurobipy":
        return False
    inner.update()
    fresh = model.rebuild()._model
    fresh.update()
    return _outline(inner) != _outline(fresh)


def _outline(model: Any) -> tuple[Any, ...]:
    counts = model.NumVars, model.NumConstrs, model.NumSOS, model.NumQConstrs, model.NumGenConstrs
    names = ("LB", "UB", "VType")
    columns = [tuple(model.getAttr(name, model.getVars())) for name in names]
    rows = [tuple(model.getAttr(name, model.getConstrs())) for name in ("RHS", "Sense")]
    return counts, columns, rows, model.DNumNZs


def by_model(model: Any, processes: int = 1, pool: Any = None) -> Oracle:
    """The model's own solver, one instance after another, or spread over PyEPO's processes."""
    sign = _models.sign(model)

    def solve(costs: FloatArray) -> FloatArray:
        if pool is not None:
            spread = theirs("lpgd.pyepo.func.utils")._solve_batch_np
            return np.asarray(spread(sign * costs, model, processes, pool)[0], dtype=np.float64)
        return np.array([one(model, cost)[0] for cost in sign * costs]).reshape(costs.shape)

    return solve


def one(model: Any, costs: Any) -> tuple[FloatArray, float]:
    """Solution and objective of one instance, costs of all variables in the model's own sense."""
    _models.pose(model, costs)
    x, objective = model.solve()
    if hasattr(x, "detach"):
        x = x.detach().cpu()
    return np.asarray(x, dtype=np.float64), float(objective)


def counted(processes: Any) -> int:
    """The number of processes; zero means all cores.

    Raises
    ------
    ValueError
    """
    cores = multiprocessing.cpu_count()
    if not (is_whole(processes) and 0 <= processes <= cores):
        raise ValueError(f"Invalid processors number {processes}, only {cores} cores.")
    return processes or cores


def chosen(model: Any, oracle: Choice, processes: int = 1, owner: Any = None) -> tuple[Oracle, Any]:
    """Who solves, and the pool of processes that is needed for it.

    Raises
    ------
    ValueError
    """
    choice("oracle", oracle, ("auto", "model"))
    ours = recognised(model) if oracle == "auto" else None
    if ours is not None or processes == 1:
        return ours or by_model(model), None
    pool = theirs("lpgd.pyepo.func.runtime").create_solver_pool(model, processes, owner=owner)
    return by_model(model, processes, pool), pool
