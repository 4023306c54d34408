"""Any engine, its batches spread over processes or a cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np

from lpgd.core.answers import Part, joined, ordered
from lpgd.core.blas import threads_for
from lpgd.core.engine import Answer, Capabilities, Engine, Restoring
from lpgd.core.params import Param, Params, taken
from lpgd.core.public import public
from lpgd.core.solution import IntArray, Solution, Status
from lpgd.core.tilt import Tilt
from lpgd.engines import registry
from lpgd.engines.scatter import Done, Lost, Pace, Scatter, portable

if TYPE_CHECKING:
    from lpgd.core.problem import Problem


@public("lpgd")
@final
@dataclass(frozen=True)
class Workers:
    """Another engine's batches, forward and tilted, solved by several processes at once.

    ``QPLayer(engine=lpgd.Workers("piqp", n_jobs=4))``. Worth it where an element takes
    milliseconds and the engine has no threads of its own. Answers are those of the engine. Workers
    keep nothing of the forward pass: engines that can make their workspaces again do so for tilted
    solves, others start from the forward solution.

    Parameters
    ----------
    engine : str or engine
        Not "auto": what may be chosen depends on the problem.
    n_jobs : int
        As joblib's; -1 takes all processors. ``joblib.parallel_config`` says which back end.
    timeout : float, optional
        Seconds for an element, after which its process ends itself.
    """

    engine: str | Engine
    n_jobs: int = -1
    timeout: float | None = None
    _pace: Pace = field(default_factory=Pace, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.engine == "auto":
            raise ValueError("name the engine that the workers shall use: 'auto' is none")
        registry.check(self.engine)
        Scatter(self.n_jobs, self.timeout)  # checks both

    @cached_property
    def _scatter(self) -> Scatter:
        return Scatter(self.n_jobs, self.timeout)

    @property
    def inner(self) -> Engine:
        """The engine that solves."""
        return registry.get(self.engine) if isinstance(self.engine, str) else self.engine

    @property
    def name(self) -> str:
        """See ``Engine.name``."""
        return self.inner.name

    @property
    def capabilities(self) -> Capabilities:
        """Those of the engine, and that workspaces are made again."""
        return replace(self.inner.capabilities, restores=True)

    def solve(
        self,
        problem: Problem,
        params: Params,
        *,
        start: Solution | None = None,
        keep: bool = False,
        threads: int | None = None,
    ) -> Answer:
        """See ``Engine.solve``; each worker uses one thread."""
        size = len(next(iter(params.values())).index)

        def work(rows: IntArray) -> Any:
            return compact(params, rows), None if start is None else start.take(rows)

        answer = self.spread(_Solve(self.inner, problem), work, size, problem)
        if not keep:
            return answer
        return replace(answer, workspace=self.restore(problem, params, answer.solution, threads))

    def restore(
        self, problem: Problem, params: Params, solution: Solution, threads: int | None
    ) -> Elsewhere:
        """See ``Restoring.restore``."""
        return Elsewhere(self, problem, params, solution)

    def spread(
        self,
        function: Callable[[Any], Answer],
        work: Callable[[IntArray], Any],
        size: int,
        problem: Problem,
    ) -> Answer:
        """Answers of a function to the work of chunks of so many rows."""
        scatter = self._scatter
        if not size or scatter.jobs() == 1:
            return function(work(np.arange(size)))
        chunks = self._pace.chunks(size, scatter.jobs())
        parts: list[Part] = []
        while chunks:
            outcomes = scatter(function, [work(rows) for rows in chunks], [len(c) for c in chunks])
            self._pace.learn(outcomes, [len(rows) for rows in chunks])
            left: list[IntArray] = []
            for rows, outcome in zip(chunks, outcomes, strict=True):
                if isinstance(outcome, Done) and outcome.error is None:
                    parts.append((rows, outcome.result))
                elif isinstance(outcome.error, ModuleNotFoundError):
                    raise outcome.error
                elif len(rows) > 1:  # until the culprit is alone
                    left += [rows[i : i + 1] for i in range(len(rows))]
                else:
                    parts.append((rows, _lost(problem, outcome)))
            chunks = left
        if len(parts) == 1:
            return parts[0][1]
        order = np.argsort(np.concatenate([rows for rows, _ in parts]))
        return ordered(joined(parts), order)


@final
@dataclass(frozen=True)
class Elsewhere:
    """The workspace of ``Workers``: each worker makes the engine's own for its rows."""

    workers: Workers
    problem: Problem
    params: Params
    solution: Solution

    def resolve(self, tilt: Tilt) -> Answer:
        """See ``Workspace.resolve``."""

        def work(rows: IntArray) -> Any:
            mine = tilt.take(rows)
            own, place = np.unique(mine.rows, return_inverse=True)
            tilted = replace(mine, rows=place)
            return compact(self.params, own), self.solution.take(own), tilted

        function = _Resolve(self.workers.inner, self.problem)
        return self.workers.spread(function, work, len(tilt), self.problem)


@dataclass(frozen=True)
class _Solve:
    engine: Engine
    problem: Problem

    def __call__(self, work: tuple[Params, Solution | None]) -> Answer:
        params, start = work
        with threads_for(self.problem):
            answer = self.engine.solve(self.problem, params, start=start, threads=1)
        return portable_answer(answer)


@dataclass(frozen=True)
class _Resolve:
    engine: Engine
    problem: Problem

    def __call__(self, work: tuple[Params, Solution, Tilt]) -> Answer:
        with threads_for(self.problem):
            return portable_answer(self._resolved(*work))

    def _resolved(self, params: Params, solution: Solution, tilt: Tilt) -> Answer:
        if self.engine.capabilities.restores:
            engine = cast(Restoring, self.engine)
            return engine.restore(self.problem, params, solution, 1).resolve(tilt)
        tilted, data = self.problem.tilt(params, tilt)
        start = solution.take(tilt.rows)
        return self.engine.solve(tilted, data, start=start, threads=1)


def portable_answer(answer: Answer) -> Answer:
    """An answer without what only its process can use."""
    cause = None if answer.cause is None else portable(answer.cause)
    return replace(answer, workspace=None, factors=None, cause=cause)


def compact(params: Params, rows: IntArray) -> Params:
    """The data of some elements, and no others'."""
    found: dict[str, Param] = {}
    for name, param in taken(params, rows).items():
        used, index = np.unique(param.index, return_inverse=True)
        found[name] = Param(param.values[used], index)
    return found


def _lost(problem: Problem, outcome: Done | Lost) -> Answer:
    late = isinstance(outcome, Lost) and outcome.late
    solution = Solution.blank(1, problem.n, problem.m)
    solution.status[:] = Status.TIME_LIMIT if late else Status.CRASHED
    return Answer(solution, cause=outcome.error)
