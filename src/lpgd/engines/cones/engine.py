"""What the engines for cone programs share: options, the chain of wrappers, a workspace."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from lpgd.core.engine import Answer, Capabilities, Range
from lpgd.core.options import flag, number, whole
from lpgd.core.params import Params, taken
from lpgd.core.scaling import top
from lpgd.core.solution import Solution, Status, among
from lpgd.engines.cones.eliminated import Eliminated
from lpgd.engines.cones.fallback import Fallback
from lpgd.engines.cones.nearer import Moved, Nearer
from lpgd.engines.cones.refined import Refined
from lpgd.engines.cones.rescaled import Rescaled
from lpgd.engines.cones.solver import Found, Loaded, Request
from lpgd.engines.registry import get
from lpgd.families.conic.cones import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lpgd.core.problem import Problem
    from lpgd.core.tilt import Tilt
    from lpgd.families.conic.conic import Conic

PATIENCE = 2_000  # iterations of a successor: 10,000 solve no more, in twice the time
PASSES = 10  # residual that passes, in tolerances: ours is relative to smaller sizes
LEAST = 1e-5  # residual that always passes


@dataclass(frozen=True)
class ConeEngine(ABC):
    """Options and course of a solver of cone programs; itself a ``Solver`` without wrappers."""

    target: float = 1e-11
    tolerance: float = 1e-7
    iteration_limit: int = 200
    time_limit: float = 0.0
    verbose: bool = False
    polish: bool = True

    name: ClassVar[str]
    rank: ClassVar[int]
    """Rank for ``"auto"``."""
    coarse: ClassVar[float]
    """Accuracy from which Newton's method takes over."""
    successors: ClassVar[tuple[str, ...]] = ()
    """Names of the engines, and of their packages, that take what this one stalls on."""

    def __post_init__(self) -> None:
        for name in ("target", "tolerance", "time_limit"):
            number(name, getattr(self, name))
        if not 0 < self.target <= self.tolerance < 1:
            raise ValueError(
                f"0 < target <= tolerance < 1 is needed, got {self.target!r}, {self.tolerance!r}"
            )
        whole("iteration_limit", self.iteration_limit)
        flag("verbose", self.verbose)
        flag("polish", self.polish)

    @cached_property
    def capabilities(self) -> Capabilities:
        """See ``Engine.capabilities``."""
        return Capabilities(
            frozenset({"conic"}),
            KINDS | {"sparse"},
            tolerance=self.passing,
            restores=True,
            ranges=(Range("conic", self.rank),),
            package=self.name,
            install='pip install "lpgd[conic]"',
        )

    @property
    def passing(self) -> float:
        """Relative residual up to which answers count as solutions."""
        return max(PASSES * self.tolerance, LEAST)

    @abstractmethod
    def load(self, conic: Conic, params: Params, request: Request) -> Loaded:
        """See ``Solver.load``: the solver alone."""

    @cached_property
    def chain(self) -> Nearer:
        """The solver with what the wrappers add."""
        engines = [self, *self._others()]
        solvers = (Refined(one, one.coarse) if self.polish else one for one in engines)
        fair = Rescaled(Eliminated(Fallback(tuple(solvers), self.passing)), self.passing)
        return Nearer(fair)

    def _others(self) -> list[ConeEngine]:
        """The successors that are installed, with the limits of this engine."""
        limits = {"time_limit": self.time_limit, "verbose": self.verbose, "polish": self.polish}
        there = (get(name) for name in self.successors if find_spec(name) is not None)
        return [
            replace(one, iteration_limit=min(one.iteration_limit, PATIENCE), **limits)
            for one in cast("Iterator[ConeEngine]", there)
        ]

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
        with np.errstate(all="ignore"):
            loaded = self._loaded(conic, params, threads, keep=keep)
            found = loaded.solve(params, np.arange(len(params["q"].index)), start)
            answer = _answer(conic, params, found)
        if not keep:
            return answer
        workspace = Kept(self, conic, params, answer.solution, threads, loaded)
        return replace(answer, workspace=workspace, factors=loaded.units)

    def restore(
        self, problem: Problem, params: Params, solution: Solution, threads: int | None
    ) -> Kept:
        """See ``Restoring.restore``. Answers agree with those of the kept one to rounding."""
        conic = cast("Conic", problem)
        with np.errstate(all="ignore"):
            loaded = self._loaded(conic, params, threads, keep=False)
        return Kept(self, conic, params, solution, threads, loaded)

    def _loaded(self, conic: Conic, params: Params, threads: int | None, *, keep: bool) -> Moved:
        seconds = self.time_limit or float("inf")
        return self.chain.load(conic, params, Request(self.target, seconds, threads, keep))


@dataclass(frozen=True)
class Kept:
    """A solver with its matrices, and each element's solution; a ``Workspace``."""

    engine: ConeEngine
    problem: Conic
    params: Params
    solution: Solution
    threads: int | None
    loaded: Loaded
    lock: Lock = field(default_factory=Lock)

    def resolve(self, tilt: Tilt) -> Answer:
        """See ``Workspace.resolve``: by the kept solver where only linear terms changed."""
        problem, params = self.problem.tilt(self.params, tilt)
        start = self.solution.take(tilt.rows)
        if tilt.rho.any() or tilt.curve is not None:
            return self.engine.solve(problem, params, start=start, threads=self.threads)
        with np.errstate(all="ignore"), self.lock:  # it serves one thread at a time
            found = self.loaded.solve(params, tilt.rows, start)
            answer = _answer(problem, params, found)
        rest = np.flatnonzero(among(found.status, Status.NUMERICAL, Status.INACCURATE))
        if not len(rest):
            return answer
        # the units of the forward data may not fit
        again = self.engine.solve(problem, taken(params, rest), threads=self.threads)
        return _put(answer, rest, again)


def _answer(conic: Conic, params: Params, found: Found) -> Answer:
    """Points, within their bounds, and rays apart.

    Without right-hand sides and P, or linear costs, zero is a solution; no other number is zero
    there.
    """
    homogeneous = top(params["b"].full()) == 0
    if not conic.quadratic and homogeneous.any():
        found.x[homogeneous & found.solved] = 0.0
    none = np.flatnonzero((top(params["q"].full()) == 0) & homogeneous)
    if len(none):
        found.x[none], found.y[none], found.error[none] = 0.0, 0.0, 0.0
        found.status[none] = Status.OPTIMAL
    points, ray, set_ups = found.points, None, int(found.set_ups.sum())
    usable = found.status <= Status.INACCURATE
    if not usable.all():
        x, y = (np.where(usable[:, None], part, 0.0) for part in (found.x, found.y))
        points, ray = Solution(x, y, found.status), points
    return Answer(conic.inside(params, points), set_ups, accuracy=found.error, ray=ray)


def _put(answer: Answer, rows: Any, again: Answer) -> Answer:
    solution, ray = answer.solution.put(rows, again.solution), answer.ray
    if ray is not None or again.ray is not None:
        ray = (ray or answer.solution).put(rows, again.ray or again.solution)
    accuracy = answer.accuracy
    if accuracy is not None and again.accuracy is not None:
        accuracy[rows] = again.accuracy
    return Answer(solution, answer.set_ups + again.set_ups, accuracy=accuracy, ray=ray)
