"""Moreau: batched cone programs by an interior-point method with warm starts.

Its answers do not depend on the batch or on what a compiled solver has solved before, bit for bit,
as long as the linear solver is not chosen by the size of the batch: so a compiled solver can be
kept, for the tilted problems and for later calls, and the linear solver is an option.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import reduce
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from lpgd.core.errors import EngineError
from lpgd.core.extras import load
from lpgd.core.params import Params, taken
from lpgd.core.public import public
from lpgd.core.solution import FloatArray, IntArray, Solution, Status, among
from lpgd.engines.cones.engine import ConeEngine
from lpgd.engines.cones.solver import Found, Loaded, Request, compressed

if TYPE_CHECKING:
    from lpgd.families.conic.cones import Cones
    from lpgd.families.conic.conic import Conic

SPARE = 4  # compiled solvers that a structure keeps for later calls
SMALL = 2**20  # matrix entries of a batch up to which it keeps them
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


@public("lpgd")
@final
@dataclass(frozen=True)
class MoreauEngine(ConeEngine):
    """Batched interior-point method for cone programs, warm-started in backward.

    Elements on which it stalls, as on some exponential cones, go to Clarabel if that is installed.

    Parameters
    ----------
    target : float
        Feasibility and duality gap, absolute and relative, that it aims at.
    tolerance : float
        What it accepts where rounding keeps it from the target.
    iteration_limit : int
    time_limit : float
        Seconds for one batch; 0 means no limit.
    verbose : bool
        Whether Moreau prints its log.
    polish : bool
        Whether Newton's method takes small programs from 1e-5 to rounding.
    linear_solver : str
        ``"qdldl"``, or for large problems ``"faer-1t"`` or ``"faer"``.
    warm_start : bool
        Whether tilted solves start from the forward solution.
    device : {"cpu", "cuda"}
        Where Moreau solves; data and answers pass through the host. CUDA is untested.
    """

    linear_solver: str = "qdldl"
    warm_start: bool = True
    device: str = "cpu"

    name: ClassVar[str] = "moreau"
    rank: ClassVar[int] = 10
    successors: ClassVar[tuple[str, ...]] = ("clarabel", "scs")
    coarse: ClassVar[float] = 1e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.device not in ("cpu", "cuda"):
            raise ValueError(f"device must be 'cpu' or 'cuda', got {self.device!r}")

    def settings(self, batch: int, request: Request) -> Any:
        """The options as Moreau's settings."""
        moreau = load("moreau", "conic")
        if not moreau.device_available(self.device):
            raise EngineError(
                f"engine 'moreau' finds no device {self.device!r}; it needs such a device and "
                "moreau's wheel for it. Use device='cpu'."
            )
        names = ("tol_gap_abs", "tol_gap_rel", "tol_feas")
        tolerances = dict.fromkeys(names, request.accuracy)
        tolerances |= {f"reduced_{name}": max(self.tolerance, request.accuracy) for name in names}
        return moreau.Settings(
            solver="ipm",
            device=self.device,
            batch_size=batch,
            enable_grad=False,
            verbose=self.verbose,
            max_iter=self.iteration_limit,
            time_limit=request.seconds,
            ipm_settings=moreau.IPMSettings(
                **tolerances,
                direct_solve_method=self.linear_solver,
                # cold retries are ours: Moreau's warn
                warm_start_no_retry=frozenset(moreau.SolverStatus),
            ),
        )

    def load(self, conic: Conic, params: Params, request: Request) -> Loaded:
        """See ``Solver.load``; Moreau chooses its threads itself."""
        return _Compiled(self, conic, params, request)


class _Idle:
    """Compiled solvers of a structure that wait for matrices: compiling takes the longest.

    What they solved before has no bearing on what they answer. Copies have none.
    """

    def __init__(self) -> None:
        self.solvers: list[tuple[Any, Any]] = []
        self.lock = Lock()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return _Idle, ()

    def take(self, key: Any) -> Any:
        """A solver made for ``key`` that nobody uses, or None."""
        with self.lock:
            for place, (mine, _) in enumerate(self.solvers):
                if mine == key:
                    return self.solvers.pop(place)[1]
        return None

    def give(self, key: Any, solver: Any) -> None:
        """Keep a solver for others, in the place of the one that waited longest."""
        with self.lock:
            self.solvers = [*self.solvers, (key, solver)][-SPARE:]


