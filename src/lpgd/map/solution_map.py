"""The map from problem data to solutions, and its pullback: problem + engine + rule.

Frontends hand arrays in and get arrays back; nothing here knows an autodiff framework.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from lpgd.core.engine import Answer, Engine
from lpgd.core.errors import Index, SolverError, SolverWarning, StuckWarning, word_failure
from lpgd.core.params import Params
from lpgd.core.problem import Groups, Problem
from lpgd.core.rule import Pullback, Rule, is_count
from lpgd.core.solution import FloatArray, IntArray, Solution, Status, StatusArray
from lpgd.core.stats import Stats
from lpgd.core.tilt import Cotangent, Term
from lpgd.engines import registry
from lpgd.families.conic.cones import Cones
from lpgd.families.conic.conic import Conic
from lpgd.families.conic.polyhedral import Polyhedral
from lpgd.map.backward import STUCK, Forward, Solved, attempt, is_stuck, spread, still
from lpgd.map.pushforward import Gather, Probe, Tangents, push

OnFailure = Literal["raise", "nan"]

TILT_ADVICE = "a smaller tau, rho > 0, fallback=True (with side='average'), or on_failure='nan'"


@dataclass(frozen=True)
class _Failures:
    elements: IntArray
    statuses: StatusArray
    notes: Mapping[int, str]
    cause: Exception | None


@dataclass
class SolutionMap:
    """Solves batches and pulls cotangents back by a rule.

    Parameters
    ----------
    rule : Rule
    engine : str or Engine
        Name, ``"auto"``, or an instance.
    on_failure : {"raise", "nan"}
        What happens to elements that cannot be solved.
    threads : int or None
        Most threads to use.
    accept_inexact : bool
        Whether an inaccurate solution counts as solved.
    """

    rule: Rule
    engine: str | Engine = "auto"
    on_failure: OnFailure = "raise"
    threads: int | None = None
    accept_inexact: bool = False
    stats: Stats = field(default_factory=Stats)
    _warned_stuck: bool = False

    def __post_init__(self) -> None:
        if self.on_failure not in ("raise", "nan"):
            raise ValueError(f"on_failure must be 'raise' or 'nan', got {self.on_failure!r}")
        if self.threads is not None and not (is_count(self.threads) and self.threads >= 1):
            raise ValueError(f"threads must be None or at least 1, got {self.threads!r}")
        if not hasattr(self.rule, "requires") or isinstance(self.rule, type):
            raise TypeError(f"rule must be a rule such as lpgd.LPGD(tau=...), got {self.rule!r}")
        if isinstance(self.engine, str):
            if self.engine != "auto":
                registry.get(self.engine)  # an unknown name is an error where it was written
        elif not hasattr(self.engine, "solve") or isinstance(self.engine, type):
            raise TypeError(f"engine must be a name or an engine instance, got {self.engine!r}")

    def engine_for(self, problem: Problem) -> Engine:
        """The engine for a problem, refused here if it cannot do what problem and rule need."""
        tilted = self.rule.requires(problem)
        engine = self.engine
        if isinstance(engine, str):
            engine = registry.get(registry.choose(problem, tilted) if engine == "auto" else engine)
        registry.require(engine, problem, self.rule)
        return engine

    def require_cones(self, cones: Cones) -> None:
        """Refuse cones that the engine does not take, as soon as they are known."""
        registry.require_cones(self.engine, cones)

    def form(self, conic: Conic) -> Conic | Polyhedral:
        """A cone program as this map's engine is to see it; see ``registry.form``."""
        return registry.form(conic, self.engine, self.rule)

    def solve(
        self,
        problem: Problem,
        params: Params,
        shape: tuple[int, ...],
        *,
        resolution: float = 2.0**-52,
        keep: bool = False,
        start: Solution | None = None,
    ) -> Forward:
        """Solve a batch.

        Parameters
        ----------
        problem : Problem
        params : Params
            B elements.
        shape : tuple of int
            The caller's batch shape, of B elements.
        resolution : float
            Machine epsilon of the caller's dtype.
        keep : bool
            Whether ``pullback`` will follow.
        start : Solution or None
            Where to start each element; ignored if it has another number of rows.

        Raises
        ------
        EngineError
            The engine cannot solve such a problem.
        SolverError
            Some elements failed and ``on_failure`` is ``"raise"``.
        """
        began = time.perf_counter()
        program = problem.program
        engine = self.engine_for(program)
        params, unfit = problem.check(params, resolution)
        size = int(np.prod(shape))
        fit = np.arange(size)
        if unfit:
            fit = np.setdiff1d(fit, np.fromiter(unfit, dtype=np.intp))
        solution, answer = Solution.blank(size, program.n, program.m), None
        if len(fit):
            chosen = params if not unfit else {k: p.take(fit) for k, p in params.items()}
            near = start.take(fit) if start is not None and len(start) == size else None

            def run() -> Answer:
                return engine.solve(program, chosen, start=near, keep=keep, threads=self.threads)

            answer = attempt(engine, program, len(fit), run)
            settled = self._settle(answer)
            solution = solution.put(fit, settled) if unfit else settled
        self.stats.add(solves=len(fit), seconds_forward=time.perf_counter() - began)
        position = np.cumsum(np.isin(np.arange(size), fit)) - 1 if unfit else fit
        forward = Forward(
            problem, params, solution, engine, shape,
            answer.workspace if answer else None, position, self.threads,
        )  # fmt: skip
        failed = np.flatnonzero(~solution.solved)
        why = _Failures(failed, solution.status[failed], unfit, answer.cause if answer else None)
        self._judge(forward, why, "forward solve")
        return forward

    def _settle(self, answer: Answer) -> Solution:
        """Count the work; take inaccurate solutions for solved ones where the user accepts them."""
        self.stats.add(set_ups=answer.set_ups)
        solution = answer.solution
        inexact = solution.status == Status.INACCURATE
        if not (self.accept_inexact and inexact.any()):
            return solution
        self.stats.add(inexact=int(inexact.sum()))
        status = np.where(inexact, np.int8(Status.OPTIMAL), solution.status)
        return replace(solution, status=status)

    def _judge(self, forward: Forward, why: _Failures, stage: str, advice: str = "") -> None:
        if not len(why.elements):
            return
        where = [_place(int(e), forward.shape) for e in why.elements]
        failed = {w: Status(int(s)) for w, s in zip(where, why.statuses, strict=True)}
        self.stats.add(failures=len(failed))
        named = {_place(e, forward.shape): note for e, note in why.notes.items()}
        what, total = f"{forward.engine.name}: {stage}", len(forward.solution)
        message = word_failure(what, failed, total, named, advice or None)
        if self.on_failure == "raise":
            raise SolverError(message, list(failed), list(failed.values())) from why.cause
        warnings.warn(message, SolverWarning, stacklevel=2)

    def pullback(
        self, forward: Forward, cotangent: Cotangent, wanted: Mapping[str, Groups]
    ) -> dict[str, FloatArray]:
        """Pull cotangents back to the wanted arguments.

        Parameters
        ----------
        forward : Forward
        cotangent : Cotangent
            N rows; an element may have several.
        wanted : mapping from argument to (R, g) int
            Rows that are summed into each of the R gradients.

        Returns
        -------
        dict from argument to (R, ...) float64

        Raises
        ------
        SolverError
            A tilted solve failed for good and ``on_failure`` is ``"raise"``.
        """
        began = time.perf_counter()
        try:
            return self._gradients(forward, cotangent, wanted)
        finally:
            self.stats.add(seconds_backward=time.perf_counter() - began)

    def pushforward(
        self, forward: Forward, params: Params, tangents: Tangents, rows: IntArray, gather: Gather
    ) -> list[FloatArray]:
        """Push tangents (N, ...) of some arguments forward to the outputs (N, k), by any rule.

        ``params`` hold the data of the N ``rows``, elements of the batch, as ``solve`` took them,
        and ``gather`` takes a Forward to its outputs. Rows of failed elements are NaN.

        Raises
        ------
        SolverError
            A perturbed solve failed and ``on_failure`` is ``"raise"``.
        """
        began = time.perf_counter()
        pushed = push(forward, params, tangents, rows, Probe(gather, self._settle))
        self.stats.add(re_solves=pushed.solves, seconds_forward=time.perf_counter() - began)
        why = _Failures(pushed.failed, pushed.statuses, pushed.notes, pushed.cause)
        self._judge(forward, why, "perturbed solve of forward mode")
        return pushed.slopes

    def _gradients(
        self, forward: Forward, cotangent: Cotangent, wanted: Mapping[str, Groups]
    ) -> dict[str, FloatArray]:
        point = forward.solution.take(cotangent.rows)
        finite = cotangent.finite
        rows = np.flatnonzero(point.solved & cotangent.loud & finite)
        pulled = self._pull(forward, point, cotangent, rows) if len(rows) else None
        terms: Sequence[Term] = pulled.terms if pulled else ()
        if pulled is None or len(rows) < len(point):
            # a NaN weight carries a non-finite cotangent on, as torch's own functions do
            rest = np.where(point.solved & ~finite, np.nan, 0.0)
            terms = spread(terms, rows, still(point, cotangent), rest)
        gradients = forward.problem.grad(forward.params, terms, wanted)
        if pulled and forward.solution.solved.all() and not pulled.failed.any():
            dx = cotangent.dx[rows]
            if pulled.stays is not None:
                dx = np.where(pulled.stays[:, None], 0.0, dx)
            self._watch(forward.problem, pulled, point.take(rows), dx, wanted)
        return gradients

    def _pull(
        self, forward: Forward, point: Solution, cotangent: Cotangent, rows: IntArray
    ) -> Pullback:
        everything = len(rows) == len(point)
        chosen = (point, cotangent) if everything else (point.take(rows), cotangent.take(rows))

        causes: list[Exception | None] = [None]

        def settle(answer: Answer) -> Solution:
            self.stats.add(re_solves=len(answer.solution))
            causes.append(answer.cause)
            return self._settle(answer)

        pulled = self.rule.pullback(*chosen, Solved(forward, chosen[0], settle))
        self.stats.add(retries=pulled.retries)
        if pulled.tau is not None:
            self.stats.note(tau=(float(pulled.tau.min()), float(pulled.tau.max())))
        if pulled.degenerate is not None:
            self.stats.note(degenerate=float(pulled.degenerate.mean()))
        failed = np.flatnonzero(pulled.failed)
        elements, statuses = cotangent.rows[rows[failed]], pulled.failed[failed]
        advice = TILT_ADVICE
        if (statuses == Status.INFEASIBLE).all():  # which a proximal term does not mend
            advice = TILT_ADVICE.replace("rho > 0, ", "")
        tau = "" if pulled.tau is None else f" at tau {pulled.tau[failed].min(initial=np.inf):.3g}"
        cause = next((cause for cause in causes if cause is not None), None)
        self._judge(forward, _Failures(elements, statuses, {}, cause), f"tilted solve{tau}", advice)
        return pulled

    def _watch(
        self,
        problem: Problem,
        pulled: Pullback,
        point: Solution,
        dx: FloatArray,
        wanted: Mapping[str, Groups],
    ) -> None:
        """Warn once when training would stall because every element stayed at its vertex."""
        relevant = pulled.tau is not None and set(problem.costs) & set(wanted)
        if relevant and not self._warned_stuck and is_stuck(pulled.terms, point, dx):
            self._warned_stuck = True
            warnings.warn(STUCK, StuckWarning, stacklevel=2)


def _place(element: int, shape: tuple[int, ...]) -> Index:
    index = tuple(int(i) for i in np.unravel_index(element, shape)) if shape else 0
    return index[0] if isinstance(index, tuple) and len(index) == 1 else index
