"""One call of a layer and a loss of what it returns, in arrays: what a diagnosis is made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from lpgd.core.stats import Stats
from lpgd.frontend.batches import Shape
from lpgd.frontend.program import Program

Arrays = Sequence[np.ndarray]


@dataclass(frozen=True)
class Precision:
    """The caller's floating dtype: its name, and the numbers at which it ends."""

    name: str
    eps: float
    largest: float
    least: float


class Loss(Protocol):
    """A loss of a layer's outputs."""

    def __call__(self, outputs: Arrays, *, wide: bool) -> tuple[float, list[np.ndarray]]:
        """Its value and its cotangents of the outputs (*shape, k), float64 arrays.

        Computed in the caller's dtype, or if ``wide`` in float64.
        """
        ...


@dataclass(frozen=True, eq=False)
class Subject:
    """What a frontend hands to a diagnosis.

    Attributes
    ----------
    name : str
        Of the layer.
    program : Program
        With a map of its own, so that nothing of the layer's changes; see ``aside``.
    data : sequence of float64 arrays
    shape : tuple of int
        Batch shape.
    learned : tuple of bool
        Which data a gradient is wanted for.
    precision : Precision
    loss : Loss
    leaves : callable or None
        From gradients of the learned data, and which those are, to the sizes of the gradients that
        arrive at the leaves behind each of them; None for data that were not computed.
    """

    name: str
    program: Program
    data: Arrays
    shape: Shape
    learned: tuple[bool, ...]
    precision: Precision
    loss: Loss
    leaves: Callable[[Arrays, Sequence[bool]], list[float | None]] | None = None

    def widely(self, outputs: Arrays) -> tuple[float, list[np.ndarray]]:
        """The loss in float64, or in the caller's dtype where it is written for that alone."""
        try:
            return self.loss(outputs, wide=True)
        except (RuntimeError, TypeError):  # of a framework that will not mix dtypes
            return self.loss(outputs, wide=False)


def aside(program: Program) -> Program:
    """The program with a map that marks failures and leaves the layer's own counters alone."""
    own = program.map
    memory = {name: array.copy() for name, array in own.memory.items()}
    return replace(program, map=replace(own, on_failure="nan", stats=Stats(), memory=memory))
