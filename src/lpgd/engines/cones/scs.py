"""SCS: cone programs by a splitting method with cheap iterations (O'Donoghue, 2021).

A kept SCS workspace answers according to its history: its scale adapts and its Anderson
acceleration remembers (trials differed by up to 3e-8). It is therefore kept, with its
factorization, only where both are off; else every solve is set up afresh, from the element's own
forward solution.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from math import isinf
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from lpgd.core.extras import load
from lpgd.core.public import public
from lpgd.core.solution import FloatArray, IntArray, Status
from lpgd.engines.cones.elements import Answer, Elements, Start
from lpgd.engines.cones.engine import ConeEngine
from lpgd.engines.cones.quiet import quiet
from lpgd.engines.cones.solver import Loaded, Request
from lpgd.families.conic.cones import order_of

if TYPE_CHECKING:
    from lpgd.core.params import Params
    from lpgd.families.conic.cones import Cones
    from lpgd.families.conic.conic import Conic

REFUSED = "allocation error"  # of matrices that it cannot factorize, too
PROVEN = 1e-9  # of certificates, where 1e-7 is usual: ours are checked in fair units

STATUS = {
    1: Status.OPTIMAL,
    -1: Status.UNBOUNDED,
    -2: Status.INFEASIBLE,
    -6: Status.UNBOUNDED,
    -7: Status.INFEASIBLE,
}


@public("lpgd")
@final
@dataclass(frozen=True)
class ScsEngine(ConeEngine):
    """Operator splitting for cone programs, one element at a time, warm-started in backward.

    Parameters
    ----------
    target : float
        Residuals and duality gap, absolute and relative, that it aims at.
    tolerance : float
        What it accepts at the iteration limit.
    iteration_limit : int
    time_limit : float
        Seconds for one element; 0 means no limit.
    verbose : bool
        Whether SCS prints its log.
    polish : bool
        Whether Newton's method takes small programs from 1e-6 to rounding.
    acceleration_lookback : int
        Memory of Anderson acceleration; 0 turns it off.
    adaptive_scale : bool
        Whether SCS balances primal and dual residuals by factorizing anew.
    """

    target: float = 1e-9
    tolerance: float = 1e-6
    iteration_limit: int = 100_000
    acceleration_lookback: int = 10
    adaptive_scale: bool = True

    name: ClassVar[str] = "scs"
    rank: ClassVar[int] = 12
    coarse: ClassVar[float] = 1e-6

    def settings(self, request: Request) -> dict[str, Any]:
        """The options under SCS's names."""
        return {
            "eps_abs": request.accuracy,
            "eps_rel": request.accuracy,
            "eps_infeas": PROVEN,
            "max_iters": self.iteration_limit,
            "time_limit_secs": 0.0 if isinf(request.seconds) else request.seconds,
            "verbose": self.verbose,
            "acceleration_lookback": self.acceleration_lookback,
            "adaptive_scale": self.adaptive_scale,
        }

    def load(self, conic: Conic, params: Params, request: Request) -> Loaded:
        """See ``Solver.load``."""
        scs = load("scs", "conic")
        cones, order, settings = _cones(conic.cones), _order(conic.cones), self.settings(request)
        keep = not (self.acceleration_lookback or self.adaptive_scale)

        def make(P: Any, q: FloatArray, A: Any, b: FloatArray) -> _Element:
            def set_up(q: FloatArray, b: FloatArray) -> Any:
                data = {"A": matrix, "b": b, "c": q} | ({} if P is None else {"P": P})
                return scs.SCS(data, cones, **settings)

            matrix = A[order]
            return _Element(set_up, order, self, keep=keep)

        return Elements(conic, params, make, request)


class _Element:
    def __init__(self, set_up: Any, order: IntArray, engine: ScsEngine, *, keep: bool) -> None:
        self.set_up, self.order, self.keep, self.tolerance = set_up, order, keep, engine.tolerance
        self.mute: Any = nullcontext if engine.verbose else quiet
        self.solver: Any = None

    def solve(self, q: FloatArray, b: FloatArray, start: Start | None) -> Answer:
        """See ``Element.solve``. SCS prints the reasons of its failures, whatever it is told."""
        with self.mute():
            try:
                return self._solve(np.array(q), b[self.order], start)
            except ValueError as error:
                if REFUSED not in str(error):
                    raise
                return Status.NUMERICAL, np.zeros(len(q)), np.zeros(len(b))

    def _solve(self, q: FloatArray, b: FloatArray, start: Start | None) -> Answer:
        solver = self.solver
        if solver is None:
            solver = self.set_up(q, b)
            self.solver = solver if self.keep else None
        else:
            solver.update(b=b, c=q)
        if start is None:
            answer = solver.solve(warm_start=False)
        else:
            x, y, s = start
            answer = solver.solve(x=np.array(x), y=y[self.order], s=s[self.order])
        y = np.empty_like(b)
        y[self.order] = answer["y"]
        return self._status(answer["info"], q, b), answer["x"], y

    def _status(self, info: dict[str, Any], q: FloatArray, b: FloatArray) -> Status:
        found = STATUS.get(info["status_val"])
        if "time_limit" in info["status"]:
            return Status.TIME_LIMIT
        if "max_iters" in info["status"]:
            size = 1 + max(np.abs(part).max(initial=abs(info["pobj"])) for part in (q, b))
            gap = max(info["res_pri"], info["res_dual"], info["gap"])
            good = info["status_val"] == 2 and gap <= self.tolerance * size
            return Status.OPTIMAL if good else Status.ITERATION_LIMIT
        return Status.NUMERICAL if found is None else found


def _cones(cones: Cones) -> dict[str, Any]:
    return {
        "z": cones.zero,
        "l": cones.nonneg,
        "q": list(cones.soc),
        "s": list(cones.psd),
        "ep": cones.exp,
        "p": list(cones.power),
    }


def _order(cones: Cones) -> IntArray:
    """Our row for each of SCS's, which lists the lower triangles of matrices by columns."""
    order = np.arange(cones.m)
    for kind, start, stop in cones.blocks():
        if kind == "psd":
            cols, rows = np.triu_indices(order_of(stop - start))  # of the lower triangle
            order[start:stop] = start + rows * (rows + 1) // 2 + cols
    return order
