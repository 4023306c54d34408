"""What a rule is given and what it gives back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from lpgd.params import Params
from lpgd.problems.base import Problem
from lpgd.solution import BoolArray, FloatArray, Solution, StatusArray
from lpgd.tilt import Cotangent, Term, Tilt

Resolve = Callable[[Tilt], Solution]
"""Solve tilted problems, one a row of the tilt; failure is a status, never an exception."""


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

    def pullback(
        self,
        problem: Problem,
        params: Params,
        point: Solution,
        cotangent: Cotangent,
        resolve: Resolve,
    ) -> Pullback:
        """Pull the cotangent back. ``point`` holds the forward solution of each row."""
        ...
