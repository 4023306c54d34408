"""IPOPT (Waechter and Biegler, 2006) as it comes with CasADi, for programs of expressions."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, cast, final

import numpy as np

from lpgd.core.engine import Capabilities, Range
from lpgd.core.extras import load
from lpgd.core.public import public
from lpgd.core.solution import Status
from lpgd.engines.lagrangian.nlp import WARM, NlpEngine
from lpgd.engines.lagrangian.posed import Posed, Raw
from lpgd.engines.lagrangian.symbolic import ALONE, Symbolic
from lpgd.families.lagrangian.constrained import Constrained
from lpgd.families.lagrangian.lagrangian import Lagrangian

STATUS = {
    "Solve_Succeeded": Status.OPTIMAL,
    "Infeasible_Problem_Detected": Status.INFEASIBLE,
    "Diverging_Iterates": Status.UNBOUNDED,
    "Maximum_Iterations_Exceeded": Status.ITERATION_LIMIT,
    "Maximum_CpuTime_Exceeded": Status.TIME_LIMIT,
    "Maximum_WallTime_Exceeded": Status.TIME_LIMIT,
    "Invalid_Number_Detected": Status.NUMERICAL,
}


@public("lpgd")
@final
@dataclass(frozen=True)
class IpoptEngine(NlpEngine):
    """IPOPT in CasADi's wheel (extra ``nlp``), for ``NLPLayer.from_casadi``.

    Parameters
    ----------
    tolerance : float
        IPOPT's ``tol``; every answer is polished and measured afterwards.
    iteration_limit : int
    time_limit : float
        Seconds of an element; 0 is none.
    n_jobs : int
        Processes among which a batch is divided, as joblib's (extra ``oracles``); -1 is as many as
        there are processors.
    """

    name: ClassVar[str] = "ipopt"
    capabilities: ClassVar[Capabilities] = Capabilities(
        frozenset({"symbolic NLP"}),
        restores=True,
        ranges=(Range("symbolic NLP", 0),),
        package="casadi",
        install='pip install "lpgd[nlp]"',
    )

    def find(self, problem: Lagrangian, posed: Posed) -> Raw:
        """See ``NlpEngine.find``."""
        symbolic: Symbolic = cast(Constrained, problem.model).symbolic
        with ALONE:
            return self._found(symbolic, posed)

    def _found(self, symbolic: Symbolic, posed: Posed) -> Raw:
        solver = self._solver(symbolic, warm=posed.warm is not None)
        p = [np.ravel(part, order="F") for part in symbolic.packed(posed.data)]
        given: dict[str, Any] = {
            "x0": posed.start, "lbx": posed.low, "ubx": posed.high,
            "lbg": posed.least, "ubg": posed.most,
            "p": np.concatenate([*p, posed.linear, [posed.rho], posed.anchor]),
        }  # fmt: skip
        if posed.warm is not None:
            given |= {"lam_g0": posed.warm[0], "lam_x0": posed.warm[1]}
        if (posed.low > posed.high).any():
            zero = np.zeros(len(posed.least))
            return Raw(Status.INFEASIBLE, posed.start, zero, np.zeros(len(posed.low)))
        found = solver(**given)
        status = STATUS.get(solver.stats()["return_status"], Status.INACCURATE)
        x, y, box = (found[k].full()[:, 0] for k in ("x", "lam_g", "lam_x"))
        return Raw(status, x, y, box)

    def _solver(self, symbolic: Symbolic, *, warm: bool) -> Any:
        key = (self, warm)
        if key not in symbolic.solvers:
            symbolic.solvers[key] = self._made(symbolic, WARM if warm else {})
        return symbolic.solvers[key]

    def _made(self, symbolic: Symbolic, more: dict[str, Any]) -> Any:
        ca = load("casadi", "nlp")
        n, functions = symbolic.n, symbolic.functions
        plain = functions["f"].is_a("SXFunction")
        kind = ca.SX if plain else ca.MX
        sizes = [int(np.prod(shape, dtype=int)) for shape in symbolic.shapes]
        ends = np.cumsum([0, *sizes, n, 1, n]).tolist()
        x, p = kind.sym("x", n), kind.sym("p", ends[-1])
        parts = [p[a:b] for a, b in pairwise(ends)]
        given = [
            ca.reshape(part, functions["f"].size_in(place + 1))
            for place, part in enumerate(parts[:-3])
        ]
        linear, rho, anchor = parts[-3:]
        f = functions["f"](x, *given) + ca.dot(linear, x) + 0.5 * rho * ca.sumsqr(x - anchor)
        options = {
            "print_level": 0, "sb": "yes", "tol": self.tolerance, "max_iter": self.iteration_limit,
            "bound_relax_factor": 0.0, **more,
        }  # fmt: skip
        if self.time_limit:
            options["max_cpu_time"] = self.time_limit
        program = {"x": x, "p": p, "f": f, "g": functions["c"](x, *given)}
        return ca.nlpsol("program", "ipopt", program, {
            "print_time": False, "record_time": False, "error_on_fail": False,
            **{f"ipopt.{name}": value for name, value in options.items()},
        })  # fmt: skip
