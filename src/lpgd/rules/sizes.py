"""How large costs, tilts and moves of each row are, as tau="auto" needs to know."""

from dataclasses import dataclass, replace
from typing import final

import numpy as np

from lpgd.core.abilities import Measured, easing, measured
from lpgd.core.params import Params, taken
from lpgd.core.problem import users
from lpgd.core.rule import Backward
from lpgd.core.scaling import top
from lpgd.core.solution import BoolArray, FloatArray, IntArray, Solution
from lpgd.core.tilt import Adjoint, Tilt
from lpgd.rules.ends import ENDS, QUIET, Ends, Side

STILL = 10.0  # a move of at most so many times the accuracy is none
LEAST = 1e-6  # of x: how far a tilt that finds a derivative moves it
AGREE = 1e-3  # relative difference of moves that are alike
CLEAR = 0.1  # part of a move that may be rounding where it is to verify something
LEAP = 100.0  # a change of more than so many times the relative tilt is not smooth
ROUNDING = 1e-9  # relative move at a tilt as large as the costs that may be rounding
FLOOR = 1e-3  # least first tilt, relative to what the lengths of costs and cotangent suggest
TINY, HUGE = 1e-150, 1e300  # least size to divide by, largest tau
FLAT = 1e-6  # share of curvature in the work of a tilt up to which there is none


