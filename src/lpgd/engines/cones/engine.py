"""What the engines for cone programs share: options, Newton's method, a workspace.

A solution by an interior-point or splitting method is off by about the square root of its tolerance
and gets the dearer the finer that is. Small programs are therefore solved to a coarse accuracy, and
Newton's method carries on to rounding. Its factorized matrices then serve the tilted problems,
which start at the forward solution: few cheap steps where the tilt is small. What Newton's method
does not solve, near or far, goes to the solver.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from lpgd.core.engine import Answer, Capabilities
from lpgd.core.solution import IntArray, Solution, Status
from lpgd.engines.cones.loaded import Loaded, Reduced
from lpgd.engines.cones.refine import Refined
from lpgd.engines.cones.units import ConeUnits
from lpgd.engines.registry import get

if TYPE_CHECKING:
    from lpgd.core.params import Params
    from lpgd.core.problem import Problem
    from lpgd.core.tilt import Tilt
    from lpgd.families.conic.conic import Conic

# A time limit is a budget: not to be spent twice.
DECIDED = (Status.OPTIMAL, Status.TIME_LIMIT)
# What solvers also tell of solvable programs with very large data.
DOUBTFUL = (Status.INFEASIBLE, Status.UNBOUNDED, Status.NUMERICAL)


@dataclass(frozen=True)
class ConeEngine(ABC):
    """Options and course of a solver of cone programs."""

    target: float = 1e-11
    tolerance: float = 1e-7
    iteration_limit: int = 200
    time_limit: float = 0.0
    verbose: bool = False
    polish: bool = True

    capabilities: ClassVar[Capabilities]
    coarse: ClassVar[float]
    """Accuracy from which Newton's method takes over."""
    successor: ClassVar[str | None] = None
    """Name of the engine, and of its package, that takes what this one stalls on."""

    def __post_init__(self) -> None:
        if not 0 < self.target <= self.tolerance < 1:
            raise ValueError(
                f"0 < target <= tolerance < 1 is needed, got {self.target!r}, {self.tolerance!r}"
            )
        if not isinstance(cast(Any, self.iteration_limit), int) or self.iteration_limit < 1:
            raise ValueError(
                f"iteration_limit must be a positive int, got {self.iteration_limit!r}"
            )
        if not self.time_limit >= 0:
            raise ValueError(f"time_limit must be >= 0, got {self.time_limit!r}")

    @abstractmethod
    def load(self, conic: Conic, params: Params, accuracy: float, threads: int | None) -> Loaded:
        """Hand the matrices of a batch to the solver."""

    def hand(self, conic: Conic, params: Params, accuracy: float, threads: int | None) -> Loaded:
        """``load``, of a small program what remains without the variables that rows define."""
        if conic.reduction.program is None or not Refined.reaches(conic):
            return self.load(conic, params, accuracy, threads)
        return Reduced(partial(self.load, accuracy=accuracy, threads=threads), conic, params)

    def second(self) -> ConeEngine | None:
        """The successor with the limits of this engine, if there is one and it is installed."""
        if self.successor is None or find_spec(self.successor) is None:
            return None
        engine = cast(ConeEngine, get(self.successor))
        limits = {"time_limit": self.time_limit, "verbose": self.verbose, "polish": self.polish}
        return replace(engine, **limits)

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
        conic = cast("Conic", problem)
        accuracy = max(self.target, self.coarse) if self._refines(conic) else self.target
        loaded = self.hand(conic, params, accuracy, threads)
        every = np.arange(len(params["q"].index))
        found, refined, more = self.settle(conic, params, loaded, every, start)
        kept = Kept(self, conic, params, loaded, found, refined) if keep else None
        return Answer(found, len(every) + more, kept)

    def _refines(self, conic: Conic) -> bool:
        return self.polish and Refined.reaches(conic)

    def settle(
        self,
        conic: Conic,
        params: Params,
        loaded: Loaded,
        rows: IntArray,
        start: Solution | None,
    ) -> tuple[Solution, Refined | None, int]:
        """Solve by a loaded solver and refine; where that fails, solve more finely first.

        The number is that of the elements that had to be set up once more.
        """
        found, more = self._fair(conic, params, loaded, rows, start)
        if not self._refines(conic):
            return found, None, more
        refined = Refined.of(conic, params, found)
        found = refined.solution(params, found)
        rough = np.flatnonzero(found.solved & (refined.place < 0))
        if not len(rough) or loaded.accuracy <= self.target:
            return found, refined, more
        part, begin = {k: p.take(rough) for k, p in params.items()}, found.take(rough)
        fine = self.hand(conic, part, self.target, loaded.threads)
        again, anew = self._fair(conic, part, fine, np.arange(len(rough)), begin)
        again = Refined.of(conic, part, again).solution(part, again)
        return found.put(rough, again), refined, more + len(rough) + anew

    def _fair(
        self,
        conic: Conic,
        params: Params,
        loaded: Loaded,
        rows: IntArray,
        start: Solution | None,
    ) -> tuple[Solution, int]:
        """Solve in units that enlarge q and b; what then fails, in units that shrink as well.

        Shrinking loosens absolute tolerances, so that it comes second.
        """
        if conic.quadratic:
            return self._assisted(conic, params, loaded, loaded.solve(conic, params, rows, start))
        units = ConeUnits.of(params)
        larger = units.larger
        inside = larger.enter(params)
        found, more = self._assisted(
            conic, inside, loaded, loaded.solve(conic, inside, rows, larger.inside(start))
        )
        found = larger.leave(found)
        failed = np.flatnonzero(np.isin(found.status, DOUBTFUL) & units.shrunk)
        if not len(failed):
            return found, more
        fair = units.take(failed)
        part = fair.enter({name: param.take(failed) for name, param in params.items()})
        again = self.hand(conic, part, loaded.accuracy, loaded.threads)
        answers = fair.leave(again.solve(conic, part, np.arange(len(failed)), None))
        return found.put(failed, answers), more + len(failed)

    def _assisted(
        self, conic: Conic, params: Params, loaded: Loaded, found: Solution
    ) -> tuple[Solution, int]:
        """Hand what the solver stalled on to the second one; the last asks for ``tolerance`` only.

        The number is that of the elements that had to be set up once more.
        """
        stalled, second = np.flatnonzero(found.status == Status.NUMERICAL), self.second()
        if not len(stalled) or (second is None and loaded.accuracy >= self.tolerance):
            return found, 0
        accuracy = self.tolerance if second is None else max(loaded.accuracy, second.target)
        engine = second or self
        part = {name: param.take(stalled) for name, param in params.items()}
        other = engine.hand(conic, part, accuracy, loaded.threads)
        answers = other.solve(conic, part, np.arange(len(stalled)), None)
        answers, more = engine._assisted(conic, part, other, answers)
        return found.put(stalled, answers), len(stalled) + more


