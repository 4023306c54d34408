"""PIQP: large sparse QPs, one element at a time, made sharp by their active sets.

An interior-point solution is polished (``polish.py``) with one sparse factorization. That serves
the tilted problems too, as long as their active set is the same; where it is another one, the
polishing goes on to it, and what it does not reach is solved afresh.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, cast, final

import numpy as np

from lpgd.core.engine import Answer, Capabilities, Range
from lpgd.core.options import flag, number, whole
from lpgd.core.params import Params, taken
from lpgd.core.public import public
from lpgd.core.solution import FloatArray, IntArray, Solution, Status
from lpgd.engines.batch import spread, useful_threads
from lpgd.engines.piqp import second
from lpgd.engines.piqp.polish import Point, Polished, Residual, guessed, polish
from lpgd.engines.piqp.solver import Clock, Request, solve
from lpgd.engines.piqp.units import Units
from lpgd.families.qp.qp import QP
from lpgd.families.qp.sparse_kkt import Element, System

if TYPE_CHECKING:
    from lpgd.core.problem import Problem
    from lpgd.core.tilt import Tilt

FINEST = 1e-12  # what is asked of PIQP where its first answer could not be made sharp
SHARP = 1e-10  # residual of a sharp solution
# Variables from which cone programs with linear rows are solved as QPs: smaller ones are faster in
# Moreau's batches, with Newton's method behind them.
LARGE = 500
PAYS = 2000  # stored entries from which threads pay
CLAIMS = (Status.INFEASIBLE, Status.UNBOUNDED)


@public("lpgd")
@final
@dataclass(frozen=True)
class PiqpEngine:
    """Proximal interior-point method for sparse QPs (Schwan and others, 2023), then an active set.

    What it cannot solve, or says to have no solution, goes to Clarabel if that is installed.

    Parameters
    ----------
    target : float
        Residuals and duality gap, absolute and relative, that PIQP aims at first.
    tolerance : float
        Relative residual of the optimality conditions up to which an answer is a solution.
    iteration_limit : int
    time_limit : float
        Seconds for an element; 0 is none. PIQP has no clock: from the time of its first iterations
        follows how many there may be, so that the limit is exceeded by about one of them at most.
        One factorization cannot be interrupted.
    verbose : bool
        Whether PIQP prints its log.
    """

    target: float = 1e-7
    tolerance: float = 1e-6
    iteration_limit: int = 250
    time_limit: float = 0.0
    verbose: bool = False

    name: ClassVar[str] = "piqp"

    def __post_init__(self) -> None:
        for name in ("target", "tolerance"):
            number(name, getattr(self, name), least=FINEST, below=1.0)
        number("time_limit", self.time_limit)
        whole("iteration_limit", self.iteration_limit)
        flag("verbose", self.verbose)

    @property
    def capabilities(self) -> Capabilities:
        """See ``Engine.capabilities``."""
        return Capabilities(
            frozenset({"QP", "LP"}),
            frozenset({"sparse"}),
            tolerance=self.tolerance,
            restores=True,
            ranges=(Range("QP", 5, least=LARGE), Range("QP", 15), Range("LP", 30)),
            entries=0,  # what is sparse stays sparse
            package="piqp",
            install='pip install "lpgd[sparse]"',
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
        """See ``Engine.solve``. The active set of ``start`` is tried first."""
        batch = _Batch.of(self, cast(QP, problem), params, len(params["q"].index))

        def work(row: int) -> None:
            if start is None:
                batch.cold(row)
            else:
                batch.warm(row, start.x[row], start.y[row], ())

        batch.run(work, threads)
        answer = batch.answer()
        if not keep:
            return answer
        systems = [batch.systems(row) for row in range(len(batch.points))]
        workspace = Kept(self, batch.problem, params, answer.solution, threads, systems)
        return replace(answer, workspace=workspace, factors=systems)

    def restore(
        self, problem: Problem, params: Params, solution: Solution, threads: int | None
    ) -> Kept:
        """See ``Restoring.restore``; the same bits as those of a kept workspace."""
        none: list[list[System]] = [[] for _ in range(len(solution))]
        return Kept(self, cast(QP, problem), params, solution, threads, none)


@dataclass(frozen=True)
class Kept:
    """A forward solve: its data, its solution, systems of each element; a ``Workspace``."""

    engine: PiqpEngine
    problem: QP
    params: Params
    solution: Solution
    threads: int | None
    systems: list[list[System]]

    def resolve(self, tilt: Tilt) -> Answer:
        """See ``Workspace.resolve``."""
        problem, params = self.problem.tilt(self.params, tilt)
        batch = _Batch.of(self.engine, cast(QP, problem), params, len(tilt))
        bent = bool(tilt.rho.any()) or tilt.curve is not None

        def work(row: int) -> None:
            element = int(tilt.rows[row])
            systems = () if bent else self.systems[element]
            batch.warm(row, self.solution.x[element], self.solution.y[element], systems)

        batch.run(work, self.threads)
        return batch.answer()


@dataclass(frozen=True)
class _Batch:
    """Elements, and what is known of their solutions."""

    engine: PiqpEngine
    problem: QP
    params: Params
    points: list[Polished | None]
    found: Solution
    ray: Solution
    error: FloatArray
    set_ups: IntArray

    @classmethod
    def of(cls, engine: PiqpEngine, problem: QP, params: Params, size: int) -> _Batch:
        found, ray = (Solution.blank(size, problem.n, problem.m) for _ in range(2))
        error, set_ups = np.full(size, np.inf), np.zeros(size, dtype=np.intp)
        return cls(engine, problem, params, [None] * size, found, ray, error, set_ups)

    def run(self, work: Callable[[int], None], threads: int | None) -> None:
        def each(rows: IntArray) -> None:
            with np.errstate(all="ignore"):  # of threads, each of which has a state of its own
                for row in rows:
                    work(int(row))

        entries = sum(len(pattern.rows) for pattern in self.problem.patterns.values())
        spread(each, len(self.points), useful_threads(threads, entries, PAYS))

    def answer(self) -> Answer:
        failed = not self.found.solved.all()
        set_ups = int(self.set_ups.sum())
        return Answer(self.found, set_ups, accuracy=self.error, ray=self.ray if failed else None)

    def warm(self, row: int, x: FloatArray, y: FloatArray, systems: Sequence[System]) -> None:
        """Follow the active set from a solution nearby; solve afresh where that leads nowhere."""
        element = Element.of(self.problem, self.params, row)
        active = guessed(element, x, y)
        known = next((s for s in systems if s.rho == 0.0 and s.active.same(active)), None)
        best = polish(element, Polished(x, y, np.inf, known), self._residual(row))
        if best.error <= SHARP:
            self._put(row, Status.OPTIMAL, best)
        else:
            self.cold(row)

    def cold(self, row: int) -> None:
        """Solve afresh, a second time more finely where the first answer is not sharp."""
        engine, element, residual = (
            self.engine,
            Element.of(self.problem, self.params, row),
            self._residual(row),
        )
        units = Units.of(element)
        fair, best, status = units.enter(element), None, Status.NUMERICAL
        clock = Clock.of(engine.time_limit)
        for accuracy in (engine.target, FINEST):
            request = Request(accuracy, engine.iteration_limit, engine.verbose, clock)
            status, *point = solve(fair, request)
            self.set_ups[row] += 1
            if status in (*CLAIMS, Status.TIME_LIMIT):
                break
            best = self._better(element, units.leave(*point), residual, best)
            if best.error <= SHARP:
                break
        if best is not None and best.error <= engine.tolerance:
            self._put(row, Status.OPTIMAL, best)
        elif status == Status.TIME_LIMIT:
            self.found.status[row] = status
        else:
            self._second(row, status, best, clock)

    def _second(self, row: int, status: Status, best: Polished | None, clock: Clock) -> None:
        """What another solver says, which proves its claims."""
        element = Element.of(self.problem, self.params, row)
        units = Units.of(element)
        other = second.solve(units.enter(element), clock)
        if other is None:
            status = Status.NUMERICAL if status in CLAIMS else status
        else:
            status, (x, y) = other[0], units.leave(*other[1:])
            if status in CLAIMS:
                self.found.status[row] = self.ray.status[row] = status
                self.ray.x[row], self.ray.y[row] = x, y
                return
            best = self._better(element, (x, y), self._residual(row), best)
        self.found.status[row] = status
        if best is not None and status in (Status.OPTIMAL, Status.INACCURATE):
            good = best.error <= self.engine.tolerance
            self._put(row, Status.OPTIMAL if good else Status.INACCURATE, best)

    @staticmethod
    def _better(
        element: Element, found: Point, residual: Residual, best: Polished | None
    ) -> Polished:
        """The better of what was known and of a new point, polished."""
        new = polish(element, Polished(*found, np.inf, None), residual)
        if not new.error <= SHARP:
            point, error = residual(*found)
            new = Polished(*point, error, None) if error < new.error else new
        return new if best is None or new.error < best.error else best

    def _put(self, row: int, status: Status, best: Polished) -> None:
        self.points[row] = best
        self.found.x[row], self.found.y[row] = best.x, best.y
        self.found.status[row], self.error[row] = status, best.error

    def systems(self, row: int) -> list[System]:
        """The factorized system of a solution, for the backward pass, if there is one."""
        best = self.points[row]
        return [] if best is None or best.system is None else [best.system]

    def _residual(self, row: int) -> Residual:
        rows = np.array([row])
        params = taken(self.params, rows)

        def residual(x: FloatArray, y: FloatArray) -> tuple[Point, float]:
            point = Solution(x[None], y[None], np.zeros(1, dtype=np.int8))
            with np.errstate(all="ignore"):
                point, error = self.problem.judged(params, point)
            return (point.x[0], point.y[0]), float(error[0])

        return residual
