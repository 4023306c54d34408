"""What a solved batch offers to its pullback."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar, cast

import numpy as np

from lpgd.core.engine import AdjointWorkspace, Answer, Engine, RoughWorkspace, Workspace
from lpgd.core.errors import EngineError, LpgdError, MissingExtraError
from lpgd.core.params import Params
from lpgd.core.problem import Differentiable, Problem
from lpgd.core.solution import FloatArray, IntArray, Solution, Status
from lpgd.core.tilt import Adjoint, Cotangent, Term, Tilt

Placed = TypeVar("Placed", Cotangent, Tilt)

# A point that moves less than this, relative to its size, has not left its vertex.
MOVED = 1e-12
# Cotangents of this relative size are rounding in x: training has converged.
ROUNDING = 4 * np.finfo(np.float64).eps

STUCK = (
    "no element moved under its tilt: every solution stayed at its vertex, the gradient of the "
    "costs is zero and training would stall. Use a larger tau, or rho > 0 with a tau that makes "
    "the tilt comparable to the costs. A loss averaged over a batch of B needs a tau B times as "
    "large as its sum."
)


@dataclass(frozen=True)
class Forward:
    """A solved batch and what its pullback needs.

    Attributes
    ----------
    solution : Solution
        One row an element; failed ones are zero.
    shape : tuple of int
        Batch shape, for messages.
    """

    problem: Problem
    params: Params
    solution: Solution
    engine: Engine
    shape: tuple[int, ...]
    workspace: Workspace | None
    position: IntArray
    """Where each element stands in the workspace, which never saw the invalid ones."""
    threads: int | None = None

    @property
    def program(self) -> Problem:
        """What the engine solved."""
        return self.problem.program

    @property
    def accuracy(self) -> FloatArray:
        """Relative error of each element's solution, shape (B,)."""
        usual = np.full(len(self.solution), self.engine.capabilities.accuracy)
        if not hasattr(self.workspace, "accuracy"):
            return usual
        rough = cast(RoughWorkspace, self.workspace).accuracy
        # the invalid ones, which the workspace never saw, have a place that is not theirs
        return np.where(self.solution.solved, rough[np.maximum(self.position, 0)], usual)


def attempt(engine: Engine, problem: Problem, rows: int, solve: Callable[[], Answer]) -> Answer:
    """The answer of a solve; one that raises has crashed in all its ``rows``.

    Raises
    ------
    MissingExtraError
        The solver is not installed.
    """
    try:
        return solve()
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"engine {engine.name!r} needs a package that is not installed ({error.name}): "
            f"{engine.capabilities.install}"
        ) from error
    except LpgdError:
        raise
    except Exception as error:  # whatever a solver raises costs its rows, and is chained later
        crashed = Solution.blank(rows, problem.n, problem.m)
        crashed.status[:] = Status.CRASHED
        return Answer(crashed, 0, cause=error)


@dataclass(frozen=True)
class Solved:
    """What a rule may ask of a forward pass; implements ``lpgd.core.rule.Backward``.

    Attributes
    ----------
    point : Solution
        The forward solution of each row of the cotangent.
    settle : callable
        Takes a tilted answer into account and returns its solution.
    """

    forward: Forward
    point: Solution
    settle: Callable[[Answer], Solution]

    @property
    def problem(self) -> Problem:
        """See ``Backward.problem``."""
        return self.forward.program

    @property
    def params(self) -> Params:
        """See ``Backward.params``."""
        return self.forward.params

    @property
    def accuracy(self) -> FloatArray:
        """See ``Backward.accuracy``."""
        return self.forward.accuracy

    def resolve(self, tilt: Tilt) -> Solution:
        """See ``Backward.resolve``. A tilt that overflows is a failure and reaches no solver."""
        reach = np.abs(tilt.dx).max(axis=1, initial=0.0)
        reach = np.maximum(reach, np.abs(tilt.dy).max(axis=1, initial=0.0))
        with np.errstate(over="ignore"):
            sane = np.flatnonzero(np.isfinite(tilt.t * reach))
        if len(sane) == len(tilt):
            return self._solve(tilt)
        program = self.forward.program
        answers = Solution.blank(len(tilt), program.n, program.m)
        answers.status[:] = Status.NUMERICAL
        return answers.put(sane, self._solve(tilt.take(sane))) if len(sane) else answers

    def _solve(self, tilt: Tilt) -> Solution:
        forward = self.forward

        def solve() -> Answer:
            if forward.workspace is not None:
                return forward.workspace.resolve(self._placed(tilt))
            problem, params = forward.program.tilt(forward.params, tilt)
            start = forward.solution.take(tilt.rows)
            return forward.engine.solve(problem, params, start=start, threads=forward.threads)

        return self.settle(attempt(forward.engine, forward.program, len(tilt), solve))

    def adjoint(self, cotangent: Cotangent, rho: float) -> Adjoint:
        """See ``Backward.adjoint``: by the engine, or else in closed form."""
        forward = self.forward
        if forward.workspace is not None and forward.engine.capabilities.adjoint:
            able = cast(AdjointWorkspace, forward.workspace)
            return able.adjoint(self._placed(cotangent), rho)
        if hasattr(forward.program, "adjoint"):
            family = cast(Differentiable, forward.program)
            return family.adjoint(forward.params, self.point, cotangent, rho)
        raise EngineError(
            f"Exact() needs the adjoint of a {forward.program.family} program, which engine "
            f"{forward.engine.name!r} does not have; use LPGD, or another engine."
        )

    def _placed(self, record: Placed) -> Placed:
        return replace(record, rows=self.forward.position[record.rows])


def is_stuck(terms: Sequence[Term], point: Solution, dx: FloatArray) -> bool:
    """Whether a loss pulls at some x, and none of those moved."""
    size = 1 + np.abs(point.x).max(axis=1, initial=0.0)
    pushed = np.abs(dx).max(axis=1, initial=0.0) > ROUNDING * size
    for term in terms:
        moves = np.abs(term.point.x - point.x).max(axis=1, initial=0.0)
        if (moves > MOVED * size)[pushed].any():
            return False
    return bool(pushed.any())


def still(point: Solution, cotangent: Cotangent) -> Term:
    """The forward solution with weight zero."""
    zero = np.zeros(len(point))
    dx, dy = np.zeros_like(cotangent.dx), np.zeros_like(cotangent.dy)
    ds = None if cotangent.ds is None else np.zeros_like(cotangent.ds)
    return Term(zero, point, Tilt(cotangent.rows, zero, dx, dy, zero, point.x, ds))


def spread(terms: Sequence[Term], rows: IntArray, still: Term, rest: FloatArray) -> list[Term]:
    """Put terms of some rows among all rows; the others have the weights ``rest``."""
    every: list[Term] = [replace(still, weight=rest)]
    for term in terms:
        weight = np.zeros_like(rest)
        weight[rows] = term.weight
        point, tilt = still.point.put(rows, term.point), still.tilt.put(rows, term.tilt)
        every.append(Term(weight, point, tilt))
    return every
