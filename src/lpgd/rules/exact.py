"""The gradient-descent baseline: implicit differentiation of the optimality conditions."""

from dataclasses import dataclass
from typing import final

import numpy as np

from lpgd.core.options import number
from lpgd.core.problem import Ability, Problem
from lpgd.core.public import public
from lpgd.core.rule import ROUGH, Backward, Pullback, Rule
from lpgd.core.solution import Solution, Status
from lpgd.core.tilt import Cotangent
from lpgd.rules.ends import derivative, untilted


@public("lpgd")
@final
@dataclass(frozen=True)
class Exact(Rule):
    """Derivative of the solution by the implicit function theorem, the limit tau -> 0 of LPGD.

    Every constraint that is active within tolerance is held as an equality, weakly active ones
    too, and dependent rows get the least-squares solution of minimum norm. Where either occurs
    the derivative is not unique and other conventions give other gradients; the layer's
    ``stats.degenerate`` reports the share of such elements.

    Parameters
    ----------
    rho : float
        Augmentation of the Hessian, >= 0: the limit of LPGD with the same rho, biased unless the
        solution is a nondegenerate vertex (math page, section 3).
    """

    rho: float = 0.0

    def __post_init__(self) -> None:
        number("rho", self.rho)

    @property
    def homogeneous(self) -> bool:
        return True

    def requires(self, problem: Problem) -> None:
        """No tilted problem is solved."""
        return

    def needs(self, problem: Problem) -> frozenset[Ability]:
        """The adjoint of the optimality conditions."""
        return frozenset({Ability.ADJOINT})

    def pullback(self, point: Solution, cotangent: Cotangent, backward: Backward) -> Pullback:
        """Solve the adjoint system; see ``Rule.pullback``."""
        found = backward.adjoint(cotangent, self.rho)
        failed = np.full(len(point), Status.OPTIMAL, dtype=np.int8)
        terms, lost = derivative(point, untilted(point, cotangent, 0.0), found)
        unverified = lost | found.unsure | (backward.accuracy[cotangent.rows] > ROUGH)
        return Pullback(terms, failed, degenerate=found.degenerate, unverified=unverified)
