"""tau="auto": how far LPGD tilts each element."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast, final

import numpy as np

from lpgd.problems.base import Measured
from lpgd.rules.base import Backward
from lpgd.solution import BoolArray, FloatArray, IntArray, Solution
from lpgd.tilt import Tilt

SMALL = 1e-6  # first tilt, relative to the costs
LARGE = 1.0  # tilt of an element that is like an LP, relative to the costs
GROWTH, ROUNDS = 8.0, 3  # how often, and by what, it grows while the element does not move
MOVED = 1e-9  # change of x, relative to its size, below which it has not moved
FLAT = 1e-6  # share of curvature in the work of a tilt below which there is none


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

    def put(self, rows: IntArray, other: "Ends") -> "Ends":
        """These ends with some rows replaced."""
        tau = self.tau.copy()
        tau[rows] = other.tau
        hi, lo = self.hi.put(rows, other.hi), self.lo.put(rows, other.lo)
        return Ends(hi, lo, tau, self.retries + other.retries)

    def take(self, rows: IntArray | BoolArray) -> "Ends":
        """The ends of some rows, without their retries."""
        return Ends(self.hi.take(rows), self.lo.take(rows), self.tau[rows])


Reach = Callable[[IntArray, FloatArray], Ends]
"""Solves the tilted problems of some rows at a tau each."""


def auto(reach: Reach, point: Solution, tilt: Tilt, backward: Backward) -> tuple[Ends, BoolArray]:
    """Ends of every row at a tau of its own, and which rows are like an LP."""
    family = cast(Measured, backward.problem)
    params = {name: param.take(tilt.rows) for name, param in backward.params.items()}
    zero = np.zeros_like(point.x)
    linear = family.slope(params, zero)
    costs = np.maximum(_norm(linear), _norm(family.slope(params, point.x) - linear))
    costs = np.where(costs > 0, costs, 1.0)
    pull = np.maximum(_norm(tilt.dx), _norm(tilt.dy))
    full = costs / np.where(pull > 0, pull, 1.0)
    size = 1 + np.abs(point.x).max(axis=1, initial=0.0)

    def moved(rows: IntArray, ends: Ends) -> BoolArray:
        gap = np.maximum(
            np.abs(ends.hi.x - point.x[rows]).max(axis=1, initial=0.0),
            np.abs(ends.lo.x - point.x[rows]).max(axis=1, initial=0.0),
        )
        return gap > MOVED * size[rows]

    every = np.arange(len(point))
    ends = reach(every, SMALL * full)
    way = ends.hi.x - ends.lo.x
    still = ~moved(every, ends)
    way[still] = tilt.dx[still]
    bend = np.einsum("ni,ni->n", way, family.slope(params, way) - linear)
    work = np.abs(np.einsum("ni,ni->n", way, tilt.dx)) * ends.tau
    work[still] = (costs * np.maximum(_norm(way), 1e-300))[still]
    like_lp = ends.solved & (bend <= FLAT * work) & ~tilt.dy.any(axis=1)
    rows, tau = np.flatnonzero(like_lp), LARGE * full
    for _ in range(ROUNDS):
        if not len(rows):
            break
        further = reach(rows, tau[rows])
        good = further.solved
        ends = ends.put(rows[good], replace(further.take(good), retries=further.retries))
        rows = rows[good & ~moved(rows, further)]
        tau = tau * GROWTH
    return ends, like_lp


def _norm(vectors: FloatArray) -> FloatArray:
    return np.sqrt(np.einsum("ni,ni->n", vectors, vectors))
