"""Lagrangian proximal gradient descent: tilt, re-solve, difference of Lagrangian gradients."""

from dataclasses import dataclass, replace
from typing import Literal, final

import numpy as np

from lpgd.core.problem import Ability, Problem
from lpgd.core.public import public
from lpgd.core.rule import Backward, Pullback, Rule, is_count, is_number
from lpgd.core.solution import BoolArray, FloatArray, IntArray, Solution, Status
from lpgd.core.tilt import Cotangent, Term, Tilt
from lpgd.rules.auto import Ends, auto, objective

Side = Literal["average", "lower", "upper"]

LEAST = 1e-300  # a smaller tau has no reciprocal
# Steps of the upper and the lower end of the difference, in units of tau.
ENDS: dict[Side, tuple[float, float]] = {
    "lower": (1.0, 0.0),
    "upper": (0.0, -1.0),
    "average": (1.0, -1.0),
}


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
        larger than the same loss summed. ``"auto"`` sizes each element's tilt by its costs.
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
        if self.tau != "auto" and not (is_number(self.tau) and LEAST <= self.tau < np.inf):
            raise ValueError(
                f"tau must be 'auto' or a positive finite number, got {self.tau!r} (least: {LEAST})"
            )
        if not (is_number(self.rho) and 0 <= self.rho < np.inf):
            raise ValueError(f"rho must be a finite number >= 0, got {self.rho!r}")
        if self.side not in ENDS:
            raise ValueError(f"side must be one of {sorted(ENDS)}, got {self.side!r}")
        if not (is_count(self.retries)):
            raise ValueError(f"retries must be an int >= 0, got {self.retries!r}")

    def requires(self, problem: Problem) -> str:
        """Family of the tilted problem: rho > 0 makes a QP of an LP."""
        return problem.augmented if self.rho else problem.family

    def needs(self, problem: Problem) -> frozenset[Ability]:
        """Sizes of the data, for ``tau="auto"``."""
        return frozenset({Ability.SIZES} if self.tau == "auto" else ())

    def pullback(self, point: Solution, cotangent: Cotangent, backward: Backward) -> Pullback:
        """Re-solve the tilted problems of all rows; see ``Rule.pullback``."""
        size = len(point)
        tilt = Tilt(
            cotangent.rows, np.zeros(size), cotangent.dx, cotangent.dy,
            np.full(size, float(self.rho)), point.x, cotangent.ds,
        )  # fmt: skip

        def reach(rows: IntArray, tau: FloatArray) -> Ends:
            some = (point, tilt) if len(rows) == size else (point.take(rows), tilt.take(rows))
            return self._reach(*some, tau, backward)

        if not isinstance(self.tau, str):
            ends = reach(np.arange(size), np.full(size, float(self.tau)))
            return self._difference(ends, point, tilt)
        lead = "lo" if self.side == "upper" else "hi"
        choice = auto(reach, point, tilt, backward, lead)
        pulled = self._difference(choice.ends, point, tilt)
        terms = list(pulled.terms)
        if choice.extra is not None:
            extra = self._difference(choice.extra, point, tilt)
            terms += [objective(term) for term in extra.terms]
        return replace(
            pulled, terms=terms, tau=choice.tau, retries=choice.retries,
            degenerate=choice.like_lp, stays=~choice.stuck,
        )  # fmt: skip

    def _difference(self, ends: Ends, point: Solution, tilt: Tilt) -> Pullback:
        """The weighted Lagrangians whose gradient is that of the envelope."""
        hi, lo, tau = ends.hi, ends.lo, ends.tau
        failed = np.where(hi.solved, lo.status, hi.status)
        t_hi, t_lo = (tau * end for end in ENDS[self.side])
        if self.fallback:
            hi, t_hi = _retreat(hi, t_hi, point)
            lo, t_lo = _retreat(lo, t_lo, point)
            failed = np.where(t_hi > t_lo, Status.OPTIMAL, failed)
        weight = 1 / np.where(failed == Status.OPTIMAL, t_hi - t_lo, np.inf)
        terms = [Term(weight, hi, tilt.at(t_hi)), Term(-weight, lo, tilt.at(t_lo))]
        return Pullback(terms, failed, tau, ends.retries)

    def _reach(self, point: Solution, tilt: Tilt, tau: FloatArray, backward: Backward) -> Ends:
        """Both ends of every row; where one fails, both at a quarter of tau, and so on."""
        tau, retries = tau.copy(), 0
        hi, lo = self._ends(point, tilt, tau, backward)
        for _ in range(self.retries):
            again = np.flatnonzero(~(hi.solved & lo.solved) & ~_late(hi) & ~_late(lo))
            if not len(again):
                break
            tau[again] /= 4
            retries += len(again)
            new = self._ends(point.take(again), tilt.take(again), tau[again], backward)
            hi, lo = hi.put(again, new[0]), lo.put(again, new[1])
        return Ends(hi, lo, tau, retries)

    def _ends(
        self, point: Solution, tilt: Tilt, tau: FloatArray, backward: Backward
    ) -> tuple[Solution, Solution]:
        t_hi, t_lo = (end * tau for end in ENDS[self.side])
        if not t_lo.any():
            return backward.resolve(tilt.at(t_hi)), point
        if not t_hi.any():
            return point, backward.resolve(tilt.at(t_lo))
        both = backward.resolve(tilt.at(t_hi).join(tilt.at(t_lo)))
        return both.take(np.arange(len(tau))), both.take(np.arange(len(tau), len(both)))


def _late(end: Solution) -> BoolArray:
    """Rows that ran out of time: the limit is not to be spent twice."""
    return end.status == Status.TIME_LIMIT


def _retreat(end: Solution, t: FloatArray, point: Solution) -> tuple[Solution, FloatArray]:
    """Move an end that has no solution back to the forward solution."""
    rows: IntArray = np.flatnonzero(~end.solved)
    return end.put(rows, point.take(rows)), np.where(end.solved, t, 0.0)
