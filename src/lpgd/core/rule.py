"""What a rule is given and what it gives back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lpgd.core.params import Params
from lpgd.core.problem import Problem
from lpgd.core.solution import BoolArray, FloatArray, Solution, StatusArray
from lpgd.core.tilt import Adjoint, Cotangent, Term, Tilt

ADJOINT = "adjoint"
"""What a rule requires that solves no tilted problem but an adjoint which the family lacks."""


class Backward(Protocol):
    """What a rule may ask of a solved batch."""

    @property
    def problem(self) -> Problem:
        """The problem that was solved."""
        ...

    @property
    def params(self) -> Params:
        """Its data; ``cotangent.rows`` index the elements."""
        ...

    @property
    def accuracy(self) -> FloatArray:
        """Relative error of the solution of each element of the batch, shape (B,)."""
        ...

    def resolve(self, tilt: Tilt) -> Solution:
        """Solve tilted problems, one a row; failure is a status, never an exception."""
        ...

    def adjoint(self, cotangent: Cotangent, rho: float) -> Adjoint:
        """Solve the adjoint of the optimality conditions; raises EngineError where none can."""
        ...


def is_number(value: object) -> bool:
    """Whether an option is a plain number, and not a bool, a string or an array."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def is_count(value: object) -> bool:
    """Whether an option is a whole number >= 0, and not a bool."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


@dataclass(frozen=True)
class Pullback:
    """A cotangent pulled back to the problem data, before the gradients are formed.

    Attributes
    ----------
    terms : sequence of Term
        The gradient is that of the weighted sum of Lagrangians.
    failed : (N,) int8
        A Status a row: why no difference could be formed, or ``OPTIMAL``.
    tau : (N,) float64 or None
        The step that each row used.
    retries : int
        Tilted solves that were repeated with a smaller step.
    degenerate : (N,) bool or None
        Rows at which the derivative is not unique or says nothing, where the rule knows.
    stays : (N,) bool or None
        Rows that may rightly stay where they are, where the rule knows.
    """

    terms: Sequence[Term]
    failed: StatusArray
    tau: FloatArray | None = None
    retries: int = 0
    degenerate: BoolArray | None = None
    stays: BoolArray | None = None


class Rule(Protocol):
    """Turns a cotangent of the solution into weighted Lagrangians of the problem."""

    def requires(self, problem: Problem) -> str | None:
        """What the engine must do in the backward pass: a family to solve, or ``ADJOINT``.

        None where it has nothing to do.
        """
        ...

    def pullback(self, point: Solution, cotangent: Cotangent, backward: Backward) -> Pullback:
        """Pull the cotangent back. ``point`` holds the forward solution of each row."""
        ...
