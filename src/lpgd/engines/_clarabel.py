"""Clarabel: cone programs by an interior-point method, one element at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast, final

import numpy as np
from scipy import sparse

from lpgd.engines.base import Answer, Capabilities
from lpgd.engines.convert import Compressed
from lpgd.engines.extras import load
from lpgd.params import Params
from lpgd.problems.pattern import Pattern
from lpgd.solution import Solution, Status

if TYPE_CHECKING:
    from lpgd.problems.base import Problem
    from lpgd.problems.cones import Cones
    from lpgd.problems.conic import Conic

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


@final
@dataclass(frozen=True)
class ClarabelEngine:
    """Interior-point method for cone programs; every solve is set up afresh.

    Parameters
    ----------
    target : float
        Feasibility and duality gap, absolute and relative, that it aims at. A solution is about as
        far off as its square root: much less than the tilt is what gradients need.
    tolerance : float
        What it accepts where rounding keeps it from the target.
    iteration_limit : int
    time_limit : float
        Seconds for one element; 0 means no limit.
    verbose : bool
        Whether Clarabel prints its log.
    """

    target: float = 1e-11
    tolerance: float = 1e-7
    iteration_limit: int = 200
    time_limit: float = 0.0
    verbose: bool = False

    name: ClassVar[str] = "clarabel"
    capabilities: ClassVar[Capabilities] = Capabilities(
        frozenset({"conic"}), sparse=True, install='pip install "lpgd[conic]"'
    )

    def __post_init__(self) -> None:
        if not 0 < self.target <= self.tolerance < 1:
            raise ValueError(
                f"0 < target <= tolerance < 1 is needed, got {self.target!r}, {self.tolerance!r}"
            )
        if self.iteration_limit < 1 or not self.time_limit >= 0:
            raise ValueError("iteration_limit must be >= 1 and time_limit >= 0")

    def settings(self) -> Any:
        """The options as Clarabel's settings."""
        settings = load("clarabel", "conic").DefaultSettings()
        settings.verbose = self.verbose
        settings.max_threads = 1
        settings.max_iter = self.iteration_limit
        settings.time_limit = self.time_limit or float("inf")
        for name in ("tol_gap_abs", "tol_gap_rel", "tol_feas"):
            setattr(settings, name, self.target)
            setattr(settings, f"reduced_{name}", self.tolerance)
        return settings

    def solve(
        self,
        problem: Problem,
        params: Params,
        *,
        start: Solution | None = None,
        keep: bool = False,
        threads: int | None = None,
    ) -> Answer:
        """See ``Engine.solve``. Interior points have no use for ``start``; one thread."""
        clarabel = load("clarabel", "conic")
        conic = cast("Conic", problem)
        data, cones = _Data(conic, params), _cones(clarabel, conic.cones)
        settings, size = self.settings(), len(params["q"].index)
        found = Solution.blank(size, conic.n, conic.m)
        for row in range(size):
            answer = clarabel.DefaultSolver(*data.element(row), cones, settings).solve()
            x, y = np.array(answer.x), np.array(answer.z)
            status = STATUS.get(str(answer.status), Status.NUMERICAL)
            if status == Status.OPTIMAL:
                if np.isfinite(x).all() and np.isfinite(y).all():
                    found.x[row], found.y[row] = x, y
                else:
                    status = Status.NUMERICAL
            found.status[row] = status
        return Answer(found, size)


class _Data:
    """A batch as Clarabel takes it: the upper triangle of P, and A, in compressed columns."""

    def __init__(self, problem: Conic, params: Params) -> None:
        n, m = problem.n, problem.m
        self.params, self.shapes = params, {"P": (n, n), "A": (m, n)}
        none = None if problem.quadratic else Pattern.empty(n)
        self.forms = {
            "P": Compressed.of(problem.patterns.get("P", none), (n, n)),
            "A": Compressed.of(problem.patterns.get("A"), (m, n)),
        }

    def element(self, row: int) -> tuple[Any, ...]:
        """P, q, A, b of one element."""
        q, b = (np.array(self.params[k].values[self.params[k].index[row]]) for k in ("q", "b"))
        P = sparse.csc_matrix(sparse.triu(self._matrix("P", row)))
        return P, q, sparse.csc_matrix(self._matrix("A", row)), b

    def _matrix(self, name: str, row: int) -> sparse.csr_array:
        form, values = self.forms[name], np.zeros(0)
        if name in self.params:
            param = self.params[name]
            values = param.values[param.index[row]].reshape(-1)[form.order]
        return form.matrix(values, self.shapes[name])


def _cones(clarabel: Any, cones: Cones) -> list[Any]:
    listed = [(clarabel.ZeroConeT, cones.zero), (clarabel.NonnegativeConeT, cones.nonneg)]
    made = [make(size) for make, size in listed if size]
    made += [clarabel.SecondOrderConeT(size) for size in cones.soc]
    made += [clarabel.PSDTriangleConeT(order) for order in cones.psd]
    made += [clarabel.ExponentialConeT() for _ in range(cones.exp)]
    return made + [clarabel.PowerConeT(alpha) for alpha in cones.power]
