"""Costs out of all proportion, of variables that lie at a bound because of them.

A cost of 1e9 stands for "never": it holds x_j at a bound, a row s_i = r_i - c x_j >= 0 with no
other variable and c q_j < 0, or one with s_i = 0. Beside it all other costs are rounding, for
solvers, residuals and rules. A solution x, y of the program with d less of it, where s_i = 0, is
one of the program itself with d / |c| more of y_i: stationarity of x_j balances, and y_i s_i = 0 as
before. In curved cones a multiplier may take the costs where there is slack: x_j must be at zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np

from lpgd.core.params import Params, batched, flat, taken
from lpgd.core.scaling import GAP, LOST, Exponents, before_gap, least, top
from lpgd.core.solution import BoolArray, FloatArray, IntArray, Solution
from lpgd.families.conic.cones import order_of, triangle
from lpgd.families.quadratic import alike
from lpgd.families.quadratic.products import SIDES, SMALL, Values, nearest
from lpgd.families.quadratic.rows import Rows

NEAR = 1e3  # times as large as all others, to what it is brought
TIGHT = 1e-9  # slack of a row of a curved cone that holds its variable, relative to x
ROUNDING = 4 * np.finfo(np.float64).eps  # of the side of a row
HELD = 0.5  # share of the costs that multipliers of its bounds take, where they hold a variable
AGREE = 1e-6  # of a multiplier, which stationarity of its variable gives more exactly


@final
@dataclass(frozen=True)
class Holds:
    """Rows that can hold a single variable against its costs, one an entry.

    Attributes
    ----------
    element, row, column : (k,) int
    entry, side : (k,) float64
        c and r.
    factor : (k,) float64
        What a multiplier of one takes of the costs: |c|, of equalities perhaps less than nothing.
    """

    element: IntArray
    row: IntArray
    column: IntArray
    entry: FloatArray
    side: FloatArray
    factor: FloatArray

    @classmethod
    def of(cls, values: Values, q: FloatArray, sides: FloatArray) -> Holds:
        """Those of N programs with costs and right-hand sides (N, n) and (N, m)."""
        parts = [_entries(values, name, q) for name in values.of.blocks]
        element = np.concatenate([part[0] for part in parts])
        row = np.concatenate([part[1] for part in parts])
        column = np.concatenate([part[2] for part in parts])
        entry = np.concatenate([part[3] for part in parts])
        side, factor = sides[element, row], -np.sign(q[element, column]) * entry
        against = (factor > 0) | ((row < values.of.cones.zero) & (factor != 0))
        holds = cls(element, row, column, entry, side, factor)
        return holds.take(against & np.isfinite(side))

    def take(self, rows: BoolArray | IntArray) -> Holds:
        """Some of them."""
        element, row, column = self.element[rows], self.row[rows], self.column[rows]
        entry, side, factor = self.entry[rows], self.side[rows], self.factor[rows]
        return Holds(element, row, column, entry, side, factor)

    def tight(self, of: Rows, x: FloatArray, share: float = 0.0) -> Holds:
        """Without rows of curved cones with a slack, relative to x (N, n), above that share."""
        curved = self.row >= of.cones.zero + of.cones.nonneg
        if not curved.any():
            return self
        room = share * np.abs(self.entry) * top(x)[self.element]
        return self.take(~curved | (self.slack(x) <= room) | self.met(x))

    def slack(self, x: FloatArray) -> FloatArray:
        """What is left to them at points x (N, n), (k,)."""
        return self.side - self.entry * x[self.element, self.column]

    def met(self, x: FloatArray) -> BoolArray:
        """Which have no slack but rounding, (k,)."""
        return self.slack(x) <= ROUNDING * np.abs(self.side)

    def pulls(self, y: FloatArray, n: int) -> FloatArray:
        """How much of the costs of each variable their multipliers (N, m) take, (N, n)."""
        found = np.zeros((len(y), n))
        np.add.at(found, (self.element, self.column), y[self.element, self.row] * self.factor)
        return found

    def shared(self, y: FloatArray, pulls: FloatArray, wanted: FloatArray) -> FloatArray:
        """Multipliers in proportion, so that instead of ``pulls`` (N, n) there are the wanted."""
        y, at = np.array(y), (self.element, self.column)
        y[self.element, self.row] = y[self.element, self.row] / pulls[at] * wanted[at]
        return y

    def best(self, x: FloatArray, y: FloatArray) -> Holds:
        """The one for each variable that takes most of its costs, or is met; no slack one."""
        met, pull = self.met(x), y[self.element, self.row] * self.factor
        order = np.lexsort((met, pull))
        order, found = order[(met | (pull > 0))[order]], np.full(x.shape, -1)
        found[self.element[order], self.column[order]] = order  # the last one counts
        return self.take(found[found >= 0])

    def on(self, shape: tuple[int, int]) -> BoolArray:
        """Their variables (N, n)."""
        found = np.zeros(shape, dtype=np.bool_)
        found[self.element, self.column] = True
        return found


def eased(
    of: Rows, params: Params, firm: BoolArray | None = None
) -> tuple[Params, BoolArray | None]:
    """The programs with such costs brought nearer, and of which variables (N, n); None of none.

    Variables that are ``firm`` (N, n) keep theirs.
    """
    values = Values(of, params)
    some = _apart(values)
    if not len(some):
        return params, None
    part, units = _in_alike_units(of, taken(params, some))
    q, sides = part["q"], part.sides()
    size, whole = _sizes(part, np.ones(q.shape, dtype=np.bool_), sides)  # the least that they are
    if not (top(q) > np.maximum(GAP * size, NEAR * whole)).any():
        return params, None
    movable = Holds.of(part, q, sides).on(q.shape)
    if firm is not None:
        movable &= ~firm[some]
    size, whole = (part[:, None] for part in _sizes(part, movable, sides))
    far = movable & (np.abs(q) > np.maximum(GAP * size, NEAR * whole))
    if not far.any():
        return params, None
    costs, moved = np.array(params["q"].full()), np.zeros((len(params["q"].index), of.n), np.bool_)
    costs[some] = np.where(far, np.ldexp(np.copysign(NEAR * whole, q), -units), costs[some])
    moved[some] = far
    return {**params, "q": batched(costs)}, moved


def held(of: Rows, given: Params, params: Params, point: Solution) -> BoolArray:
    """Variables (N, n) at their bounds, by multipliers or x, whose costs push as the given ones."""
    values, q = Values(of, given), params["q"].full()
    holds = Holds.of(values, values["q"], values.sides()).tight(of, point.x, TIGHT)
    at = holds.pulls(point.y, of.n) >= HELD * np.abs(q)
    at |= holds.take(holds.met(point.x)).on(q.shape)
    return at & (q != 0) & (np.sign(q) == np.sign(values["q"]))


def paid(of: Rows, given: Params, params: Params, point: Solution) -> Solution:
    """Solutions of eased programs, whose moved variables are held, as those of the given ones."""
    values = Values(of, given)
    more = np.abs(values["q"]) - np.abs(params["q"].full())
    holds = Holds.of(values, np.where(more != 0, values["q"], 0.0), values.sides())
    best = holds.tight(of, point.x, TIGHT).best(point.x, point.y)
    x, y, at = np.array(point.x), np.array(point.y), (best.element, best.column)
    x[at] = best.side / best.entry
    y[best.element, best.row] += more[at] / best.factor
    return replace(point, x=x, y=y)


def unpaid(of: Rows, given: Params, params: Params, point: Solution) -> Solution:
    """Solutions of the given programs as those of the eased ones; see ``paid``."""
    values, q = Values(of, given), params["q"].full()
    holds = Holds.of(values, np.where(values["q"] != q, values["q"], 0.0), values.sides())
    holds = holds.tight(of, point.x)
    pulls = holds.pulls(point.y, of.n)
    holds = holds.take(pulls[holds.element, holds.column] > 0)  # of the others nothing was paid
    forces, agree = _forces(values, holds, pulls, point)
    exact = np.sign(values["q"]) * (q + forces)
    wanted = np.where(agree, exact, pulls - (np.abs(values["q"]) - np.abs(q)))
    return replace(point, y=holds.shared(point.y, pulls, np.maximum(wanted, 0.0)))


def settled(of: Rows, params: Params, point: Solution) -> tuple[Params, Solution]:
    """Programs and points without what such costs and the bounds that take them do to each other.

    Multipliers of these bounds become as large as all other costs and the forces of curvature, in
    curved cones NEAR times as large, and the costs what they leave to them.
    """
    some = _apart(Values(of, params))
    if not len(some):
        return params, point
    part, units = _in_alike_units(of, taken(params, some))
    at = alike.measured(of, point.take(some), units)
    q, bend = part["q"], top(part.curve(at.x))
    if not (top(q) > NEAR / HELD * bend).any():
        return params, point
    sides, zeros = part.sides(), bend
    if of.quadratic:
        least, known = _least_bend(part, sides)
        bend = np.maximum(bend, least)
        zeros = np.where(known, bend, np.nan)
    holds = Holds.of(part, q, sides).tight(of, at.x)
    pulls = holds.pulls(at.y, of.n)
    held = pulls >= HELD * np.abs(q)
    sizes = np.where(np.abs(q) < LOST, zeros[:, None], np.abs(q))
    size = before_gap(np.where(sizes < LOST, np.nan, sizes), held)[:, None]
    whole = np.maximum(size, bend[:, None])
    curved = holds.take(holds.row >= of.cones.zero + of.cones.nonneg).on(q.shape)
    far = held & (np.abs(q) > np.maximum(GAP * size, NEAR / HELD * whole))
    if not far.any():
        return params, point
    kept = np.where(curved, NEAR, 1.0) * whole  # less than there is
    holds = holds.take(far[holds.element, holds.column])
    forces, agree = _forces(part, holds, pulls, at)
    left = np.where(agree, np.sign(q) * kept - forces, q - np.sign(q) * (pulls - kept))
    linear, moved = np.array(params["q"].full()), replace(at, y=holds.shared(at.y, pulls, kept))
    linear[some] = np.where(far, np.ldexp(left, -units), linear[some])
    y = point.put(some, alike.measured(of, moved, -units)).y
    return {**params, "q": batched(linear)}, replace(point, y=y)


def _forces(
    values: Values, holds: Holds, pulls: FloatArray, point: Solution
) -> tuple[FloatArray, BoolArray]:
    """What pulls at variables but their costs and these rows, and whether it balances them."""
    rest = holds.shared(point.y, pulls, np.zeros_like(pulls))
    forces = values.curve(point.x) + values.transposed_product(rest)
    gap = np.sign(values["q"]) * (values["q"] + forces) - pulls
    return forces, np.abs(gap) <= AGREE * pulls


def _in_alike_units(of: Rows, params: Params) -> tuple[Values, Exponents]:
    """Programs whose costs can be compared, and exponents (N, n) of the units of their x."""
    values = Values(of, params)
    units = alike.units(values)
    return Values(of, alike.program(of, params, units)) if units.any() else values, units


def _apart(values: Values) -> IntArray:
    """Programs with costs that may be out of proportion."""
    if not values.of.cones.m:
        return np.zeros(0, dtype=np.intp)
    q = np.abs(values["q"])
    none, most = q < LOST, top(q)
    apart = most > GAP * least(np.where(none, np.inf, q))
    if values.of.quadratic:
        alone = ~apart & (most > 0) & np.logical_or.reduce(none, axis=1)
        if alone.any():
            apart |= alone & (most > GAP * _bend(values))
    return np.flatnonzero(apart & np.isfinite(most))


def _bend(values: Values) -> FloatArray:
    """A size that those of curvature are not below, (N,), at little cost; see ``_sizes``."""
    sides, tops = np.abs(values.sides()), dict[str, FloatArray]()
    for name in values.params.keys() & {"P", "A", "G"}:
        param = values.params[name]
        tops[name] = top(flat(param.values))[param.index]
    near = least(np.where((sides > LOST) & (sides < np.inf), sides, np.inf))
    bounds = np.ones(len(near)) if values.of.blocks.keys() & {"lb", "ub"} else np.zeros(len(near))
    rows = np.maximum.reduce([bounds, *(tops[name] for name in tops.keys() & {"A", "G"})])
    return tops["P"] * np.where(np.isinf(near), 1.0, near / (values.of.n * rows))


def _least_bend(values: Values, sides: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Forces of curvature at the least x that residuals tell from nothing, (N,).

    Smaller ones may be rounding of the costs. Also whether there is such a distance: where rows
    pass through zero, x is as large as costs make it, and without other costs no force is.
    """
    sizes = values.absolute()
    near = nearest(sizes.distances(np.abs(sides)))
    known = np.isfinite(near)
    reach = SMALL * np.where(known, near, 0.0)
    return reach * top(sizes.curve(np.ones((len(sides), values.of.n)))), known


