"""What a solve returns: a point and a status for every element."""

from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]
StatusArray = NDArray[np.int8]


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


@dataclass(frozen=True)
class Rows:
    """A record of arrays that share their first axis, one row an item; optional ones are None."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def _present(self) -> dict[str, NDArray[np.generic]]:
        arrays = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: array for name, array in arrays.items() if array is not None}

    def take(self, rows: IntArray | BoolArray) -> Self:
        """The record of the given rows."""
        return replace(self, **{name: array[rows] for name, array in self._present().items()})

    def put(self, rows: IntArray | BoolArray, other: Self) -> Self:
        """A copy in which the given rows are replaced by those of ``other``."""
        merged: dict[str, NDArray[np.generic]] = {}
        for name, array in self._present().items():
            merged[name] = array.copy()
            merged[name][rows] = getattr(other, name)
        return replace(self, **merged)

    def join(self, other: Self) -> Self:
        """The rows of this record followed by those of the other."""
        joined = {
            name: np.concatenate([array, getattr(other, name)])
            for name, array in self._present().items()
        }
        return replace(self, **joined)


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
    """

    x: FloatArray
    y: FloatArray
    status: StatusArray

    @property
    def solved(self) -> BoolArray:
        """Rows that are optimal, shape (N,)."""
        return self.status == Status.OPTIMAL

    @classmethod
    def blank(cls, rows: int, n: int, m: int) -> "Solution":
        """Rows of zeros with the status ``INVALID``, to be filled in."""
        status = np.full(rows, Status.INVALID, dtype=np.int8)
        return cls(np.zeros((rows, n)), np.zeros((rows, m)), status)
