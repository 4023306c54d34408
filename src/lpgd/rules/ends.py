"""The tilted solutions whose difference is a gradient."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, final

import numpy as np

from lpgd.core.rule import Backward
from lpgd.core.scaling import LOST, top
from lpgd.core.solution import BoolArray, FloatArray, IntArray, Solution, Status, StatusArray
from lpgd.core.tilt import Adjoint, Cotangent, Term, Tilt

QUIET = np.errstate(all="ignore")  # the map judges terms that overflow
Side = Literal["average", "lower", "upper"]
SHORT = 1e-300  # a step must have a reciprocal
DROWNED = 2.0**-26  # share of x and y: a difference of shorter moves has more rounding than error
APART = 2.0**20  # rounding, relative to itself, that a derivative can do with
# Central differences of second and fourth order: places and weights, for a step of 1.
SECOND = ((1.0, 0.5), (-1.0, -0.5))
FOURTH = ((1.0, 2 / 3), (-1.0, -2 / 3), (2.0, -1 / 12), (-2.0, 1 / 12))
# Steps of the upper and the lower end of the difference, in units of tau.
ENDS: dict[Side, tuple[float, float]] = {
    "lower": (1.0, 0.0),
    "upper": (0.0, -1.0),
    "average": (1.0, -1.0),
}


@final
@dataclass(frozen=True)
class Ends:
    """The two ends of each row's difference, and the tau that it used."""

    hi: Solution
    lo: Solution
    tau: FloatArray
    retries: int = 0

    @property
    def solved(self) -> BoolArray:
        """Rows of which both ends are known."""
        return self.hi.solved & self.lo.solved

    def put(self, rows: IntArray, other: Ends) -> Ends:
        """These ends with some rows replaced, and the retries of both."""
        tau = self.tau.copy()
        tau[rows] = other.tau
        hi, lo = self.hi.put(rows, other.hi), self.lo.put(rows, other.lo)
        return Ends(hi, lo, tau, self.retries + other.retries)

    def take(self, rows: IntArray | BoolArray) -> Ends:
        """The ends of some rows, without their retries."""
        return Ends(self.hi.take(rows), self.lo.take(rows), self.tau[rows])


