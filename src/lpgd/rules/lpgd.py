"""Lagrangian proximal gradient descent: tilt, re-solve, difference of Lagrangian gradients."""

from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np

from lpgd.core.abilities import measured
from lpgd.core.options import choice, flag, number, whole
from lpgd.core.problem import Ability, Problem
from lpgd.core.public import public
from lpgd.core.rule import Backward, Pullback, Rule, is_number
from lpgd.core.solution import Solution
from lpgd.core.tilt import Cotangent
from lpgd.rules.auto import auto
from lpgd.rules.ends import ENDS, Side, Tilting, derivative, only, untilted
from lpgd.rules.vertices import vertices

LEAST = 1e-300  # a smaller tau has no reciprocal


@public("lpgd")
@final
@dataclass(frozen=True)
class LPGD(Rule):
    """Lagrangian proximal gradient descent (Paulus, Martius, Musil, ICML 2024).

    gradient = grad_w [L(z_hi, w) - L(z_lo, w)] / (t_hi - t_lo), where z_t is the saddle point of
    L + t <dz, z> + rho/2 ||x - x*||^2 and z_0 is the forward solution (math page, sections 2, 3).

    Parameters
    ----------
    tau : float or "auto"
        Size of the tilt, > 0, in objective units per loss unit: only the product of tau and the
        cotangent enters the solver, so a loss averaged over a batch of B needs a tau B times
        larger than the same loss summed. ``"auto"`` takes the derivative where there is one that
        says something, and tilts each element by its own sizes elsewhere.
    rho : float
        Weight of the proximal term, >= 0. An LP then becomes a QP in the backward pass.
    side : {"average", "lower", "upper"}
        Which envelope is differentiated; "average" takes two solves instead of one.
    retries : int
        How often an element whose tilted solve fails is tried again with a quarter of its tau.
    fallback : bool
        Whether "average" may then use the one side that works.
    """

    tau: float | Literal["auto"] = "auto"
    rho: float = 0.0
    side: Side = "average"
    retries: int = 3
    fallback: bool = False

    def __post_init__(self) -> None:
        tau: Any = self.tau
        known = tau == "auto" if isinstance(tau, str) else is_number(tau) and LEAST <= tau < np.inf
        if not known:
            raise ValueError(
                f"tau must be 'auto' or a positive finite number, got {tau!r} (least: {LEAST})"
            )
        number("rho", self.rho)
        choice("side", self.side, tuple(ENDS))
        whole("retries", self.retries, least=0)
        flag("fallback", self.fallback)

    @property
    def homogeneous(self) -> bool:
        return self.tau == "auto"

    def requires(self, problem: Problem) -> str:
        """Family of the tilted problem: rho > 0 makes a QP of an LP."""
        return problem.augmented if self.rho else problem.family

    def needs(self, problem: Problem) -> frozenset[Ability]:
        """Sizes of the data, for ``tau="auto"``."""
        return frozenset({Ability.SIZES} if self.tau == "auto" else ())

    def pullback(self, point: Solution, cotangent: Cotangent, backward: Backward) -> Pullback:
        """Differences of tilted solutions, or what stands for them; see ``Rule.pullback``."""
        tilt = untilted(point, cotangent, self.rho)
        how = self.side, self.retries, self.fallback
        tilting = Tilting(point, tilt, backward, *how)
        if isinstance(self.tau, str):
            family = measured(backward.problem, "tau='auto'")
            blind = family.linear and Ability.ADJOINT not in family.abilities
            return vertices(tilting, family.tilts) if blind else auto(tilting, cotangent)
        line = backward.line(cotangent, self.rho, sum(map(bool, ENDS[self.side])))
        ends = tilting.reach(np.full(len(point), float(self.tau)), line)
        terms, failed = tilting.difference(ends)
        short = tilting.drowned(ends.tau, line)
        if line is None or not short.any():
            return Pullback(terms, failed, ends.tau, ends.retries)
        found, lost = derivative(point, tilt, line)
        terms = [*only(terms, ~short), *only(found, short)]
        how_far = ends.tau, ends.retries
        return Pullback(terms, failed, *how_far, unverified=lost & short, stays=short)
