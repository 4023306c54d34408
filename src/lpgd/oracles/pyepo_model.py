"""Any PyEPO model as an oracle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lpgd.core.locked import Locked
from lpgd.core.public import public
from lpgd.core.reply import Reply
from lpgd.core.solution import FloatArray
from lpgd.oracles.base import SetOracle, refuse
from lpgd.oracles.per_instance import Each


@public("lpgd.oracles")
class PyEPOModel(Locked, SetOracle):
    """A ``pyepo`` ``optModel``, asked for one element after the other; costs (B, num_cost).

    Costs are minimised whatever the model's sense: a maximising model is handed their negatives.
    PyEPO hands float32 costs to its solvers. As exact as the model; it travels as PyEPO's recipe
    with the constraints that were added. Gurobi models forget each solution before the next solve,
    so that ties are broken by the costs alone; other solvers' models may break them by history.
    Threads ask the model one after the other.

    Parameters
    ----------
    model : pyepo.model.opt.optModel
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        for name in ("setObj", "solve", "num_cost", "modelSense"):
            if not hasattr(model, name):
                raise TypeError(f"a pyepo optModel is needed, got {model!r}")
        self.model = model
        places: Any = getattr(model, "c_pred_index", None)
        self._places = None if places is None else np.asarray(places)
        self.shape = (int(model.num_cost) if places is None else len(places),)
        self._sign = 1.0 if int(model.modelSense) == 1 else -1.0
        self.gap = 1e-4  # of Gurobi, unless it is told otherwise, and of float32 costs

    def __repr__(self) -> str:
        return f"PyEPOModel({self.model!r})"

    def reply(self, costs: FloatArray, instances: Sequence[Any] | None = None) -> Reply:
        """See ``SetOracle.reply``."""
        refuse(self, instances)
        return Each(self._one).reply(costs)

    def _one(self, cost: FloatArray) -> FloatArray:
        inner: Any = getattr(self.model, "_model", None)
        with self.lock:
            if type(inner).__module__.startswith("gurobipy"):
                inner.reset()  # else it starts from the last solution
            self.model.setObj(self._sign * cost)
            x = np.array(self.model.solve()[0], dtype=np.float64)
        return x if self._places is None else x[self._places]

    def __getstate__(self) -> dict[str, Any]:
        added = [(np.asarray(row), rhs) for row, rhs in getattr(self.model, "_extra_constrs", ())]
        return {**super().__getstate__(), "model": (self.model.to_spec(), added)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        spec, added = state["model"]
        model = spec.build()
        for row, rhs in added:
            model = model.addConstr(row, rhs)
        super().__setstate__({**state, "model": model})
