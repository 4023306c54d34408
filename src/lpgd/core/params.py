"""Problem data of a batch, with what is shared stored once."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar, final

import numpy as np
from numpy.typing import NDArray

from lpgd.core.solution import FloatArray, IntArray

Number = TypeVar("Number", np.float64, np.bool_)


@final
@dataclass(eq=False, slots=True)
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
    _view: FloatArray | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.values.flags.c_contiguous:  # products round as matrices lie in memory
            self.values = np.ascontiguousarray(self.values)

    def __reduce__(self) -> tuple[type, tuple[FloatArray, IntArray]]:
        return Param, (self.values, self.index)  # without what is worked out

    def take(self, rows: IntArray) -> "Param":
        """The argument for the given elements; no value is copied."""
        return Param(self.values, self.index[rows])

    def full(self) -> FloatArray:
        """One value an element, shape (B, ...); a read-only view where nothing has to be copied."""
        if self._view is None:
            size, count = len(self.index), len(self.values)
            if count == size and (size == 1 or (self.index == np.arange(size)).all()):
                self._view = self.values.view()
                self._view.flags.writeable = False
            elif count == 1:
                self._view = np.broadcast_to(self.values, (size, *self.values.shape[1:]))
            else:  # copies may be large, so they are not kept
                return self.values[self.index]
        return self._view


Params = Mapping[str, Param]


def shared(values: FloatArray, batch: int) -> Param:
    """One value for all ``batch`` elements; ``values`` has no batch axis."""
    return Param(values[None], np.zeros(batch, dtype=np.intp))


def batched(values: FloatArray) -> Param:
    """One value an element; ``values`` has shape (B, ...)."""
    return Param(values, np.arange(len(values)))


def taken(params: Params, rows: IntArray) -> dict[str, Param]:
    """The data of some elements."""
    size = len(next(iter(params.values())).index) if params else 0
    if len(rows) == size and (rows == np.arange(size)).all():
        return dict(params)
    return {name: Param(param.values, param.index[rows]) for name, param in params.items()}


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
    for name in names:
        if name in params and len(params[name].values) > 1:
            key = key * len(params[name].values) + params[name].index
    if not key.any():  # one for all
        return key, key[:1]
    if (key == np.arange(batch)).all():  # each its own
        return key, key
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    return group, first


def flat(values: NDArray[Number]) -> NDArray[Number]:
    """(D, ...) to (D, size), entries row by row; D may be zero."""
    return values.reshape(len(values), math.prod(values.shape[1:]))
