"""Envelopes of losses that are added in whole: values, and gradients of all that they depend on.

lower    l_tau(w) = [V(tau; w) - V(0; w)] / tau
upper    l^tau(w) = [V(0; w) - V(-tau; w)] / tau
average  their mean, [V(tau; w) - V(-tau; w)] / (2 tau)

V(t; w) is the optimal value of the problem with t times the loss, and its gradient is that of the
Lagrangian, the saddle point held fixed (math page, sections 1 and 2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from lpgd.core.errors import IllPosedError
from lpgd.core.problem import Problem
from lpgd.core.rule import Backward, Pullback, Rule, is_number
from lpgd.core.solution import FloatArray, Solution
from lpgd.core.tilt import Cotangent
from lpgd.frontend.batches import Shape
from lpgd.losses.added import Added
from lpgd.rules.ends import ENDS, Side

Pull = Callable[[FloatArray, Sequence[bool]], list[FloatArray]]


@dataclass(frozen=True)
class Adding(Rule):
    """What an engine must solve so that a loss can be added; nothing is pulled back by it."""

    curved: bool

    def requires(self, problem: Problem) -> str:
        """The family of the program with the loss."""
        return problem.augmented if self.curved else problem.family

    def pullback(self, point: Solution, cotangent: Cotangent, backward: Backward) -> Pullback:
        """Never asked for."""
        raise NotImplementedError


@dataclass(frozen=True)
class Envelope:
    """Which envelope.

    Attributes
    ----------
    tau : float
    side : {"lower", "upper", "average"}
    rho : float
        Weight of a proximal term about the solution, which is held fixed.
    """

    tau: float
    side: Side = "lower"
    rho: float = 0.0

    def __post_init__(self) -> None:
        if not (is_number(self.tau) and 1e-300 <= self.tau < np.inf):
            raise ValueError(
                f"tau must be a positive finite number, got {self.tau!r}: an envelope is a "
                "function of it, so nothing can choose it for you"
            )
        if not (is_number(self.rho) and 0 <= self.rho < np.inf):
            raise ValueError(f"rho must be a finite number >= 0, got {self.rho!r}")
        if self.side not in tuple(ENDS):
            raise ValueError(f"side must be one of {sorted(ENDS)}, got {self.side!r}")

    @property
    def ends(self) -> tuple[tuple[float, float], ...]:
        """(t, weight) of the two values that are subtracted."""
        hi, lo = (end * self.tau for end in ENDS[self.side])
        return (hi, 1 / (hi - lo)), (lo, -1 / (hi - lo))


def refuse(kind: str, loss: type[Added], family: str, side: Side) -> None:
    """Refuse a loss that a family cannot add, or of which a side is ill posed whatever the data.

    Raises
    ------
    IllPosedError
    """
    if family == "oracle" and not loss.affine:
        raise IllPosedError(
            f"an oracle minimises linear costs, to which a loss {kind!r} adds others; use "
            "'linear', or on binary vectors 'hamming', which is linear there"
        )
    if family != "oracle" and kind == "hamming":
        raise IllPosedError(
            "a Hamming loss is affine on binary vectors alone, which only oracles return; use "
            "'absolute', which is the same there and convex elsewhere"
        )
    if side != "lower" and not (loss.affine or loss.curved):
        raise IllPosedError(
            f"the {side} side of a loss {kind!r} subtracts a kink: a non-convex problem with "
            "several stationary points, of which no solver finds the best for sure. Use "
            "side='lower'."
        )


@dataclass(frozen=True)
class Evaluated:
    """Envelopes of a batch.

    Attributes
    ----------
    values : (*shape,) float64
        NaN where an element could not be solved.
    pull : callable
        From cotangents (*shape,) and which of all inputs are wanted to their gradients.
    """

    values: FloatArray
    pull: Pull


@dataclass(frozen=True)
class Given:
    """A call: inputs (the program's data, target, weight), their shapes, and the batch shape.

    Where an input was expanded its array has size 1, and its gradient the shape.
    """

    inputs: Sequence[np.ndarray]
    shapes: Sequence[Shape]
    shape: Shape
    resolution: float

    @property
    def data(self) -> Sequence[np.ndarray]:
        """The program's."""
        return self.inputs[:-2]

    def loss(self, kind: type[Added], n: int) -> Added:
        """The loss of every element."""
        size = prod(self.shape)
        full = (np.broadcast_to(part, (*self.shape, n)) for part in self.inputs[-2:])
        return kind(*(np.ascontiguousarray(part).reshape(size, n) for part in full))
