"""What an operation of the table is; see ``operations``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lpgd.frontend.program import Program

Data = dict[str, np.ndarray]
Outputs = Sequence[Any]


@dataclass(frozen=True)
class Operation:
    """An operation and its inputs.

    Attributes
    ----------
    name : str
    data : mapping from name to array
        Of one element, in the order of the call.
    moved : str
        The argument that a batch varies.
    core : callable () -> Program
    torch, jax : callable (*data) -> outputs
    tolerance, forward : float
        Up to which gradients, and tangents, agree, relative to the largest entry. Where the core
        takes the latter from differences of the data, rounding shows in them.
    """

    name: str
    data: Data
    moved: str
    core: Callable[[], Program]
    torch: Callable[..., Outputs]
    jax: Callable[..., Outputs]
    tolerance: float = 1e-10
    forward: float = 1e-10

    def batch(self, size: int) -> Data:
        """The data with ``size`` values of one argument."""
        own = self.data[self.moved]
        noise = np.random.default_rng(1).normal(size=(size, *own.shape))
        return {**self.data, self.moved: own + 0.1 * noise}

    def axes(self) -> tuple[int | None, ...]:
        """What ``vmap`` shall map of the batch."""
        return tuple(0 if name == self.moved else None for name in self.data)
