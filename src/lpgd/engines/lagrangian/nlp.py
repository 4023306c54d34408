"""What engines for nonlinear programs share: the loop over a batch, and what follows a solver.

Interior-point methods leave slacks and multipliers both small. Every answer is polished by Newton's
method on the rows whose multipliers exceed their slacks, and its residual measured.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, NamedTuple, cast

import numpy as np

from lpgd.core.engine import Answer, Capabilities
from lpgd.core.errors import LpgdError
from lpgd.core.options import number, whole
from lpgd.core.params import Params, batched, taken
from lpgd.core.problem import Problem
from lpgd.core.solution import FloatArray, IntArray, Solution, Status
from lpgd.engines.lagrangian.kept import Kept
from lpgd.engines.lagrangian.posed import Posed, Raw, packed
from lpgd.engines.scatter import Done, Scatter, portable
from lpgd.families.lagrangian.lagrangian import Lagrangian
from lpgd.families.lagrangian.linearized import Linearized
from lpgd.families.lagrangian.newton import polished

FINEST = 1e-16  # tolerance below which none is reached
CHUNKS = 4  # pieces of a batch for each process
# Near a solution: hardly any barrier, and no push away from the bounds that are active there.
WARM = {
    "warm_start_init_point": "yes",
    "mu_init": 1e-7,
    **dict.fromkeys(
        [
            "warm_start_bound_push", "warm_start_bound_frac", "warm_start_slack_bound_push",
            "warm_start_slack_bound_frac", "warm_start_mult_bound_push",
        ],
        1e-9,
    ),
}  # fmt: skip


class Found(NamedTuple):
    """Polished solutions, their residuals (N,) and their linearisation."""

    solution: Solution
    accuracy: FloatArray
    linear: Linearized


@dataclass(frozen=True)
class NlpEngine(ABC):
    """An engine that solves one nonlinear program at a time.

    Parameters
    ----------
    tolerance : float
        Of the solver's own termination, in [1e-16, 1).
    iteration_limit : int
    time_limit : float
        Seconds of an element; 0 is none.
    n_jobs : int
        Processes among which a batch is divided, as joblib's (extra ``oracles``): -1 is as many as
        there are processors. Threads would wait for each other.
    """

    capabilities: ClassVar[Capabilities]
    name: ClassVar[str]

    tolerance: float = 1e-9
    iteration_limit: int = 1000
    time_limit: float = 0.0
    n_jobs: int = 1

    def __post_init__(self) -> None:
        number("tolerance", self.tolerance, least=FINEST, below=1.0)
        whole("iteration_limit", self.iteration_limit)
        number("time_limit", self.time_limit)
        Scatter(self.n_jobs)  # checks them

    @cached_property
    def _scatter(self) -> Scatter:
        return Scatter(self.n_jobs)

    @abstractmethod
    def find(self, problem: Lagrangian, posed: Posed) -> Raw:
        """Solve one element."""

    def solve(
        self,
        problem: Problem,
        params: Params,
        *,
        start: Solution | None = None,
        keep: bool = False,
        threads: int | None = None,
    ) -> Answer:
        """See ``Engine.solve``."""
        family, size = cast(Lagrangian, problem), len(next(iter(params.values())).index)
        found, cause, notes = Solution.blank(size, problem.n, problem.m), None, dict[int, str]()
        for row, raw in enumerate(self._raw(family, params, start, size)):
            if isinstance(raw, Exception):  # of one element, and chained later
                cause = cause or raw
                found.status[row] = Status.CRASHED
                notes[row] = f"{type(raw).__name__}: {raw}"
            else:
                found.status[row] = raw.status
                found.x[row], found.y[row] = raw.x, packed(family, raw)
        done = self._finish(family, params, found)
        kept = None
        if keep:
            at = (family, params, done.solution, done.linear)
            kept = Kept(self, *at, local=True, threads=threads)
        return Answer(
            done.solution, size, kept, cause, done.accuracy, notes=notes, factors=done.linear
        )

    def _raw(
        self, family: Lagrangian, params: Params, start: Solution | None, size: int
    ) -> list[Raw | Exception]:
        """What the solver says of each element."""
        finder, scatter = Finder(self, family), self._scatter
        jobs = 1 if self.n_jobs == 1 else scatter.jobs()
        if jobs == 1 or size < 2:
            return finder((params, start, np.arange(size)))
        chunks = np.array_split(np.arange(size), min(size, CHUNKS * jobs))
        works = [
            (_apart(params, rows), start and start.take(rows), np.arange(len(rows)))
            for rows in chunks
        ]
        found: list[Raw | Exception] = []
        for rows, outcome in zip(
            chunks, scatter(finder, works, list(map(len, chunks))), strict=True
        ):
            result = outcome.result if isinstance(outcome, Done) else None
            found += [outcome.error or _lost()] * len(rows) if result is None else result
        return found

    def restore(
        self, problem: Problem, params: Params, solution: Solution, threads: int | None
    ) -> Kept:
        """See ``Restoring.restore``."""
        family = cast(Lagrangian, problem)
        linear = Linearized(family, params, solution)
        return Kept(self, family, params, solution, linear, local=True, threads=threads)

    def _finish(self, family: Lagrangian, params: Params, found: Solution) -> Found:
        """Polish and measure the rows that have a point; others are zero."""
        size, tolerance = len(found), self.capabilities.tolerance
        rows = np.flatnonzero(found.status <= Status.INACCURATE)
        better = polished(family, taken(params, rows), found.take(rows))
        blank = Solution.blank(size, family.n, family.m)
        blank.status[:] = found.status
        status = np.where(better.residual <= tolerance, Status.OPTIMAL, Status.INACCURATE)
        point = replace(better.point, status=status.astype(np.int8))
        accuracy = np.full(size, np.inf)
        accuracy[rows] = better.residual
        solution = blank.put(rows, point)
        return Found(solution, accuracy, Linearized(family, params, solution, better.at))


Work = tuple[Params, Solution | None, IntArray]


@dataclass(frozen=True)
class Finder:
    """Asks a solver for some elements; in a worker it is kept, with what the solver compiled."""

    engine: NlpEngine
    family: Lagrangian

    def __call__(self, work: Work) -> list[Raw | Exception]:
        """What it says of each of them."""
        params, start, rows = work
        found: list[Raw | Exception] = []
        for row in rows.tolist():
            try:
                posed = Posed.of(self.family, params, row, start)
                found.append(self.engine.find(self.family, posed))
            except LpgdError:
                raise
            except Exception as error:  # of a user's function or a solver: it costs its element
                found.append(portable(error))
        return found


def _apart(params: Params, rows: IntArray) -> Params:
    """The data of some elements without those of the others."""
    return {name: batched(param.values[param.index[rows]]) for name, param in params.items()}


def _lost() -> Exception:
    return RuntimeError("its worker died")
