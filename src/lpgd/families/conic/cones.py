"""Products of cones, in the order in which the rows of a conic program are laid out."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import isqrt
from typing import Any, cast, final

import numpy as np

from lpgd.core.public import public
from lpgd.core.solution import FloatArray, IntArray

KINDS = frozenset({"zero", "nonneg", "soc", "psd", "exp", "power"})


@public("lpgd")
@final
@dataclass(frozen=True)
class Cones:
    """K = {0}^zero x R+^nonneg x SOC... x PSD... x EXP^exp x POW... .

    Parameters
    ----------
    zero : int
        Rows of the zero cone: equalities.
    nonneg : int
        Rows of the nonnegative orthant.
    soc : tuple of int
        Sizes of second-order cones {(t, u): ||u|| <= t}, each >= 2.
    psd : tuple of int
        Orders k of positive semidefinite cones. A matrix takes k (k + 1) / 2 rows: its upper
        triangle column by column, off-diagonal entries times sqrt(2).
    exp : int
        Number of exponential cones, the closure of {(u, v, w): v > 0, v exp(u / v) <= w}.
    power : tuple of float
        Exponents a in (0, 1) of power cones {(u, v, w): u^a v^(1 - a) >= |w|, u, v >= 0}.

    Raises
    ------
    TypeError
        Sizes or exponents are not in a tuple.
    ValueError
        A size is negative or no integer, or an exponent out of range.
    """

    zero: int = 0
    nonneg: int = 0
    soc: tuple[int, ...] = ()
    psd: tuple[int, ...] = ()
    exp: int = 0
    power: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("soc", "psd", "power"):
            given: Any = getattr(self, name)
            if not isinstance(given, (tuple, list)):
                raise TypeError(f"{name} must be a tuple, one entry a cone, got {given!r}")
            object.__setattr__(self, name, tuple(cast(Any, given)))  # it must have a hash
        for name in ("zero", "nonneg", "exp"):
            given = getattr(self, name)
            if not _is_size(given, 0):
                raise ValueError(f"{name} must be an int >= 0, got {given!r}")
            object.__setattr__(self, name, int(given))
        for name, (fits, kind, what) in _TUPLES.items():
            given = getattr(self, name)
            if not all(fits(entry) for entry in given):
                raise ValueError(f"{what}, got {given}")
            object.__setattr__(self, name, tuple(kind(entry) for entry in given))

    @cached_property
    def m(self) -> int:
        """Number of rows."""
        return self._blocks[-1][-1] if self._blocks else 0

    @cached_property
    def kinds(self) -> frozenset[str]:
        """Names of the cones that occur."""
        return frozenset(kind for kind, start, stop in self.blocks() if stop > start)

    def blocks(self) -> list[tuple[str, int, int]]:
        """(kind, first row, row behind the last) of every cone; zero and nonneg are one each."""
        return self._blocks

    @cached_property
    def _blocks(self) -> list[tuple[str, int, int]]:
        sizes = [("zero", self.zero), ("nonneg", self.nonneg)]
        sizes += [("soc", size) for size in self.soc]
        sizes += [("psd", order * (order + 1) // 2) for order in self.psd]
        sizes += [("exp", 3)] * self.exp + [("power", 3)] * len(self.power)
        ends = np.cumsum([0] + [size for _, size in sizes]).tolist()
        return [(kind, a, b) for (kind, _), a, b in zip(sizes, ends, ends[1:], strict=False)]


def _is_size(value: object, least: int) -> bool:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return whole and int(cast(int, value)) >= least


def _is_exponent(value: object) -> bool:
    number = isinstance(value, (int, float, np.integer, np.floating))
    return number and not isinstance(value, bool) and 0 < float(cast(float, value)) < 1


_TUPLES: dict[str, tuple[Callable[[object], bool], Callable[[Any], float], str]] = {
    "soc": (lambda n: _is_size(n, 2), int, "second-order cones need a whole size of at least 2"),
    "psd": (lambda n: _is_size(n, 1), int, "PSD cones need a whole order of at least 1"),
    "power": (_is_exponent, float, "exponents of power cones must be in (0, 1)"),
}


def order_of(rows: int) -> int:
    """Order of the symmetric matrix whose triangle takes so many rows."""
    return (isqrt(8 * rows + 1) - 1) // 2


def triangle(order: int) -> tuple[IntArray, IntArray, FloatArray]:
    """Row, column and scale of each entry of a vectorised symmetric matrix."""
    cols, rows = np.tril_indices(order)  # the upper triangle, column by column
    return rows, cols, np.where(rows == cols, 1.0, np.sqrt(2.0))