@final
@dataclass(frozen=True)
class Sizes:
    """What N rows are measured by.

    Attributes
    ----------
    family : Measured
    params : Params
        The data of each row.
    point : Solution
    tilt : Tilt
    dx : (N, n) float64
        Cotangent of x, that of the slacks folded in.
    linear : (N, n) float64
        Gradient of the objective at zero.
    mine : (n,) bool and (m,) bool
        Entries of x and y that are the user's own: moves count over these only.
    costs : (N,) float64
        The larger of ||q||, ||Px*|| and rho ||x*|| over the user's entries, or where those have no
        costs over all.
    priced : (N,) bool
        Whether there are any.
    work : (N,) float64
        |q|'|x*| + |Px*|'|x*|, in which no unit of a variable counts.
    accuracy : (N,) float64
        Relative error of the solution.
    y : (N, m) float64
        Multipliers by size; those of costs out of proportion are left out, see ``Easing``.
    less : (N,) float64
        Of LPs, ``costs`` without those that are out of proportion; zero where there are none.
    """

    family: Measured
    params: Params
    point: Solution
    tilt: Tilt
    mine: tuple[BoolArray, BoolArray]
    dx: FloatArray
    linear: FloatArray
    costs: FloatArray
    priced: BoolArray
    work: FloatArray
    accuracy: FloatArray
    y: FloatArray
    less: FloatArray

    @classmethod
    @QUIET
    def of(
        cls, point: Solution, tilt: Tilt, backward: Backward, family: Measured | None = None
    ) -> "Sizes":
        """Measure the rows of a cotangent, by what the family can do for a rule if not given."""
        family = family or measured(backward.problem, "tau='auto'")
        params = taken(backward.params, tilt.rows)
        of, y, eased = easing(backward.problem), point.y, params
        if of is not None:
            eased, settled = of.settled(params, point)
            if not (family.linear and family.polyhedral):  # a vertex may depend on all its costs
                params, y = eased, settled.y
        zero = np.zeros_like(point.x)
        linear, dx = family.slope(params, zero), tilt.dx
        if tilt.ds is not None:
            none = np.zeros(len(tilt))
            unit = replace(tilt, t=none + 1, dy=np.zeros_like(tilt.dy), rho=none)
            tilted, data = family.tilt(backward.params, unit)
            folded = measured(tilted, "tau='auto'").slope(data, zero) - linear
            dx = np.where(np.any(tilt.ds, axis=1)[:, None], folded, dx)  # else it would be rounded
        curved = family.slope(params, point.x) - linear
        mine, pull = users(family), (linear, curved, tilt.rho[:, None] * point.x)
        costs = _longest(*(part * mine[0] for part in pull))
        costs = np.where(costs > 0, costs, _longest(*pull))  # of the user's entries; else of all
        priced = costs > 0
        costs = np.where(priced, costs, 1.0)  # without any there is nothing to go by
        work = dot(np.abs(linear) + np.abs(curved), np.abs(point.x))
        accuracy = backward.accuracy[tilt.rows]
        less = np.zeros_like(costs)
        if eased is not params:
            pull = (family.slope(eased, zero), *pull[1:])
            less = _longest(*(part * mine[0] for part in pull))
            less = np.where(less < costs, less, 0.0)
        measures = linear, costs, priced, work, accuracy, y, less
        return cls(family, params, point, tilt, mine, dx, *measures)

    @property
    def step(self) -> FloatArray:
        """How far a tilt that finds a derivative moves x, and changes other data, relatively."""
        return np.maximum(np.sqrt(self.accuracy), LEAST)

    @QUIET
    def gentle(self, a: FloatArray) -> FloatArray:
        """The tau at which rows that move by tau a move by a small step; by their costs if none.

        Small beside x, or if that is next to nothing, beside its move by a tilt of the costs' size.
        """
        speed, size = top(a[:, self.mine[0]]), self.reach
        most = speed * self.large
        nothing = self.priced & (size < LEAST * most) & np.isfinite(most)
        size = np.where(nothing, most, size)
        known = np.isfinite(speed) & (speed * self.small > LEAST * self.step * size)
        return np.where(known, self.step * size / _some(speed), self.small)

    @property
    def reach(self) -> FloatArray:
        """Size of x, over the user's entries."""
        size = top(self.point.x[:, self.mine[0]])
        return np.where(size > 0, size, 1.0)

    @QUIET
    def still(self, a: FloatArray) -> BoolArray:
        """Whether x does not move at the rate ``a`` but by rounding."""
        speed = top(a[:, self.mine[0]])
        return speed * self.large <= np.maximum(STILL * self.accuracy, ROUNDING) * self.reach

    @property
    @QUIET
    def large(self) -> FloatArray:
        """The tau at which the tilt is as large as the costs."""
        return np.minimum(self.costs / _some(norm(self.dx)), HUGE)

    @property
    def ladder(self) -> list[FloatArray]:
        """Large tau, one after the other; zero for rows that need not try."""
        bases = [self.large]
        if self.less.any():
            bases.insert(0, replace(self, costs=self.less).large)
        return [multiple * base for base in bases for multiple in self.family.tilts]

    @property
    @QUIET
    def small(self) -> FloatArray:
        """The tau of the first tilt: small against the costs and against the right-hand sides."""
        pulled = dot(np.abs(self.dx), np.abs(self.point.x))
        known = (pulled > 0) & (self.work > 0)
        share = np.where(known, self.work / _some(pulled), np.inf)
        tau = np.where(self.dx.any(axis=1), np.clip(share, FLOOR * self.large, self.large), np.inf)
        shift = norm(self.tilt.dy)
        if shift.any():
            tau = np.minimum(tau, np.where(shift > 0, self._sides() / _some(shift), np.inf))
        return self.step * np.minimum(tau, HUGE)

    @QUIET
    def _sides(self) -> FloatArray:
        """Size of the right-hand sides that are shifted, and of what stands beside them."""
        zero = np.zeros_like(self.point.x)
        sides = self.family.slacks(self.params, zero)
        sizes = np.maximum(
            np.abs(sides), np.abs(self.family.slacks(self.params, self.point.x) - sides)
        )
        sizes = np.where(np.isfinite(sizes), sizes, 0.0)  # of infinite bounds
        shifted, every = norm(sizes * (self.tilt.dy != 0)), norm(sizes)
        return np.where(shifted > 0, shifted, np.where(every > 0, every, 1.0))

    @property
    def primal(self) -> BoolArray:
        """Rows in which the loss pulls at x, and at nothing else."""
        return (norm(self.dx) > 0) & (norm(self.tilt.dy) == 0)

    @property
    def smoothed(self) -> BoolArray:
        """Rows of an LP that rho > 0 smooths."""
        if self.family.family != "LP":
            return np.zeros(len(self.tilt), dtype=np.bool_)
        return self.primal & (self.tilt.rho > 0)

    @QUIET
    def moved(self, end: Solution, rows: IntArray | None = None) -> BoolArray:
        """Whether an end of all or of some rows is away from x*."""
        start = self.point.x if rows is None else self.point.x[rows]
        accuracy = self.accuracy if rows is None else self.accuracy[rows]
        size = self.reach if rows is None else self.reach[rows]
        move = top((end.x - start)[:, self.mine[0]])
        return move > STILL * accuracy * size

    @QUIET
    def alike(self, ends: Ends, side: Side) -> BoolArray:
        """Rows both of whose ends move alike along the cotangent, so that it is no kink."""
        rates, noise = self._rates(ends, side)
        gap = np.abs(rates.max(axis=0) - rates.min(axis=0))
        known = ends.solved & (ends.tau > 0) & (len(rates) > 1)
        return known & (gap <= AGREE * np.abs(rates).max(axis=0) + noise)

    @QUIET
    def agree(self, adjoint: Adjoint, ends: Ends, side: Side) -> BoolArray:
        """Rows whose ends move along the cotangent as the adjoint says."""
        rates, noise = self._rates(ends, side)
        rate = dot(self.dx, adjoint.a) + dot(self.tilt.dy, adjoint.v)
        near = (np.abs(rates - rate) <= AGREE * np.abs(rate) + noise).all(axis=0)
        stays = self.still(adjoint.a) & ~(self.moved(ends.hi) | self.moved(ends.lo))
        return near & ends.solved & (ends.tau > 0) & ((noise <= CLEAR * np.abs(rate)) | stays)

    @QUIET
    def _rates(self, ends: Ends, side: Side) -> tuple[FloatArray, FloatArray]:
        """Moves along the cotangent by tau of each end that moves, and what may be rounding."""
        tau = np.where(ends.tau > 0, ends.tau, 1.0)
        rates = [
            dot(self.dx, end.x - self.point.x) + dot(self.tilt.dy, end.y - self.point.y)
            for end in (ends.hi, ends.lo)
        ]
        terms = dot(np.abs(self.dx), np.abs(self.point.x))
        terms += dot(np.abs(self.tilt.dy), np.abs(self.point.y))
        used = [rate / (t * tau) for rate, t in zip(rates, ENDS[side], strict=True) if t]
        return np.stack(used), STILL * self.accuracy * terms / tau

    @QUIET
    def bent(self, way: FloatArray, tau: FloatArray) -> BoolArray:
        """Whether the objective has curvature along a way (N, n) that a tilt went."""
        bend = dot(way, self.family.slope(self.params, way) - self.linear)
        return bend > FLAT * tau * np.abs(dot(way, self.dx))

    @QUIET
    def steady(self, adjoint: Adjoint, ends: Ends, side: Side) -> BoolArray:
        """Whether multipliers change no more than smooth ones would, or as the adjoint says."""
        theirs = self.mine[1]
        leap = LEAP * self.step * top(self.y[:, theirs])
        smooth = top((ends.hi.y - ends.lo.y)[:, theirs]) <= leap
        return smooth | self._followed(adjoint, ends, side)

    def _followed(self, adjoint: Adjoint, ends: Ends, side: Side) -> BoolArray:
        """Rows whose multipliers move as the adjoint says: zero ones have no other size."""
        tau, theirs = np.where(ends.tau > 0, ends.tau, 1.0)[:, None], self.mine[1]
        gaps = [
            top(((end.y - self.point.y) / (t * tau) - adjoint.v)[:, theirs])
            for end, t in zip((ends.hi, ends.lo), ENDS[side], strict=True)
            if t
        ]
        noise = STILL * self.accuracy * top(self.y) / tau[:, 0]
        near = np.max(gaps, axis=0) <= AGREE * top(adjoint.v[:, theirs]) + noise
        return near & ends.solved & (ends.tau > 0)


@QUIET
def norm(vectors: FloatArray) -> FloatArray:
    """Euclidean length of each row, also where squares would overflow."""
    most = top(vectors)
    scaled = vectors / np.where(most > 0, most, 1.0)[:, None]
    return most * np.sqrt(dot(scaled, scaled))


def _longest(*vectors: FloatArray) -> FloatArray:
    """Largest Euclidean length of each row of several arrays."""
    return np.maximum.reduce(norm(np.concatenate(vectors)).reshape(len(vectors), -1))


def _some(sizes: FloatArray) -> FloatArray:
    """Sizes to divide by: those of nothing, or next to it, are bounded from below."""
    return np.where(sizes > 0, np.maximum(sizes, TINY), 1.0)


def dot(a: FloatArray, b: FloatArray) -> FloatArray:
    """Inner product of each pair of rows."""
    return np.einsum("ni,ni->n", a, b)
