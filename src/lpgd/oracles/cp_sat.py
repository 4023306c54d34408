"""OR-tools CP-SAT models."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

from lpgd.core.extras import load
from lpgd.core.options import number
from lpgd.core.public import public
from lpgd.core.reply import Reply
from lpgd.core.solution import Flag, FloatArray, Status
from lpgd.oracles.base import SetOracle, moderate, refuse
from lpgd.oracles.checks import limit
from lpgd.oracles.milp import replied
from lpgd.oracles.program import Outcome

MODULE = "ortools.sat.python.cp_model"
STATUS = {
    "OPTIMAL": Status.OPTIMAL,
    "INFEASIBLE": Status.INFEASIBLE,
    "MODEL_INVALID": Status.INVALID,
    "UNKNOWN": Status.TIME_LIMIT,
}


@public("lpgd.oracles")
class CpSat(SetOracle):
    """minimise <c, x> over some variables of a CP-SAT model; costs (B, n).

    CP-SAT takes whole numbers: costs are rounded to multiples of ``resolution`` times the largest,
    so that an answer costs at most ``resolution / 2 * max|c| * sum(|x - x*|)`` more than the best.

    Parameters
    ----------
    model : ortools.sat.python.cp_model.CpModel
        Constraints; an objective is replaced. It is copied.
    variables : sequence of its variables
        x, in this order.
    resolution : float
        Below 1. The finer, the larger the numbers that the solver has to work with.
    time_limit : float
        Seconds an element; 0 is none. Answers then depend on the machine and its load, unlike
        with ``work_limit``, in CP-SAT's deterministic unit of time. What is known when a limit is
        reached is used and flagged (``layer.stats.incumbents``).
    """

    def __init__(
        self, model: Any, variables: Sequence[Any], *, resolution: float = 1e-6,
        time_limit: float = 0.0, work_limit: float = 0.0,
    ) -> None:  # fmt: skip
        load(MODULE, "oracles", "CpSat")
        number("resolution", resolution, least=2.0**-40, below=1.0)
        if not hasattr(model, "get_int_var_from_proto_index"):
            raise TypeError(f"model must be a CpModel, got {model!r}")
        self.indices = _indices(variables)
        self.shape = (len(self.indices),)
        self.resolution = resolution
        self.time_limit = limit("time_limit", time_limit)
        self.work_limit = limit("work_limit", work_limit)
        self.gap = np.inf if time_limit or work_limit else resolution
        self._model = model.clone()

    def __repr__(self) -> str:
        return f"CpSat({len(self.indices)} variables, resolution={self.resolution})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_model": str(self._model.proto)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        model = load(MODULE, "oracles", "CpSat").CpModel()
        text = state.pop("_model")
        if hasattr(model.proto, "parse_text_format"):
            model.proto.parse_text_format(text)
        else:  # ortools before 9.15
            load("google.protobuf.text_format", "oracles", "CpSat").Parse(text, model.proto)
        vars(self).update(state, _model=model)

    def reply(self, costs: FloatArray, instances: Sequence[Any] | None = None) -> Reply:
        """See ``SetOracle.reply``."""
        refuse(self, instances)
        module = load(MODULE, "oracles", "CpSat")
        return replied(moderate(costs), lambda cost: self._one(module, cost))

    def _one(self, module: Any, cost: FloatArray) -> Outcome:
        most = np.abs(cost).max(initial=0.0)
        whole = np.rint(cost / (most * self.resolution)) if most else np.zeros_like(cost)
        model = self._model.clone()
        variables = [model.get_int_var_from_proto_index(index) for index in self.indices]
        total = module.LinearExpr.weighted_sum(variables, [int(value) for value in whole])
        model.minimize(total)
        solver = module.CpSolver()
        solver.parameters.num_workers, solver.parameters.random_seed = 1, 0
        solver.parameters.catch_sigint_signal = False  # it would not give Ctrl-C back
        if self.time_limit:
            solver.parameters.max_time_in_seconds = float(self.time_limit)
        if self.work_limit:
            solver.parameters.max_deterministic_time = float(self.work_limit)
        name = solver.status_name(solver.solve(model))
        if name not in ("OPTIMAL", "FEASIBLE"):
            return Outcome(None, STATUS.get(name, Status.NUMERICAL))
        x = np.array([solver.value(variable) for variable in variables], dtype=np.float64)
        flag = Flag.NONE if name == "OPTIMAL" else Flag.INCUMBENT
        return Outcome(x, Status.OPTIMAL, flag)


def _indices(variables: Any) -> list[int]:
    try:
        return [index(variable.index) for variable in variables]
    except (AttributeError, TypeError) as error:
        raise TypeError(f"variables must be variables of a CpModel, got {variables!r}") from error
