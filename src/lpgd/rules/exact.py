"""The gradient-descent baseline: implicit differentiation of the optimality conditions."""

from dataclasses import dataclass, replace
from typing import cast, final

import numpy as np

from lpgd.errors import EngineError
from lpgd.params import Params
from lpgd.problems.base import Differentiable, Problem
from lpgd.rules.base import Pullback, Resolve
from lpgd.solution import FloatArray, Solution, Status
from lpgd.tilt import Cotangent, Term, Tilt


@final
@dataclass(frozen=True)
class Exact:
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
        if not (np.isfinite(self.rho) and self.rho >= 0):
            raise ValueError(f"rho must be a finite number >= 0, got {self.rho!r}")

    def requires(self, problem: Problem) -> None:
        """Nothing is solved in the backward pass."""

    def pullback(
        self,
        problem: Problem,
        params: Params,
        point: Solution,
        cotangent: Cotangent,
        resolve: Resolve,
    ) -> Pullback:
        """Solve the adjoint system; see ``Rule.pullback``.

        The Lagrangian of a program with linear constraints is quadratic in (x, y), so the central
        difference of its gradient along the adjoint direction is its derivative, whatever the
        step. The step is chosen for the least rounding.
        """
        if not hasattr(problem, "adjoint"):
            raise EngineError(f"Exact() has no adjoint for the family {problem.family}; use LPGD.")
        family = cast(Differentiable, problem)
        a, v, degenerate = family.adjoint(params, point, cotangent, self.rho)
        reach = _size(a, v)
        step = np.where(reach > 0, (1 + _size(point.x, point.y)) / np.maximum(reach, 1e-200), 1.0)
        zero = np.zeros(len(point))
        tilt = Tilt(cotangent.rows, zero, cotangent.dx, cotangent.dy, zero, point.x)
        terms = [
            Term(
                sign / (2 * step),
                replace(
                    point,
                    x=point.x + sign * step[:, None] * a,
                    y=point.y + sign * step[:, None] * v,
                ),
                tilt,
            )
            for sign in (1.0, -1.0)
        ]
        return Pullback(
            terms, np.full(len(point), Status.OPTIMAL, dtype=np.int8), degenerate=degenerate
        )


def _size(*parts: FloatArray) -> FloatArray:
    return sum((np.abs(part).max(axis=1, initial=0.0) for part in parts), np.zeros(1))
