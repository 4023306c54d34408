"""What a solve returns: a point and a status for every element."""

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lpgd.core.public import public

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]
StatusArray = NDArray[np.int8]
FlagArray = NDArray[np.uint8]


@public("lpgd")
class Status(IntEnum):
    """How the solve of one element ended."""

    OPTIMAL = 0
    INACCURATE = 1
    INFEASIBLE = 2
    UNBOUNDED = 3
    ITERATION_LIMIT = 4
    TIME_LIMIT = 5
    NUMERICAL = 6
    INVALID = 7
    CRASHED = 8

    @property
    def usable(self) -> bool:
        """Whether the point may be used (an inaccurate one only where the user accepts it)."""
        return self <= Status.INACCURATE

    @property
    def text(self) -> str:
        """The name in lower case with spaces, as messages use it."""
        return self.name.lower().replace("_", " ")

    @property
    def advice(self) -> str:
        """What to try."""
        return _ADVICE[self]


_ADVICE = {
    Status.OPTIMAL: "nothing",
    Status.INACCURATE: "accept_inexact=True, a looser tolerance, or better scaled data",
    Status.INFEASIBLE: "check the constraints, or on_failure='nan' to mark such elements",
    Status.UNBOUNDED: "add bounds or a positive definite P, or on_failure='nan'",
    Status.ITERATION_LIMIT: "a larger iteration_limit of the engine, or better scaled data",
    Status.TIME_LIMIT: "a larger time_limit of the engine",
    Status.NUMERICAL: "better scaled data, another engine, or on_failure='nan'",
    Status.INVALID: "mend the named argument, or on_failure='nan' to mark such elements",
    Status.CRASHED: "read the chained error of the solver",
}


def among(status: StatusArray, *some: Status) -> BoolArray:
    """Which statuses are some of these."""
    return np.logical_or.reduce([status == int(one) for one in some])


class Flag(IntFlag):
    """What else there is to know of an element, beside its status."""

    NONE = 0
    INCUMBENT = 1  # the best point known when a limit was reached
    MOVED = 2  # a re-solve ended in another basin than the forward solution


@dataclass(frozen=True)
class Rows:
    """A record of arrays that share their first axis, one row an item; optional ones are None."""

    def __len__(self) -> int:
        return len(getattr(self, next(iter(self.__dataclass_fields__))))

    def take(self, rows: IntArray | BoolArray) -> Self:
        """The record of the given rows."""
        parts: list[Any] = []
        for name in self.__dataclass_fields__:
            part = getattr(self, name)
            parts.append(None if part is None else part[rows])
        return type(self)(*parts)

    def put(self, rows: IntArray | BoolArray, other: Self) -> Self:
        """A copy in which the given rows are replaced by those of ``other``."""
        parts: list[Any] = []
        for mine, theirs in self._aligned(other):
            if mine is not None:
                mine = mine.copy()
                mine[rows] = theirs
            parts.append(mine)
        return type(self)(*parts)

    def join(self, other: Self) -> Self:
        """The rows of this record followed by those of the other."""
        pairs = self._aligned(other)
        return type(self)(*[None if pair[0] is None else np.concatenate(pair) for pair in pairs])

    def _aligned(self, other: Self) -> list[tuple[Any, Any]]:
        """The arrays of both; what only one of them has is zero in the other."""
        pairs: list[tuple[Any, Any]] = []
        for name in self.__dataclass_fields__:
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine is None and theirs is not None:
                mine = np.zeros((len(self), *theirs.shape[1:]), theirs.dtype)
            elif theirs is None and mine is not None:
                theirs = np.zeros((len(other), *mine.shape[1:]), mine.dtype)
            pairs.append((mine, theirs))
        return pairs


@dataclass(frozen=True)
class Solution(Rows):
    """Saddle points of the Lagrangian, one a row.

    Attributes
    ----------
    x : (N, n) float64
        Primal part; zero in rows without a usable point, so that arithmetic stays finite.
    y : (N, m) float64
        Multipliers in the order and with the signs of the problem's Lagrangian.
    status : (N,) int8
        A :class:`Status` a row.
    flags : (N,) uint8 or None
        :class:`Flag` values a row; None where there is nothing to tell.
    basis : (N, k) int8 or None
        What else the engine needs to start from this solution, e.g. a simplex basis. With it a
        re-solve answers alike whether or not the engine kept a workspace.
    objects : (N,) array of objects or None
        What an oracle returned, where features of it are x; None in rows without.
    """

    x: FloatArray
    y: FloatArray
    status: StatusArray
    flags: FlagArray | None = None
    basis: NDArray[np.int8] | None = None
    objects: NDArray[np.object_] | None = None

    @property
    def solved(self) -> BoolArray:
        """Rows that are optimal, shape (N,)."""
        return self.status == Status.OPTIMAL

    @classmethod
    def blank(cls, rows: int, n: int, m: int) -> "Solution":
        """Rows of zeros with the status ``INVALID``, to be filled in."""
        status = np.full(rows, Status.INVALID, dtype=np.int8)
        return cls(np.zeros((rows, n)), np.zeros((rows, m)), status)
