"""What solvers of cone programs, and the wrappers that add an ability to one, have in common.

A wrapper is a solver of what it wraps:
``Nearer(Rescaled(Eliminated(Fallback(Refined(a), Refined(b)))))``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from lpgd.core.pattern import Pattern
from lpgd.core.solution import FloatArray, IntArray, Rows, Solution, Status, StatusArray, among
from lpgd.engines.convert import Compressed

if TYPE_CHECKING:
    from lpgd.core.params import Params
    from lpgd.families.conic.conic import Conic


@dataclass(frozen=True)
class Request:
    """What is asked of a solver.

    Attributes
    ----------
    accuracy : float
        What it aims at.
    seconds : float
        The budget of each element, infinite for none.
    threads : int or None
    keep : bool
        Whether the first solve is the forward one, from which tilted ones will start.
    """

    accuracy: float
    seconds: float = float("inf")
    threads: int | None = None
    keep: bool = False

    def after(self, before: Found) -> Request:
        """What is asked once more, of rows that have cost some of the time."""
        seconds = self.seconds - before.seconds.max(initial=0.0)
        return replace(self, seconds=seconds, keep=False)


@dataclass(frozen=True)
class Found(Rows):
    """What a solver found, N rows.

    Attributes
    ----------
    x : (N, n) float64
        A direction without end in rows that are ``UNBOUNDED``; zero in other failed ones.
    y : (N, m) float64
        Multipliers that no point satisfies in rows that are ``INFEASIBLE``.
    status : (N,) int8
    error : (N,) float64
        Relative residual where one was measured, else infinite.
    seconds : (N,) float64
        What each row cost.
    set_ups : (N,) int
        How often its matrices were handed to a solver.
    """

    x: FloatArray
    y: FloatArray
    status: StatusArray
    error: FloatArray
    seconds: FloatArray
    set_ups: IntArray

    @classmethod
    def of(cls, x: FloatArray, y: FloatArray, status: StatusArray) -> Self:
        """Answers of which nothing else is known; what is no number is a failure."""
        size, status = len(status), np.array(status, dtype=np.int8)
        whole = [np.logical_and.reduce(np.isfinite(part), axis=1) for part in (x, y)]
        broken = ~(whole[0] & whole[1])
        if broken.any() or status.any():
            has_x = among(status, Status.OPTIMAL, Status.INACCURATE, Status.UNBOUNDED)
            has_y = among(status, Status.OPTIMAL, Status.INACCURATE, Status.INFEASIBLE)
            x, y = np.where(has_x[:, None], x, 0.0), np.where(has_y[:, None], y, 0.0)
            broken = ~(np.isfinite(x).all(axis=1) & np.isfinite(y).all(axis=1))
            x[broken], y[broken], status[broken] = 0.0, 0.0, Status.NUMERICAL
        none = np.zeros(size, dtype=np.intp)
        return cls(x, y, status, np.full(size, np.inf), np.zeros(size), none)

    @classmethod
    def nothing(cls, rows: int, conic: Conic, status: Status = Status.NUMERICAL) -> Self:
        """Rows that are not solved."""
        code = np.full(rows, status, dtype=np.int8)
        return cls.of(np.zeros((rows, conic.n)), np.zeros((rows, conic.m)), code)

    @property
    def solved(self) -> np.ndarray:
        """Rows that are optimal, shape (N,)."""
        return self.status == Status.OPTIMAL

    @property
    def points(self) -> Solution:
        """The points and rays, as they are."""
        return Solution(self.x, self.y, self.status)


def compressed(conic: Conic) -> tuple[Compressed, Compressed]:
    """Rows of P, empty where there is none, and of A; computed once."""
    if Compressed not in conic.derived:
        n, m = conic.n, conic.m
        P = conic.patterns.get("P", None if conic.quadratic else Pattern.empty(n))
        forms = Compressed.of(P, (n, n)), Compressed.of(conic.patterns.get("A"), (m, n))
        conic.derived[Compressed] = forms
    return conic.derived[Compressed]


class Loaded(Protocol):
    """A solver with the matrices of a batch, for one thread at a time."""

    def solve(self, params: Params, rows: IntArray, start: Solution | None) -> Found:
        """Solve with the linear terms in ``params``, one a row; ``rows`` are their elements."""
        ...


class Solver(Protocol):
    """Makes loaded solvers."""

    def load(self, conic: Conic, params: Params, request: Request) -> Loaded:
        """Hand over the matrices of a batch; a solver may put off the work until it is needed."""
        ...
