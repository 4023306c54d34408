"""What a rule is given and what it gives back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from lpgd.problems.base import Problem
from lpgd.solution import BoolArray, FloatArray, Solution, StatusArray
from lpgd.tilt import Adjoint, Cotangent, Term, Tilt


class Backward(Protocol):
    """What a rule may ask of a solved batch."""

    def resolve(self, tilt: Tilt) -> Solution:
        """Solve tilted problems, one a row; failure is a status, never an exception."""
        ...

    def adjoint(self, cotangent: Cotangent, rho: float) -> Adjoint:
        """Solve the adjoint of the optimality conditions; raises EngineError where none can."""
        ...


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
        Rows at which the derivative is not unique, where the rule knows.
    """

    terms: Sequence[Term]
    failed: StatusArray
    tau: FloatArray | None = None
    retries: int = 0
    degenerate: BoolArray | None = None


class Rule(Protocol):
    """Turns a cotangent of the solution into weighted Lagrangians of the problem."""

    def requires(self, problem: Problem) -> str | None:
        """Family that the engine must solve in the backward pass; None where it solves nothing."""
        ...

    def pullback(self, point: Solution, cotangent: Cotangent, backward: Backward) -> Pullback:
        """Pull the cotangent back. ``point`` holds the forward solution of each row."""
        ...
