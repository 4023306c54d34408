"""POUNCE, an interior-point method in the manner of IPOPT, for programs of any functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from lpgd.core.engine import Capabilities, Range
from lpgd.core.extras import load
from lpgd.core.public import public
from lpgd.core.solution import FloatArray, Status
from lpgd.engines.lagrangian.nlp import WARM, NlpEngine
from lpgd.engines.lagrangian.posed import Posed, Raw
from lpgd.families.lagrangian.lagrangian import Lagrangian

# IPOPT's exit codes
STATUS = {
    0: Status.OPTIMAL,
    2: Status.INFEASIBLE,
    4: Status.UNBOUNDED,
    -1: Status.ITERATION_LIMIT,
    -4: Status.TIME_LIMIT,
    -5: Status.TIME_LIMIT,
    -13: Status.NUMERICAL,
}


@dataclass(frozen=True)
class _Callbacks:
    """A program as POUNCE asks for it; matrices are dense."""

    posed: Posed

    def objective(self, x: FloatArray) -> float:
        return self.posed.objective(x)

    def gradient(self, x: FloatArray) -> FloatArray:
        return self.posed.gradient(x)

    def constraints(self, x: FloatArray) -> FloatArray:
        return self.posed.constraints(x)

    def jacobian(self, x: FloatArray) -> FloatArray:
        return self.posed.jacobian(x).ravel()

    def jacobianstructure(self) -> Any:
        shape = len(self.posed.least), len(self.posed.start)
        return tuple(part.ravel() for part in np.indices(shape))

    def hessianstructure(self) -> Any:
        return np.tril_indices(len(self.posed.start))

    def hessian(self, x: FloatArray, y: FloatArray, weight: float) -> FloatArray:
        return self.posed.hessian(x, y, weight)[np.tril_indices(len(x))]


@public("lpgd")
@final
@dataclass(frozen=True)
class PounceEngine(NlpEngine):
    """POUNCE (package ``pounce-solver``, extra ``nlp``), for ``NLPLayer`` of any functions.

    Parameters
    ----------
    tolerance : float
        Its ``tol``; every answer is polished and measured afterwards.
    iteration_limit : int
    time_limit : float
        Seconds of an element; 0 is none.
    n_jobs : int
        Processes among which a batch is divided, as joblib's (extra ``oracles``); -1 is as many as
        there are processors.
    """

    name: ClassVar[str] = "pounce"
    capabilities: ClassVar[Capabilities] = Capabilities(
        frozenset({"NLP", "symbolic NLP"}),
        restores=True,
        ranges=(Range("NLP", 0),),
        package="pounce",
        install='pip install "lpgd[nlp]"',
    )

    def find(self, problem: Lagrangian, posed: Posed) -> Raw:
        """See ``NlpEngine.find``."""
        pounce = load("pounce", "nlp", "engine 'pounce'")
        if (posed.low > posed.high).any():
            return Raw(Status.INFEASIBLE, posed.start, 0 * posed.most, 0 * posed.start)
        solver = pounce.Problem(
            n=len(posed.start), m=len(posed.least), problem_obj=_Callbacks(posed),
            lb=posed.low, ub=posed.high, cl=posed.least, cu=posed.most,
        )  # fmt: skip
        options: dict[str, Any] = {
            "print_level": 0, "sb": "yes", "tol": self.tolerance, "max_iter": self.iteration_limit,
            "bound_relax_factor": 0.0,
        }  # fmt: skip
        if self.time_limit:
            options["max_cpu_time"] = self.time_limit
        start: dict[str, FloatArray] = {}
        if posed.warm is not None:
            options |= WARM
            y, box = posed.warm
            start = {"lagrange": y, "zl": np.maximum(-box, 0.0), "zu": np.maximum(box, 0.0)}
        for name, value in options.items():
            solver.add_option(name, value)
        x, found = solver.solve(posed.start, **start)
        status = STATUS.get(int(found["status"]), Status.INACCURATE)
        y = np.asarray(found["mult_g"], np.float64)
        box = np.asarray(found["mult_x_U"], np.float64) - np.asarray(found["mult_x_L"], np.float64)
        return Raw(status, np.asarray(x, np.float64), y, box)
