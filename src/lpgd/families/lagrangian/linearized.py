"""The optimality conditions of a batch of Lagrangians to first order, kept with its solutions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from lpgd.core.blas import ONE_THREAD
from lpgd.core.params import Params, taken
from lpgd.core.solution import BoolArray, FloatArray, IntArray, Solution, Status
from lpgd.core.tilt import Adjoint, Cotangent
from lpgd.families.lagrangian.model import Curvature, Smooth
from lpgd.families.lagrangian.optimality import Conditions, extent
from lpgd.families.lagrangian.system import System
from lpgd.families.lagrangian.twins import fixed, single
from lpgd.families.quadratic.structure import QUIET

ACTIVE = 1e-7  # a relative slack or multiplier below this counts as zero
NOTHING = 1e-9  # and so does a move of a multiplier beside the largest
STEP, LEAST = 1e-3, 1e-6  # relative steps along an adjoint: the usual one, the shortest
APART = 4.0  # a step leaves entries of x this many times as far from zero as it is long


@final
class Linearized:
    """A ``Linearization`` of Lagrangians by dense matrices.

    Rows of equality, and those of inequality with a multiplier or without a slack, are held. What
    is given of the conditions is that of the elements with a usable point.
    """

    def __init__(
        self, problem: Smooth, params: Params, solution: Solution, at: Conditions | None = None
    ) -> None:
        self.problem, self.params, self.solution, self._given = problem, params, solution, at
        self._systems: dict[tuple[int, float], System] = {}

    @cached_property
    def _place(self) -> IntArray:
        """Where each element stands among those with a point."""
        place = np.full(len(self.solution), -1)
        place[self._usable] = np.arange(len(self._usable))
        return place

    @property
    def _usable(self) -> IntArray:
        return np.flatnonzero(self.solution.status <= Status.INACCURATE)

    @cached_property
    def at(self) -> Conditions:
        """The conditions at the points."""
        if self._given is not None:
            return self._given
        rows = self._usable
        params, point = taken(self.params, rows), self.solution.take(rows)
        return Conditions.of(self.problem, params, point)

    @cached_property
    def active(self) -> Active:
        """The held rows of these elements."""
        return Active.of(self.problem, self.at, self.solution.take(self._usable))

    def system(self, element: int, rho: float) -> System:
        """The conditions of an element, with a proximal term."""
        if (element, rho) not in self._systems:
            place = self._place[element]
            mine = Curvature(self.at.xx[place], self.at.yx[place], self.at.yy[place])
            self._systems[element, rho] = System.of(mine, self.active.held[place], rho)
        return self._systems[element, rho]

    def places(self, elements: IntArray) -> IntArray:
        """Where elements stand among those with a point."""
        return self._place[elements]

    def fixed(self, elements: IntArray) -> BoolArray:
        """Rows (N, m) of bounds that meet."""
        near = np.abs(self.at.slack[self._place[elements]]) <= ACTIVE
        return fixed(self.problem, near & self.problem.nonnegative)

    def held(self, elements: IntArray) -> BoolArray:
        """The held rows (N, m) of elements."""
        return self.active.held[self._place[elements]]

    def line(self, cotangent: Cotangent, rho: float) -> Adjoint | None:
        """None: curvature bends what is tilted at once; see ``predicted`` instead."""
        return None

    @ONE_THREAD
    @QUIET
    def adjoint(self, cotangent: Cotangent, rho: float) -> Adjoint:
        """See ``Linearization.adjoint``."""
        rows = cotangent.rows
        a, v = np.zeros_like(cotangent.dx), np.zeros_like(cotangent.dy)
        degenerate, unsure, strict = (np.zeros(len(rows), dtype=np.bool_) for _ in range(3))
        for row, element in enumerate(rows.tolist()):
            system = self.system(element, rho)
            a[row], v[row] = system.solve(-cotangent.dx[row], -cotangent.dy[row], safe=True)
            place = self._place[element]
            pull = np.abs(v[row]) * self.at.strength[place]
            degenerate[row] = (
                pull[self.active.weak[place]] > NOTHING * pull.max(initial=0.0)
            ).any()
            if not system.sound:
                degenerate[row] |= system.dependent
                unsure[row] = not degenerate[row]
            strict[row] = system.strict
        bent = np.logical_or.reduce(self.at.yy[self._place[rows]], axis=(1, 2))
        point = self.solution.take(rows)
        span = _span(point, a, np.where(bent[:, None], v, 0.0))
        return Adjoint(a, v, degenerate, unsure, strict, span=span)


@dataclass(frozen=True)
class Active:
    """Rows of N elements that are held, and those of them without a multiplier, (N, m) each."""

    held: BoolArray
    weak: BoolArray

    @classmethod
    def of(cls, problem: Smooth, at: Conditions, point: Solution) -> Active:
        """Read them off slacks and multipliers, the former being above the latter where small."""
        tight = ~(at.slack > ACTIVE) | ~problem.nonnegative
        loaded = (at.load(point.y) > ACTIVE) & problem.nonnegative
        held, weak = tight | loaded, tight & ~loaded & problem.nonnegative
        return cls(single(problem, held, point.y), weak & ~fixed(problem, held))


def _span(point: Solution, a: FloatArray, v: FloatArray) -> FloatArray:
    """A step along (a, v) that is short against x and y, and leaves signs of x alone.

    Where y enters linearly, any step of it is short: ``v`` is then zero.
    """
    steps = [_ratio(point.x, a), _ratio(point.y, v)]
    size = np.abs(point.x).max(axis=1, keepdims=True, initial=0.0)
    apart = np.abs(point.x) / np.where(a != 0, APART * np.abs(a), 0.0)
    apart = np.where(np.abs(point.x) > LEAST * size, apart, np.inf).min(axis=1, initial=np.inf)
    usual = np.minimum(*steps)
    span = np.clip(np.minimum(STEP * usual, apart), LEAST * usual, STEP * usual)
    return np.where(np.isfinite(span) & (span > 0), span, 1.0)


def _ratio(point: FloatArray, way: FloatArray) -> FloatArray:
    speed = np.abs(way).max(axis=1, initial=0.0)
    return np.where(speed > 0, extent(point) / np.where(speed > 0, speed, 1.0), np.inf)
