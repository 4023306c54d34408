"""Which rows of solved programs are active, and how far a direction is from changing that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from lpgd.core.params import Params
from lpgd.core.scaling import top
from lpgd.core.solution import BoolArray, FloatArray, Rows, Solution
from lpgd.families.quadratic.structure import Structure

ACTIVE = 1e-7  # a slack or multiplier below this, relative to its own data, counts as zero
EPS = 1e-9  # rounding in x, relative to its largest entry
SURE = 1 - 1e-9  # of a breakpoint: nearer to it rounding decides


@final
@dataclass(frozen=True)
class Active(Rows):
    """Active rows of N elements.

    Attributes
    ----------
    held : (N, m) bool
        Equalities, and inequalities that are tight or have a multiplier.
    weak : (N, m) bool
        Inequalities that are tight without a multiplier.
    fixed : (N, n) bool
        Variables both of whose bounds are held: an equality, and never weak.
    slacks : (N, m) float64
    """

    held: BoolArray
    weak: BoolArray
    fixed: BoolArray
    slacks: FloatArray

    @classmethod
    def of(cls, problem: Structure, params: Params, point: Solution) -> Active:
        """Those of N points of programs with linear rows."""
        y, slacks = point.y, problem.slacks(params, point.x)
        pull = _pulls(problem, params, y)
        most = np.maximum(top(pull), top(params["q"].full()))
        loaded = pull > ACTIVE * most[:, None]
        tight = _tight(problem, params, point.x, np.where(loaded, np.inf, slacks))
        equal = slice(0, problem.cones.zero)
        held, weak = tight | loaded, tight
        held[:, equal], weak[:, equal] = True, False
        fixed = np.zeros(point.x.shape, dtype=np.bool_)
        if {"lb", "ub"} <= problem.blocks.keys():
            lower, upper = problem.blocks["lb"], problem.blocks["ub"]
            fixed = held[:, lower] & held[:, upper]
            weak[:, lower] &= ~fixed
            weak[:, upper] &= ~fixed
        return cls(held, weak, fixed, slacks)

    def reach(self, equalities: int, y: FloatArray, v: FloatArray, rate: FloatArray) -> FloatArray:
        """Up to which |t| the held rows stay those of x* + t a and y* + t v, (N, 2).

        The slacks fall by t times ``rate`` (N, m). The first column belongs to t < 0 (math page,
        section 11). Zero where a variable is fixed, whose two multipliers share one change.
        """
        reach = np.empty((len(y), 2))
        for column, sign in ((0, -1.0), (1, 1.0)):
            fall = np.where(self.held, -sign * v, sign * rate)
            fall[:, :equalities] = 0.0
            left = np.where(self.held, y, self.slacks)
            spans = np.where(fall > 0, np.maximum(left, 0.0) / fall, np.inf)
            reach[:, column] = SURE * spans.min(axis=1, initial=np.inf)
        reach[self.fixed.any(axis=1)] = 0.0
        return reach


def _tight(problem: Structure, params: Params, x: FloatArray, slacks: FloatArray) -> BoolArray:
    """Which inequalities have a slack that is none beside their terms, (N, m)."""
    sizes, size = np.zeros(slacks.shape), np.abs(x)
    for name, block in problem.blocks.items():
        if name == "G":
            sizes[:, block] = _row_sizes(problem, params, size, slacks[:, block])
        elif name != "A":  # a bound far from x has no say in what is near it
            rounding = (EPS / ACTIVE) * top(x)[:, None]
            sizes[:, block] = np.minimum(np.abs(params[name].full()), size) + rounding
    return (slacks <= ACTIVE * sizes) & (slacks < np.inf)  # of a row that is none


def _row_sizes(problem: Structure, params: Params, x: FloatArray, slacks: FloatArray) -> FloatArray:
    """The largest terms of rows G x <= h, of those alone whose slacks may be small beside them."""
    (values, index), sides = (params["G"].values, params["G"].index), np.abs(params["h"].full())
    if "G" in problem.patterns:
        return np.maximum(sides, problem.patterns["G"].product(np.abs(values)[index], x))
    most = np.maximum(values.max(initial=0.0), -values.min(initial=0.0))
    few = ~(slacks > 2 * ACTIVE * np.maximum(sides, most * x.sum(axis=1, keepdims=True)))
    element, row = np.nonzero(few)
    terms = np.einsum("kj,kj->k", np.abs(values[index[element], row]), x[element])
    sizes = np.zeros(slacks.shape)
    sizes[element, row] = np.maximum(sides[element, row], terms)
    return sizes


def _pulls(problem: Structure, params: Params, y: FloatArray) -> FloatArray:
    """Multipliers times the largest entry of their rows, (N, m): no unit of a row changes them."""
    pulls = y.copy()
    for name in problem.blocks.keys() & {"A", "G"}:
        block, values, index = problem.blocks[name], params[name].values, params[name].index
        if name in problem.patterns:
            pattern = problem.patterns[name]
            largest = np.zeros((len(values), pattern.shape[0]))
            np.maximum.at(largest.T, pattern.rows, np.abs(values).T)
        else:  # of rows without multipliers it does not matter
            largest = np.zeros(values.shape[:2])
            element, row = np.nonzero(y[:, block])
            largest[index[element], row] = 1.0
            matrix, row = np.nonzero(largest)
            largest[matrix, row] = top(values[matrix, row])
        pulls[:, block] *= largest[index]
    return pulls
