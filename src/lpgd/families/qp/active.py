"""Which rows of solved programs are active, and how far a direction is from changing that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from lpgd.core.params import Params, taken
from lpgd.core.scaling import least, lengths, top
from lpgd.core.solution import BoolArray, FloatArray, Rows, Solution
from lpgd.families.quadratic import alike
from lpgd.families.quadratic.products import Values
from lpgd.families.quadratic.structure import Structure

ACTIVE = 1e-7  # a slack or multiplier below this, relative to its own data, counts as zero
FAINT = 1e-15  # a multiplier above this counts where it is felt
FELT = 1e-3  # share of the forces on a variable that is felt
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
        strengths = _strengths(problem, params)
        pull = y * strengths  # which no unit of a row changes
        most = np.maximum(top(pull), top(params["q"].full()))
        loaded = pull > ACTIVE * most[:, None]
        faint = ~loaded & (pull > FAINT * most[:, None])
        some = np.flatnonzero(np.logical_or.reduce(faint, axis=1))
        if len(some):
            loaded[some] |= faint[some] & _felt(problem, taken(params, some), point.take(some))
        rest = np.where(loaded, np.inf, slacks)
        x = np.abs(point.x)
        tight = rest <= ACTIVE * _sizes(problem, params, x, rest, strengths)
        tight &= rest < np.inf  # else the row is none
        tight = _bounded(problem, params, x, rest, tight)
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
        fall = np.where(self.held, -v, rate)
        fall[:, :equalities] = 0.0
        spans = np.maximum(np.where(self.held, y, self.slacks), 0.0) / np.abs(fall)
        sides = [np.where(side, spans, np.inf) for side in (fall < 0, fall > 0)]
        reach = np.stack([SURE * least(side) for side in sides], axis=1)
        reach[self.fixed.any(axis=1)] = 0.0
        return reach


def _felt(problem: Structure, params: Params, point: Solution) -> BoolArray:
    """Multipliers (N, m) that hold a variable, whatever the forces on others: units differ."""
    values = Values(problem, params).absolute()
    forces = np.abs(params["q"].full()) + values.curve(np.abs(point.x)) + values.pull(point.y)
    each = np.where(forces > 0, 1 / np.where(forces > 0, forces, 1.0), 0.0)
    return point.y * np.abs(values.product(each)) >= FELT


def _strengths(problem: Structure, params: Params) -> FloatArray:
    """Lengths of rows (N, m), within a factor sqrt(n)."""
    sizes = np.ones((len(params["q"].index), problem.m))
    for name in problem.blocks.keys() & {"A", "G"}:
        values = params[name].values
        if name in problem.patterns:
            own = problem.patterns[name].tops_of_rows(np.abs(values))
        else:
            own = lengths(values)
        sizes[:, problem.blocks[name]] = own[params[name].index]
    return sizes


def _sizes(
    problem: Structure, params: Params, x: FloatArray, slacks: FloatArray, strengths: FloatArray
) -> FloatArray:
    """What slacks are measured by, (N, m); zero where they are large beside it in any case."""
    sizes = np.zeros(slacks.shape)
    most, far = top(x)[:, None], 2 * ACTIVE * problem.n
    for name, block in problem.blocks.items():
        if name == "G":
            near = slacks[:, block] <= far * strengths[:, block] * most
            sizes[:, block] = _row_sizes(problem, params, x, near)
        elif name != "A":  # x is as large as a bound that it is at
            sizes[:, block] = x + (EPS / ACTIVE) * most
    return sizes


def _bounded(
    problem: Structure, params: Params, x: FloatArray, slacks: FloatArray, tight: BoolArray
) -> BoolArray:
    """Tight rows (N, m), without bounds that x is near in units of the largest x alone.

    Where these differ from those of variables, it is by rounding in units that are alike.
    """
    bounds = [problem.blocks[name] for name in problem.blocks.keys() & {"lb", "ub"}]
    near = [
        (tight[:, block] & (slacks[:, block] > ACTIVE * x)).any(axis=1)
        for block in bounds
        if tight[:, block].any()
    ]
    some = np.flatnonzero(sum(near))
    columns = alike.units(Values(problem, taken(params, some))) if len(some) else np.zeros(0)
    if not columns.any():
        return tight
    most = np.ldexp(top(np.ldexp(x[some], -columns))[:, None], columns)
    for block in bounds:
        tight[some, block] &= slacks[some, block] <= ACTIVE * x[some] + EPS * most
    return tight


def _row_sizes(problem: Structure, params: Params, x: FloatArray, near: BoolArray) -> FloatArray:
    """The larger of |h| and |G| |x|, the latter of dense rows that are near alone."""
    values, index, sides = params["G"].values, params["G"].index, np.abs(params["h"].full())
    if "G" in problem.patterns:
        return np.maximum(sides, problem.patterns["G"].product(np.abs(values)[index], x))
    element, row = np.nonzero(near)
    sizes = sides.copy()
    if len(row):
        terms = np.einsum("kj,kj->k", np.abs(values[index[element], row]), x[element])
        sizes[element, row] = np.maximum(sides[element, row], terms)
    return sizes