def _sizes(values: Values, movable: BoolArray, sides: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The size of all other costs, (N,), and the larger one of these and of curvature.

    That is at the usual distance of rows, if they are where costs put x: others may be slack. Costs
    of zero are as large as that.
    """
    q, floor = np.abs(values["q"]), np.zeros(len(movable))
    if values.of.quadratic:
        sizes = values.absolute()
        away = sizes.distances(np.abs(sides))
        away = np.sort(np.where((away > LOST) & (away < np.inf), away, np.inf), axis=1)
        known = np.count_nonzero(away < np.inf, axis=1)
        middle = away[np.arange(len(away)), np.maximum(known - 1, 0) // 2]
        bend = sizes.curve(np.ones((len(movable), values.of.n))).max(axis=1, initial=0.0)
        floor = np.where(known > 0, middle, 1.0) * bend
        q = np.where(q < LOST, floor[:, None], q)
    size = before_gap(np.where(q < LOST, np.nan, q), movable)
    return size, np.where(floor > GAP * size, size, np.maximum(size, floor))


def _entries(
    values: Values, name: str, q: FloatArray
) -> tuple[IntArray, IntArray, IntArray, FloatArray]:
    """Element, row, column and value of entries alone in a row of a block with a slack >= 0."""
    of, block, size = values.of, values.of.blocks[name], len(q)
    if name not in "AG":
        element, column = (part.ravel() for part in np.indices((size, of.n)))
        return element, block.start + column, column, np.full(len(element), -SIDES[name][1])
    data = values[name]
    data = np.broadcast_to(data, (size, *data.shape[1:]))
    slack, there = _nonnegative(of)[block], data != 0
    if name in of.patterns:
        pattern = of.patterns[name]
        alone = pattern.product(there.astype(np.float64), np.ones((size, of.n))) == 1
        element, entry = np.nonzero(there & (alone & slack)[:, pattern.rows])
        row, column = pattern.rows[entry], pattern.cols[entry]
        return element, block.start + row, column, data[element, entry]
    alone = np.count_nonzero(there, axis=2) == 1
    element, row, column = np.nonzero(there & (alone & slack)[:, :, None])
    return element, block.start + row, column, data[element, row, column]


def _nonnegative(of: Rows) -> BoolArray:
    """Rows (m,) whose slacks are zero or positive, whatever the others of their cones are."""
    found = np.zeros(of.cones.m, dtype=np.bool_)
    for kind, start, stop in of.cones.blocks():
        if kind == "psd":
            rows, cols, _ = triangle(order_of(stop - start))
            found[start:stop] = rows == cols
        else:
            first, last = {"soc": (0, 1), "exp": (1, 3), "power": (0, 2)}.get(kind, (0, None))
            found[start:stop][first:last] = True
    return found
