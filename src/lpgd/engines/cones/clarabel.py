"""Clarabel: cone programs by an interior-point method, one element at a time.

An element's solver is kept, and tilted problems update its linear terms: the same answers bit for
bit, whatever it has solved before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from scipy import sparse

from lpgd.core.extras import load
from lpgd.core.public import public
from lpgd.core.solution import FloatArray, Status
from lpgd.engines.cones.elements import Answer, Elements, Start
from lpgd.engines.cones.engine import ConeEngine
from lpgd.engines.cones.solver import Loaded, Request

if TYPE_CHECKING:
    from lpgd.core.params import Params
    from lpgd.families.conic.cones import Cones
    from lpgd.families.conic.conic import Conic

STATUS = {
    "Solved": Status.OPTIMAL,
    "AlmostSolved": Status.OPTIMAL,  # within ``tolerance``
    "PrimalInfeasible": Status.INFEASIBLE,
    "AlmostPrimalInfeasible": Status.INFEASIBLE,
    "DualInfeasible": Status.UNBOUNDED,
    "AlmostDualInfeasible": Status.UNBOUNDED,
    "MaxIterations": Status.ITERATION_LIMIT,
    "MaxTime": Status.TIME_LIMIT,
}


@public("lpgd")
@final
@dataclass(frozen=True)
class ClarabelEngine(ConeEngine):
    """Interior-point method for cone programs, one element at a time.

    Elements on which it stalls go to SCS if that is installed.

    Parameters
    ----------
    target : float
        Feasibility and duality gap, absolute and relative, that it aims at.
    tolerance : float
        What it accepts where rounding keeps it from the target.
    iteration_limit : int
    time_limit : float
        Seconds for one element; 0 means no limit.
    verbose : bool
        Whether Clarabel prints its log.
    polish : bool
        Whether Newton's method takes small programs from 1e-5 to rounding.
    """

    name: ClassVar[str] = "clarabel"
    rank: ClassVar[int] = 11
    successors: ClassVar[tuple[str, ...]] = ("scs",)
    coarse: ClassVar[float] = 1e-5

    def settings(self, request: Request) -> Any:
        """The options as Clarabel's settings."""
        settings = load("clarabel", "conic").DefaultSettings()
        settings.verbose = self.verbose
        settings.max_threads = 1
        settings.max_iter = self.iteration_limit
        settings.time_limit = request.seconds
        settings.presolve_enable = False  # or data could not be updated
        settings.chordal_decomposition_enable = False
        for name in ("tol_gap_abs", "tol_gap_rel", "tol_feas"):
            setattr(settings, name, request.accuracy)
            setattr(settings, f"reduced_{name}", max(self.tolerance, request.accuracy))
        return settings

    def load(self, conic: Conic, params: Params, request: Request) -> Loaded:
        """See ``Solver.load``."""
        clarabel = load("clarabel", "conic")
        settings, none = self.settings(request), sparse.csc_matrix((conic.n, conic.n))

        def make(P: Any, q: FloatArray, A: Any, b: FloatArray) -> _Element:
            # cones and settings are the solver's own: it writes to neither
            cones = _cones(clarabel, conic.cones)
            P = none if P is None else P
            return _Element(clarabel.DefaultSolver(P, q, A, b, cones, settings))

        return Elements(conic, params, make, request)


class _Element:
    def __init__(self, solver: Any) -> None:
        self.solver, self.fresh = solver, True

    def solve(self, q: FloatArray, b: FloatArray, start: Start | None) -> Answer:
        """See ``Element.solve``. Interior points have no use for ``start``."""
        if not self.fresh:
            self.solver.update(q=np.array(q), b=np.array(b))
        self.fresh = False
        answer = self.solver.solve()
        status = STATUS.get(str(answer.status), Status.NUMERICAL)
        return status, np.array(answer.x), np.array(answer.z)


def _cones(clarabel: Any, cones: Cones) -> list[Any]:
    listed = [(clarabel.ZeroConeT, cones.zero), (clarabel.NonnegativeConeT, cones.nonneg)]
    made = [make(size) for make, size in listed if size]
    made += [clarabel.SecondOrderConeT(size) for size in cones.soc]
    made += [clarabel.PSDTriangleConeT(order) for order in cones.psd]
    made += [clarabel.ExponentialConeT() for _ in range(cones.exp)]
    return made + [clarabel.PowerConeT(alpha) for alpha in cones.power]