@dataclass(frozen=True)
class Kept:
    """A solver with its matrices, and each element's solution; a ``Workspace``."""

    engine: ConeEngine
    problem: Conic
    params: Params
    loaded: Loaded
    solution: Solution
    refined: Refined | None
    lock: Lock = field(default_factory=Lock)

    def resolve(self, tilt: Tilt) -> Answer:
        """See ``Workspace.resolve``."""
        problem, params = self.problem.tilt(self.params, tilt)
        if self.refined is None:
            return self._again(problem, params, tilt)
        found = self.refined.resolve(params, tilt)
        rest = np.flatnonzero(~found.solved)
        if not len(rest):
            return Answer(found, 0)
        part = {name: param.take(rest) for name, param in params.items()}
        answer = self._again(problem, part, tilt.take(rest))
        return Answer(found.put(rest, answer.solution), answer.set_ups)

    def _again(self, problem: Conic, params: Params, tilt: Tilt) -> Answer:
        """Solve by the solver: by the kept one where only linear terms changed."""
        start = self.solution.take(tilt.rows)
        if tilt.rho.any() or not self.loaded.serves(tilt.rows):
            return self.engine.solve(problem, params, start=start, threads=self.loaded.threads)
        with self.lock:  # it serves one thread at a time
            found, _, more = self.engine.settle(problem, params, self.loaded, tilt.rows, start)
        return Answer(found, more)