@final
@dataclass(frozen=True)
class Tilting:
    """How the rows of a cotangent are tilted.

    Attributes
    ----------
    point : Solution
        Forward solutions.
    tilt : Tilt
        The cotangents, with t = 0.
    backward : Backward
    side : {"average", "lower", "upper"}
    retries : int
        How often a row whose tilted solve fails is tried again with a quarter of its tau.
    fallback : bool
        Whether "average" may use the one side that works.
    """

    point: Solution
    tilt: Tilt
    backward: Backward
    side: Side
    retries: int
    fallback: bool

    def __len__(self) -> int:
        return len(self.point)

    def take(self, rows: IntArray) -> Tilting:
        """Some of the rows."""
        if len(rows) == len(self):
            return self
        return replace(self, point=self.point.take(rows), tilt=self.tilt.take(rows))

    def nowhere(self, tau: FloatArray) -> Ends:
        """Ends that are at x*."""
        return Ends(self.point, self.point, tau)

    def reach(self, tau: FloatArray, line: Adjoint | None = None) -> Ends:
        """Both ends of every row; where one fails, both at a quarter of tau, and so on.

        Within the reach of a ``line`` the ends are on it, and nothing is solved.
        """
        if line is not None and line.reach is not None:
            near = self._near(tau, line.reach)
            ends, rest = self._along(tau, line), np.flatnonzero(~near)
            return ends.put(rest, self.take(rest).reach(tau[rest])) if len(rest) else ends
        tau, retries = tau.copy(), 0
        hi, lo = self._solved(tau)
        for _ in range(self.retries):
            again = np.flatnonzero(~(hi.solved & lo.solved) & ~late(hi) & ~late(lo))
            if not len(again):
                break
            tau[again] /= 4
            retries += len(again)
            new = self.take(again)._solved(tau[again])
            hi, lo = hi.put(again, new[0]), lo.put(again, new[1])
        return Ends(hi, lo, tau, retries)

    def _near(self, tau: FloatArray, reach: FloatArray) -> BoolArray:
        """Rows whose ends are within a reach (N, 2)."""
        t_hi, t_lo = ENDS[self.side]
        return (-t_lo * tau <= reach[:, 0]) & (t_hi * tau <= reach[:, 1])

    @QUIET
    def drowned(self, tau: FloatArray, line: Adjoint | None) -> BoolArray:
        """Rows on a line that have the derivative in all digits that their difference has."""
        if line is None or line.reach is None:
            return np.zeros(len(tau), dtype=np.bool_)
        short = self._near(tau, line.reach)
        for part, move in ((self.point.x, line.a), (self.point.y, line.v)):
            short &= tau * top(move) <= DROWNED * top(part)
        return short

    @QUIET
    def _along(self, tau: FloatArray, line: Adjoint) -> Ends:
        t_hi, t_lo = ENDS[self.side]
        hi = moved(self.point, line, tau * t_hi) if t_hi else self.point
        return Ends(hi, moved(self.point, line, tau * t_lo) if t_lo else self.point, tau)

    def _solved(self, tau: FloatArray) -> tuple[Solution, Solution]:
        t_hi, t_lo = ENDS[self.side]
        if not t_lo:
            return self.backward.resolve(self.tilt.at(t_hi * tau)), self.point
        if not t_hi:
            return self.point, self.backward.resolve(self.tilt.at(t_lo * tau))
        both = self.backward.resolve(self.tilt.at(t_hi * tau).join(self.tilt.at(t_lo * tau)))
        return both.take(np.arange(len(tau))), both.take(np.arange(len(tau), len(both)))

    @QUIET
    def difference(self, ends: Ends) -> tuple[list[Term], StatusArray]:
        """The weighted Lagrangians whose gradient is that of the envelope, and what failed."""
        hi, lo = ends.hi, ends.lo
        failed = np.where(hi.solved, lo.status, hi.status)
        t_hi, t_lo = ENDS[self.side][0] * ends.tau, ENDS[self.side][1] * ends.tau
        if self.fallback:
            hi, t_hi = _retreat(hi, t_hi, self.point)
            lo, t_lo = _retreat(lo, t_lo, self.point)
            failed = np.where(t_hi > t_lo, Status.OPTIMAL, failed)
        weight = 1 / np.where((failed == Status.OPTIMAL) & (t_hi > t_lo), t_hi - t_lo, np.inf)
        terms = [Term(weight, hi, self.tilt.at(t_hi)), Term(-weight, lo, self.tilt.at(t_lo))]
        return terms, failed


def untilted(point: Solution, cotangent: Cotangent, rho: float) -> Tilt:
    """Tilts along a cotangent, of size zero."""
    zero = np.zeros(len(point))
    weight = zero + rho
    at = cotangent.rows, zero, cotangent.dx, cotangent.dy
    return Tilt(*at, weight, point.x, cotangent.ds)


