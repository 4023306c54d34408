"""Problem data of a batch, with what is shared stored once."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar, final

import numpy as np
from numpy.typing import NDArray

from lpgd.core.solution import FloatArray, IntArray

Number = TypeVar("Number", np.float64, np.bool_)


@final
@dataclass(frozen=True)
class Param:
    """One argument of a batch of problems.

    Attributes
    ----------
    values : (D, ...) float64
        The distinct values; D = 1 where the whole batch shares one.
    index : (B,) int
        The row of ``values`` that each element uses.
    """

    values: FloatArray
    index: IntArray

    def __post_init__(self) -> None:
        if not self.values.flags.c_contiguous:  # products round as matrices lie in memory
            object.__setattr__(self, "values", np.ascontiguousarray(self.values))

    def take(self, rows: IntArray) -> "Param":
        """The argument for the given elements; no value is copied."""
        return Param(self.values, self.index[rows])

    def full(self) -> FloatArray:
        """One value an element, shape (B, ...); a read-only view where nothing has to be copied."""
        size = len(self.index)
        if len(self.values) == 1:
            return np.broadcast_to(self.values, (size, *self.values.shape[1:]))
        if len(self.values) == size and np.array_equal(self.index, np.arange(size)):
            view = self.values.view()
            view.flags.writeable = False
            return view
        return self.values[self.index]


Params = Mapping[str, Param]


def shared(values: FloatArray, batch: int) -> Param:
    """One value for all ``batch`` elements; ``values`` has no batch axis."""
    return Param(values[None], np.zeros(batch, dtype=np.intp))


def batched(values: FloatArray) -> Param:
    """One value an element; ``values`` has shape (B, ...)."""
    return Param(values, np.arange(len(values)))


def distinct(params: Params, names: tuple[str, ...]) -> tuple[IntArray, IntArray]:
    """Group elements that share the values of all the named arguments.

    Returns
    -------
    group : (B,) int
        The group of each element.
    first : (D,) int
        An element of each group.
    """
    batch = len(next(iter(params.values())).index)
    key = np.zeros(batch, dtype=np.intp)
    for param in (params[name] for name in names if name in params):
        if len(param.values) > 1:
            key = key * len(param.values) + param.index
    if np.array_equal(key, np.arange(batch)):  # each its own
        return key, key
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    return group, first


def flat(values: NDArray[Number]) -> NDArray[Number]:
    """(D, ...) to (D, size), entries row by row; D may be zero."""
    return values.reshape(len(values), math.prod(values.shape[1:]))
