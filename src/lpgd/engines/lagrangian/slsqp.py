"""SciPy's SLSQP (Kraft, 1988), for small programs where no other solver is installed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, cast, final

import numpy as np
from scipy.optimize import lsq_linear, minimize

from lpgd.core.engine import Capabilities, Range
from lpgd.core.public import public
from lpgd.core.solution import FloatArray, Status
from lpgd.engines.lagrangian.nlp import NlpEngine
from lpgd.engines.lagrangian.posed import Posed, Raw
from lpgd.families.lagrangian.lagrangian import Lagrangian

STATUS = {0: Status.OPTIMAL, 4: Status.INFEASIBLE, 9: Status.ITERATION_LIMIT}
NEAR = 1e-6  # a slack up to this, relative to x, may have a multiplier


@public("lpgd")
@final
@dataclass(frozen=True)
class SlsqpEngine(NlpEngine):
    """SLSQP of SciPy. Its multipliers are those that leave the least slope; all is polished.

    Parameters
    ----------
    tolerance : float
        Its ``ftol``; every answer is polished and measured afterwards.
    iteration_limit : int
    time_limit : float
        Not known to SLSQP.
    n_jobs : int
        As of :class:`IpoptEngine`.
    """

    tolerance: float = 1e-12

    name: ClassVar[str] = "slsqp"
    capabilities: ClassVar[Capabilities] = Capabilities(
        frozenset({"NLP", "symbolic NLP"}),
        restores=True,
        ranges=(Range("NLP", 1), Range("symbolic NLP", 1)),
    )

    def find(self, problem: Lagrangian, posed: Posed) -> Raw:
        """See ``NlpEngine.find``."""
        if (posed.low > posed.high).any():
            return Raw(Status.INFEASIBLE, posed.start, 0 * posed.most, 0 * posed.start)
        equal = posed.least == posed.most
        rows = [
            {"type": kind, "fun": _side(posed, mask), "jac": _slope(posed, mask)}
            for kind, mask in (("eq", equal), ("ineq", ~equal))
            if mask.any()
        ]
        found = cast(Any, minimize)(
            posed.objective, posed.start, jac=posed.gradient, method="SLSQP", constraints=rows,
            bounds=np.stack([posed.low, posed.high], axis=1),
            options={"ftol": self.tolerance, "maxiter": self.iteration_limit},
        )  # fmt: skip
        status = STATUS.get(int(found.status), Status.INACCURATE)
        return Raw(status, found.x, *_multipliers(posed, found.x, equal))


def _side(posed: Posed, mask: Any) -> Any:
    return lambda x: (posed.most - posed.constraints(x))[mask]


def _slope(posed: Posed, mask: Any) -> Any:
    return lambda x: -posed.jacobian(x)[mask]


def _multipliers(posed: Posed, x: FloatArray, equal: Any) -> tuple[FloatArray, FloatArray]:
    """Those of rows and bounds without slack that come nearest to stationarity."""
    near = NEAR * max(1.0, float(np.abs(x).max(initial=0.0)))
    active = equal | (posed.most - posed.constraints(x) <= near)
    lower, upper = x - posed.low <= near, posed.high - x <= near
    y, box, eye = np.zeros(len(equal)), np.zeros(len(x)), np.eye(len(x))
    normals = np.concatenate([posed.jacobian(x)[active], -eye[lower], eye[upper]])
    if not len(normals):
        return y, box
    free = np.concatenate([equal[active], np.zeros(int(lower.sum() + upper.sum()), bool)])
    least = np.where(free, -np.inf, 0.0)
    found = lsq_linear(normals.T, -posed.gradient(x), (least, np.inf), lsmr_tol="auto").x
    first, second = int(active.sum()), int(active.sum() + lower.sum())
    y[active] = found[:first]
    box[lower] -= found[first:second]
    box[upper] += found[second:]
    return y, box