@QUIET
def derivative(point: Solution, tilt: Tilt, adjoint: Adjoint) -> tuple[list[Term], BoolArray]:
    """The weighted Lagrangians whose gradient is the derivative; rows in which that drowns.

    The Lagrangian of a program with linear rows is quadratic in (x, y), so that the central
    difference of its gradient along the adjoint is its derivative, whatever the step. The step is
    chosen for the least rounding: as long as x or as y, in whatever units those are. What would
    drown the point in such a step, or vanish, for it is in other units, takes a step of its own:
    the derivative is the sum. A step that no number holds moves nothing: where no x moves, y starts
    from zero then, for the Lagrangian is linear in it. Other Lagrangians get a small step, and the
    difference of fourth order.
    """
    tilt, lost = replace(tilt, rho=np.zeros(len(point))), np.zeros(len(point), dtype=np.bool_)
    if adjoint.span is not None:
        return _central(point, tilt, adjoint, adjoint.span, FOURTH), lost
    turn, n = adjoint.v, point.x.shape[1]
    if adjoint.plain is not None:  # what is left out belongs to variables that do not move
        moves = np.any((adjoint.plain != point.y) & (tilt.dy != 0), axis=1)
        point = replace(point, y=np.where(moves[:, None], point.y, adjoint.plain))
    if tilt.ds is not None:  # the multipliers' own part of it
        turn, tilt = turn - tilt.ds, replace(tilt, ds=np.zeros_like(tilt.ds))
    here = _lengths(point)
    left, terms = np.concatenate([adjoint.a, turn], axis=1), list[Term]()
    speed = np.abs(left)
    step = _step(here, speed, n)
    still = (step >= 1 / SHORT) & ~np.logical_or.reduce(adjoint.a, axis=1)
    if still.any():
        lost |= still  # the adjoint itself may have underflowed in units so far apart
        point = replace(point, y=np.where(still[:, None], 0.0, point.y))
        here = _lengths(point)
        step = _step(here, speed, n)
    for last in (False, False, True):
        move = speed * step[:, None]
        drowned = (move > APART * here) & (here > 0) | (move < LOST) & (speed > 0)
        drowned &= not last
        now = np.where(drowned, 0.0, left)
        line = replace(adjoint, a=now[:, :n], v=now[:, n:])
        going: BoolArray = np.any(speed > 0, axis=1)
        lost |= going & (step >= 1 / SHORT)
        terms += only(_central(point, tilt, line, step, SECOND), going)
        if not drowned.any():
            break
        left = np.where(drowned, left, 0.0)
        speed = np.abs(left)
        step = _step(here, speed, n)
    return terms, lost


def _central(
    point: Solution,
    tilt: Tilt,
    line: Adjoint,
    step: FloatArray,
    stencil: tuple[tuple[float, float], ...],
) -> list[Term]:
    """The central difference along a line."""
    return [
        Term(weight / step, moved(point, line, node * step), tilt.at(node * step))
        for node, weight in stencil
    ]


def _lengths(point: Solution) -> FloatArray:
    """Sizes of x and y, (N, n + m); what has lost its digits is zero."""
    here = np.abs(np.concatenate([point.x, point.y], axis=1))
    return np.where(here < LOST, 0.0, here)


def _step(here: FloatArray, speed: FloatArray, n: int) -> FloatArray:
    """The longer of the steps along which x, the first n entries, and y move by their lengths."""
    here = np.where(speed > 0, here, 0.0)
    parts = [(top(here[:, part]), top(speed[:, part])) for part in (slice(n), slice(n, None))]
    rate = np.maximum(parts[0][1], parts[1][1])
    longest = np.zeros(len(here))
    for size, along in parts:
        longest = np.where((size > 0) & (along > 0), np.fmax(longest, size / along), longest)
    # of a point that is zero any will do
    either = np.where(rate > 0, 1 / rate, 1.0)
    return np.clip(np.where(longest > 0, longest, either), SHORT, 1 / SHORT)


def objective(term: Term) -> Term:
    """The term without its constraints: at y = 0 a Lagrangian is the objective."""
    none, tilt = np.zeros_like(term.weight), term.tilt
    ds = None if tilt.ds is None else np.zeros_like(tilt.ds)
    point = replace(term.point, y=np.zeros_like(term.point.y))
    return Term(term.weight, point, replace(tilt, t=none, ds=ds))


def only(terms: Iterable[Term], rows: BoolArray) -> list[Term]:
    """The terms of some rows; those of the others have no weight."""
    if rows.all():
        return list(terms)
    return [replace(term, weight=np.where(rows, term.weight, 0.0)) for term in terms]


def moved(point: Solution, line: Adjoint, t: FloatArray) -> Solution:
    """Points on a line."""
    step = t[:, None]
    return Solution(point.x + step * line.a, point.y + step * line.v, point.status)


def late(end: Solution) -> BoolArray:
    """Rows that ran out of time: the limit is not to be spent twice."""
    return end.status == Status.TIME_LIMIT


def _retreat(end: Solution, t: FloatArray, point: Solution) -> tuple[Solution, FloatArray]:
    """Move an end that has no solution back to the forward solution."""
    rows: IntArray = np.flatnonzero(~end.solved)
    return end.put(rows, point.take(rows)), np.where(end.solved, t, 0.0)
