"""Which rows of solved programs are active, and how far a direction is from changing that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from lpgd.core.params import Param, Params
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
        tight = slacks <= ACTIVE * _sizes(problem, params, point.x)
        pull = y * _strengths(problem, params)  # which no unit of a row changes
        most = np.maximum(_top(pull), _top(params["q"].full()))
        loaded = pull > ACTIVE * most[:, None]
        equal = slice(0, problem.cones.zero)
        tight[:, equal] = True
        held, weak = tight | loaded, tight & ~loaded
        weak[:, equal] = False
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


def _sizes(problem: Structure, params: Params, x: FloatArray) -> FloatArray:
    """What slacks are measured by, (N, m)."""
    sizes = np.ones((len(x), problem.m))
    for name, block in problem.blocks.items():
        if name == "G":
            sizes[:, block] = _row_sizes(problem, params, np.abs(x))
        elif name != "A":  # a bound far from x has no say in what is near it
            rounding = (EPS / ACTIVE) * _top(x)[:, None]
            sizes[:, block] = np.minimum(np.abs(params[name].full()), np.abs(x)) + rounding
    return sizes


def _row_sizes(problem: Structure, params: Params, x: FloatArray) -> FloatArray:
    matrix, sides = params["G"], np.abs(params["h"].full())
    absolute = Param(np.abs(matrix.values), matrix.index).full()
    pattern = problem.patterns.get("G")
    reach = pattern.product(absolute, x) if pattern else (absolute @ x[:, :, None])[..., 0]
    return np.maximum(sides, reach)


def _strengths(problem: Structure, params: Params) -> FloatArray:
    """The largest entry of each row, (N, m)."""
    sizes = np.ones((len(params["q"].index), problem.m))
    for name in problem.blocks.keys() & {"A", "G"}:
        values = np.abs(params[name].values)
        if name in problem.patterns:
            pattern = problem.patterns[name]
            largest = np.zeros((len(values), pattern.shape[0]))
            np.maximum.at(largest.T, pattern.rows, values.T)
        else:
            largest = values.max(axis=2, initial=0.0)
        sizes[:, problem.blocks[name]] = largest[params[name].index]
    return sizes


def _top(values: FloatArray) -> FloatArray:
    return np.abs(values).max(axis=1, initial=0.0)
