"""The map from problem data to solutions, and its pullback: problem + engine + rule.

Frontends hand arrays in and get arrays back; nothing here knows an autodiff framework.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from lpgd.core.engine import Answer, Engine
from lpgd.core.errors import OracleWarning, StuckWarning
from lpgd.core.params import Params
from lpgd.core.problem import Groups, Problem
from lpgd.core.rule import Memory, Pullback, Rule, is_count
from lpgd.core.scaling import Exponents
from lpgd.core.solution import FloatArray, IntArray, Solution, Status
from lpgd.core.stats import Stats
from lpgd.core.tilt import Cotangent, Term
from lpgd.core.warn import warn
from lpgd.engines import registry
from lpgd.map import report
from lpgd.map.attempt import Batch
from lpgd.map.choose import Choice, choose, traits
from lpgd.map.forward import Forward, Solved
from lpgd.map.gradients import formed
from lpgd.map.own import changed, parted, remembered
from lpgd.map.pushforward import Gather, Probe, Tangents, push
from lpgd.map.report import Failures, OnFailure
from lpgd.map.solve import Solver
from lpgd.map.terms import calm, direct, evened, spread, still, tamed
from lpgd.map.verify import inexact

Traits = tuple[tuple[object, ...], ...]
MOST = 64  # structures whose engines a map remembers


class Chosen(NamedTuple):
    """A form of a problem, and the engine that solves it."""

    problem: Problem
    engine: Engine


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
    memory: Memory = field(default_factory=Memory)
    _warned_stuck: bool = False
    _warned_answer: bool = False
    _last: tuple[Problem, Problem, Engine] | None = field(default=None, init=False, repr=False)
    _chosen: dict[Traits, Choice] = field(
        default_factory=dict[Traits, Choice], init=False, repr=False
    )

    def __post_init__(self) -> None:
        if self.on_failure not in ("raise", "nan"):
            raise ValueError(f"on_failure must be 'raise' or 'nan', got {self.on_failure!r}")
        if self.threads is not None and not (is_count(self.threads) and self.threads >= 1):
            raise ValueError(f"threads must be None or at least 1, got {self.threads!r}")
        if not isinstance(self.accept_inexact, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError(f"accept_inexact must be True or False, got {self.accept_inexact!r}")
        if not isinstance(self.rule, Rule) or isinstance(self.rule, type):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"rule must be a rule such as lpgd.LPGD(tau=...), got {self.rule!r}")
        registry.check(self.engine)
        self.memory = self.memory or self.rule.begin()

    def choose(self, *forms: Problem) -> Chosen:
        """The form of a problem and its engine; see ``lpgd.map.choose.choose``.

        Structure decides, so what was chosen for a structure is remembered.
        """
        key = tuple(map(traits, forms))
        found = self._chosen.get(key)
        if found is None:
            if len(self._chosen) == MOST:
                self._chosen.pop(next(iter(self._chosen)), None)  # the oldest
            found = self._chosen[key] = choose(forms, self.engine, self.rule)
        return Chosen(forms[found.place], found.engine)

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
            B elements, and what is for the rule itself; see ``lpgd.core.rule.OWN``.
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
        if self._last is None or self._last[0] is not problem:
            self._last = problem, problem.program, self.choose(problem).engine
        _, program, engine = self._last
        data, own = parted(params)
        params, unfit = problem.check(data, resolution)
        size = math.prod(shape)
        near = start if start is not None and len(start) == size else None
        ways = self.threads, self._settle, keep, self.rule, self.memory
        found = Solver(program, engine, *ways, own).solve(Batch(params, near, size), unfit)
        forward = Forward(
            problem, params, found.solution, found.accuracy, engine, shape,
            found.workspace, self.threads, found.samples, found.factors, own,
        )  # fmt: skip
        self.stats.add(solves=found.solves, seconds_forward=time.perf_counter() - began)
        if found.solution.status.any():
            why = Failures.of(found.solution, found.notes, found.cause)
            report.judge(why, forward, "forward solve", self.on_failure, self.stats)
        return forward

    def _settle(self, answer: Answer) -> Solution:
        """Count the work; take inaccurate solutions for solved ones where the user accepts them."""
        self.stats.add(set_ups=answer.set_ups, **answer.counts)
        solution = answer.solution
        if answer.warning is not None and not self._warned_answer:
            self._warned_answer = True
            warn(answer.warning, OracleWarning)
        near = inexact(answer)
        if not (self.accept_inexact and near.any()):
            return solution
        self.stats.add(inexact=int(near.sum()))
        status = np.where(near, np.int8(Status.OPTIMAL), solution.status)
        return replace(solution, status=status)

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
            Of what a call says that the rule remembers, by how much it changed.

        Raises
        ------
        SolverError
            A tilted solve failed for good and ``on_failure`` is ``"raise"``.
        """
        began = time.perf_counter()
        memory = remembered(self.rule, forward.own, self.memory) if forward.own else self.memory
        data, own = parted(wanted)
        try:
            gradients = self._gradients(forward, cotangent, data, memory)
            return gradients | changed(self.rule, forward.own, memory, own) if own else gradients
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
        began, given = time.perf_counter(), (parted(params)[0], parted(tangents)[0])
        pushed = push(forward, *given, rows, Probe(gather, self._settle))
        self.stats.add(re_solves=pushed.solves, seconds_forward=time.perf_counter() - began)
        stage = "perturbed solve of forward mode"
        report.judge(pushed.why, forward, stage, self.on_failure, self.stats)
        return pushed.slopes

    def _gradients(
        self,
        forward: Forward,
        cotangent: Cotangent,
        wanted: Mapping[str, Groups],
        memory: Memory,
    ) -> dict[str, FloatArray]:
        point = calm(forward.solution.take(cotangent.rows))
        finite = cotangent.finite
        moving = forward.moving(cotangent)
        rows = np.flatnonzero(point.solved & moving & finite)
        costly = not wanted.keys().isdisjoint(forward.problem.costs)
        pulled, why, power = None, Failures.none(), None
        if len(rows):
            asked = forward, point, cotangent, rows, memory
            pulled, why, power = self._pull(*asked, costly=costly)
        terms: Sequence[Term] = pulled.terms if pulled else ()
        if pulled is None or len(rows) < len(point):
            # a NaN weight carries a non-finite cotangent on, as torch's own functions do
            rest = np.where(point.solved & ~finite, np.nan, 0.0)
            terms = spread(terms, rows, still(point, cotangent), rest)
            if not (moving | ~cotangent.loud).all():
                terms += direct(point, cotangent, point.solved & finite & ~moving)
        if power is not None:
            power = np.bincount(rows, power, len(point)).astype(np.intc)
        gradients, lost = formed(forward, terms, wanted, point, power)
        report.judge_pulled(pulled, why, cotangent.rows[lost], forward, self.on_failure, self.stats)
        if pulled and forward.solution.solved.all() and not pulled.failed.any():
            self._watch(forward.problem, pulled, (point, cotangent, rows), wanted)
        return gradients

    def _pull(
        self,
        forward: Forward,
        point: Solution,
        cotangent: Cotangent,
        rows: IntArray,
        memory: Memory,
        *,
        costly: bool,
    ) -> tuple[Pullback, Failures, Exponents | None]:
        if len(rows) < len(point):
            point, cotangent = point.take(rows), cotangent.take(rows)
        causes: list[Exception | None] = [None]

        def settle(answer: Answer) -> Solution:
            self.stats.add(re_solves=len(answer.solution))
            causes.append(report.cause_of(answer))
            report.note_moved(answer, self.stats)
            return self._settle(answer)

        backward = Solved(forward, point, settle, memory, costly)
        even, power = cotangent, None
        if self.rule.homogeneous:
            even, power = evened(cotangent, point, forward.params.get("q"))
        pulled = tamed(self.rule.pullback(point, even, backward), point)
        if power is not None and pulled.tau is not None:
            with np.errstate(over="ignore"):
                made = np.minimum(np.ldexp(pulled.tau, power), np.finfo(np.float64).max)
            pulled = replace(pulled, tau=made)
        report.note(pulled, self.stats)
        failed = np.flatnonzero(pulled.failed)
        cause = next((cause for cause in causes if cause is not None), None)
        return pulled, Failures(cotangent.rows[failed], pulled.failed[failed], {}, cause), power

    def _watch(
        self,
        problem: Problem,
        pulled: Pullback,
        asked: tuple[Solution, Cotangent, IntArray],
        wanted: Mapping[str, Groups],
    ) -> None:
        """Warn once when training would stall because every element stayed where it was."""
        relevant = pulled.tau is not None and set(problem.costs) & set(wanted)
        fine = pulled.stays is not None and bool(pulled.stays.all())
        if not relevant or fine or self._warned_stuck:
            return
        point, cotangent, rows = asked
        pull = report.pulling(pulled, cotangent.take(rows))
        if report.is_stuck(pulled.terms, point.take(rows), pull):
            self._warned_stuck = True
            warn(report.STUCK, StuckWarning)
