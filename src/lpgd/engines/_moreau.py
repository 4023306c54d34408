"""Moreau: batched cone programs by an interior-point method with warm starts.

Its answers do not depend on the batch or on what a compiled solver has solved before, bit for bit,
as long as the linear solver is not chosen by the size of the batch: so a compiled solver can be
kept, and the linear solver is an option.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, cast, final

import numpy as np

from lpgd.engines.base import Answer, Capabilities
from lpgd.engines.convert import Compressed
from lpgd.engines.extras import load
from lpgd.params import Params
from lpgd.problems.conic import Conic
from lpgd.problems.pattern import Pattern
from lpgd.solution import FloatArray, Solution, Status
from lpgd.tilt import Adjoint, Tilt

if TYPE_CHECKING:
    from lpgd.problems.base import Problem
    from lpgd.problems.cones import Cones
    from lpgd.tilt import Cotangent

STATUS = np.full(16, Status.NUMERICAL, dtype=np.int8)
for _code, _status in {
    1: Status.OPTIMAL,
    2: Status.INFEASIBLE,
    3: Status.UNBOUNDED,
    4: Status.OPTIMAL,  # within ``tolerance``
    5: Status.INFEASIBLE,
    6: Status.UNBOUNDED,
    7: Status.ITERATION_LIMIT,
    8: Status.TIME_LIMIT,
}.items():
    STATUS[_code] = _status
DECIDED = (Status.OPTIMAL, Status.TIME_LIMIT)


@final
@dataclass(frozen=True)
class MoreauEngine:
    """Batched interior-point method for cone programs, warm-started in backward; has an adjoint.

    Parameters
    ----------
    target : float
        Feasibility and duality gap, absolute and relative, that it aims at. A solution is about as
        far off as its square root: much less than the tilt is what gradients need.
    tolerance : float
        What it accepts where rounding keeps it from the target.
    iteration_limit : int
    time_limit : float
        Seconds for one batch; 0 means no limit.
    linear_solver : str
        ``"qdldl"``, or for large problems ``"faer-1t"`` or ``"faer"``.
    warm_start : bool
        Whether tilted solves start from the forward solution.
    verbose : bool
        Whether Moreau prints its log.
    """

    target: float = 1e-11
    tolerance: float = 1e-7
    iteration_limit: int = 200
    time_limit: float = 0.0
    linear_solver: str = "qdldl"
    warm_start: bool = True
    verbose: bool = False

    name: ClassVar[str] = "moreau"
    capabilities: ClassVar[Capabilities] = Capabilities(
        frozenset({"conic"}), sparse=True, adjoint=True, install='pip install "lpgd[conic]"'
    )

    def __post_init__(self) -> None:
        if not 0 < self.target <= self.tolerance < 1:
            raise ValueError(
                f"0 < target <= tolerance < 1 is needed, got {self.target!r}, {self.tolerance!r}"
            )
        if self.iteration_limit < 1 or not self.time_limit >= 0:
            raise ValueError("iteration_limit must be >= 1 and time_limit >= 0")

    def settings(self, batch: int, *, adjoint: bool = False) -> Any:
        """The options as Moreau's settings."""
        moreau = load("moreau", "conic")
        names = ("tol_gap_abs", "tol_gap_rel", "tol_feas")
        accuracy = dict.fromkeys(names, self.target)
        accuracy |= {f"reduced_{name}": self.tolerance for name in names}
        return moreau.Settings(
            solver="ipm",
            device="cpu",
            batch_size=batch,
            enable_grad=adjoint,
            verbose=self.verbose,
            max_iter=self.iteration_limit,
            time_limit=self.time_limit or float("inf"),
            ipm_settings=moreau.IPMSettings(
                **accuracy,
                direct_solve_method=self.linear_solver,
                # cold retries are ours: Moreau's warn
                warm_start_no_retry=frozenset(moreau.SolverStatus),
            ),
        )

    def solve(
        self,
        problem: Problem,
        params: Params,
        *,
        start: Solution | None = None,
        keep: bool = False,
        threads: int | None = None,
    ) -> Answer:
        """See ``Engine.solve``; Moreau chooses its threads itself."""
        conic = cast("Conic", problem)
        compiled = _Compiled(self, conic, params)
        solution = compiled.solve(conic, params, start)
        kept = _Kept(self, conic, params, compiled, solution) if keep else None
        return Answer(solution, compiled.batch, kept)