class _Compiled:
    """One compiled solver: the structure and the matrices of a batch."""

    def __init__(
        self, engine: MoreauEngine, conic: Conic, params: Params, request: Request
    ) -> None:
        self.moreau = load("moreau", "conic")
        self.engine, self.conic, self.params, self.request = engine, conic, params, request
        self.size, self.set_ups = len(params["q"].index), 0
        self.solver: Any = None
        self.values: tuple[FloatArray, FloatArray] | None = None
        self.forms = compressed(conic)
        entries = self.size * sum(len(form.order) for form in self.forms)
        self.lends = not request.keep and entries <= SMALL
        self.key = engine, self.size, request.accuracy, request.seconds

    def _ready(self) -> Any:
        """A solver with the matrices, which it may have had before."""
        if self.solver is None:
            idle, values = self.conic.derived.setdefault(_Idle, _Idle()), self._values()
            self.solver, before = idle.take(self.key) or (self._compile(), ())
            if not (before and all(map(np.array_equal, before, values))):
                self.solver.setup(*values)
            self.values, self.set_ups = values, 1
        return self.solver

    def _compile(self) -> Any:
        (P, A), conic = self.forms, self.conic
        return self.moreau.CompiledSolver(
            n=conic.n, m=conic.m, P_row_offsets=P.starts, P_col_indices=P.places,
            A_row_offsets=A.starts, A_col_indices=A.places, cones=_cones(self.moreau, conic.cones),
            settings=self.engine.settings(self.size, self.request),
        )  # fmt: skip

    def _values(self) -> tuple[FloatArray, FloatArray]:
        """Entries of P and A; Moreau shares both or none."""
        (P, A), params, quadratic = self.forms, self.params, self.conic.quadratic
        p_values = P.values(params["P"]) if quadratic else np.zeros((1, 0))
        a_values = A.values(params["A"])
        if len(p_values) == len(a_values) == 1:
            return p_values[0], a_values[0]
        a_values = a_values[params["A"].index]
        p_values = p_values[params["P"].index] if quadratic else a_values[:, :0]
        return np.ascontiguousarray(p_values), np.ascontiguousarray(a_values)

    def solve(self, params: Params, rows: IntArray, start: Solution | None) -> Found:
        """See ``Loaded.solve``. It serves whole copies of the batch; others are set up anew."""
        if self.request.seconds <= 0:
            return Found.nothing(len(rows), self.conic, Status.TIME_LIMIT)
        if not np.array_equal(rows, np.resize(np.arange(self.size), len(rows))) or (
            len(rows) % self.size
        ):
            other = _Compiled(self.engine, self.conic, taken(self.params, rows), self.request)
            return other.solve(params, np.arange(len(rows)), start)
        parts: list[Found] = []
        for first in range(0, len(rows), self.size):
            chosen = np.arange(first, first + self.size)
            some = None if start is None else start.take(chosen)
            parts.append(self._solve(taken(params, chosen), some))
        found = parts[0] if len(parts) == 1 else reduce(Found.join, parts)
        found.set_ups[:], self.set_ups = self.set_ups, 0
        if self.lends and self.solver is not None:
            self.conic.derived[_Idle].give(self.key, (self.solver, self.values))
            self.solver = None
        return found

    def _solve(self, params: Params, start: Solution | None) -> Found:
        if start is None or not self.engine.warm_start:
            return self._run(params, None)
        slacks = self.conic.slacks(params, start.x)
        found = self._run(params, self.moreau.BatchedWarmStart(start.x, start.y, slacks))
        # Believe a failure only from a cold start. A time limit is not to be spent twice.
        failed = np.flatnonzero(~among(found.status, Status.OPTIMAL, Status.TIME_LIMIT))
        return found.put(failed, self._run(params, None).take(failed)) if len(failed) else found

    def _run(self, params: Params, warm: Any) -> Found:
        began, solver = time.perf_counter(), self._ready()
        q, b = np.array(params["q"].full()), np.array(params["b"].full())
        answer = solver.solve(q, b, warm_start=warm)
        status = STATUS[[int(code) for code in solver.info.status]]
        found = Found.of(np.array(answer.x), np.array(answer.z), status)
        if (status > Status.INACCURATE).any():  # what it fails at may stay with it for ever
            self.solver = None
        found.seconds[:] = time.perf_counter() - began
        return found


def _cones(moreau: Any, cones: Cones) -> Any:
    return moreau.Cones(
        num_zero_cones=cones.zero,
        num_nonneg_cones=cones.nonneg,
        so_cone_dims=list(cones.soc),
        psd_dims=list(cones.psd),
        num_exp_cones=cones.exp,
        power_alphas=list(cones.power),
    )