@dataclass(frozen=True)
class _Kept:
    """A compiled solver with its matrices, and each element's solution in it."""

    engine: MoreauEngine
    problem: Conic
    params: Params
    compiled: _Compiled
    solution: Solution
    lock: Lock = field(default_factory=Lock)

    def resolve(self, tilt: Tilt) -> Answer:
        """See ``Workspace.resolve``."""
        problem, params = self.problem.tilt(self.params, tilt)
        start = self.solution.take(tilt.rows)
        size = self.compiled.batch
        copies = np.tile(np.arange(size), len(tilt) // size)
        if tilt.rho.any() or not np.array_equal(copies, tilt.rows):
            return self.engine.solve(problem, params, start=start)
        parts: list[Solution] = []
        for first in range(0, len(tilt), size):  # whole copies of the batch: no set-up
            rows = np.arange(first, first + size)
            part = {name: param.take(rows) for name, param in params.items()}
            with self.lock:  # a compiled solver serves one thread at a time
                parts.append(self.compiled.solve(problem, part, start.take(rows)))
        solution = parts[0]
        for part in parts[1:]:
            solution = solution.join(part)
        return Answer(solution, 0)

    def adjoint(self, cotangent: Cotangent, rho: float) -> Adjoint:
        """See ``AdjointWorkspace.adjoint``. A row that cannot be solved again is NaN."""
        rows, zero = cotangent.rows, np.zeros(len(cotangent))
        start = self.solution.take(rows)
        # with P + rho I and q - rho x* the solution is the same
        same = Tilt(rows, zero, cotangent.dx, cotangent.dy, zero + rho, start.x)
        problem, params = self.problem.tilt(self.params, same)
        compiled = _Compiled(self.engine, problem, params, adjoint=True)
        solution = compiled.solve(problem, params, start)
        dx = cotangent.dx
        if cotangent.ds is not None:
            dx = dx - problem.transposed_product(params, cotangent.ds)
        a, v = compiled.adjoint(dx, cotangent.dy)
        hole = np.where(solution.solved, 0.0, np.nan)[:, None]
        return Adjoint(a + hole, v + hole)


class _Compiled:
    """One compiled solver: the structure and the matrices of a batch."""

    def __init__(
        self, engine: MoreauEngine, problem: Conic, params: Params, *, adjoint: bool = False
    ) -> None:
        moreau = load("moreau", "conic")
        self.warm = engine.warm_start
        self.batch = len(params["q"].index)
        n, m = problem.n, problem.m
        none = None if problem.quadratic else Pattern.empty(n)
        P = Compressed.of(problem.patterns.get("P", none), (n, n))
        A = Compressed.of(problem.patterns.get("A"), (m, n))
        self.warm_start = moreau.BatchedWarmStart
        self.solver = moreau.CompiledSolver(
            n=n, m=m, P_row_offsets=P.starts, P_col_indices=P.places,
            A_row_offsets=A.starts, A_col_indices=A.places,
            cones=_cones(moreau, problem.cones),
            settings=engine.settings(self.batch, adjoint=adjoint),
        )  # fmt: skip
        p_values = P.values(params["P"]) if problem.quadratic else np.zeros((1, 0))
        a_values = A.values(params["A"])
        if len(p_values) > 1 or len(a_values) > 1:  # Moreau shares both or none
            a_values = a_values[params["A"].index]
            p_values = p_values[params["P"].index] if problem.quadratic else a_values[:, :0]
            self.solver.setup(np.ascontiguousarray(p_values), np.ascontiguousarray(a_values))
        else:
            self.solver.setup(p_values[0], a_values[0])

    def solve(self, problem: Conic, params: Params, start: Solution | None) -> Solution:
        """Solve the batch with these linear terms, each element from its start."""
        if start is None or not self.warm:
            return self._run(params, None)
        slacks = problem.slacks(params, start.x)
        found = self._run(params, self.warm_start(start.x, start.y, slacks))
        # Believe a failure only from a cold start. A time limit is not to be spent twice.
        failed = np.flatnonzero(~np.isin(found.status, DECIDED))
        return found.put(failed, self._run(params, None).take(failed)) if len(failed) else found

    def _run(self, params: Params, warm: Any) -> Solution:
        q, b = np.array(params["q"].full()), np.array(params["b"].full())
        found = self.solver.solve(q, b, warm_start=warm)
        status = STATUS[[int(code) for code in self.solver.info.status]]
        x, y = np.array(found.x), np.array(found.z)
        finite = np.isfinite(x).all(axis=1) & np.isfinite(y).all(axis=1)
        status = np.where(finite, status, np.int8(Status.NUMERICAL))
        usable = (status == Status.OPTIMAL)[:, None]
        return Solution(np.where(usable, x, 0.0), np.where(usable, y, 0.0), status)

    def adjoint(self, dx: FloatArray, dy: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Derivatives in q and, with the opposite sign, in b, at the last solution."""
        found = self.solver.backward(np.ascontiguousarray(dx), np.ascontiguousarray(dy))
        return np.array(found["dq"]), -np.array(found["db"])


def _cones(moreau: Any, cones: Cones) -> Any:
    return moreau.Cones(
        num_zero_cones=cones.zero,
        num_nonneg_cones=cones.nonneg,
        so_cone_dims=list(cones.soc),
        psd_dims=list(cones.psd),
        num_exp_cones=cones.exp,
        power_alphas=list(cones.power),
    )
