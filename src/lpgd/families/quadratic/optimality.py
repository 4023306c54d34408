"""Is a point optimal, does a ray prove what an engine says? In units that scaling cannot change.

A program is  min 1/2 x'Px + q'x  s.t.  Cx + s = r, s in K.  Its terms are of the sizes

    rows      sigma_i = max(|C_i| |x|, |r_i|)
    columns   gamma_j = max(|P_j| |x|, |q_j|, |C_j' y|, NOISE |B_j|' |y|)

(|C_j|' |y| in columns without costs and curvature, of which nothing else tells the size; B are the
rows with one entry, whose multipliers are what is left of other forces, to rounding), so that
u_i = s_i / sigma_i  is a relative slack and  w_i = y_i max_j |C_ij| / gamma_j  a relative
multiplier, the largest part that row i has in a column. The residual is the largest of

    stationarity                |Px + q + C'y|_j / gamma_j
    feasibility of both, and
    complementarity             |w - Pi(w - u)|_i ,   Pi the projection on the dual cone of K,

the latter being |u| in rows of equality and |min(u, w)| in those of inequality; w counts as at most
1. Cones that are not products of half-lines have one sigma and one factor of w, the largest of
their rows. Factors of the costs, of rows or cones, of the right-hand sides, and of all variables
cancel.

Sizes that are rounding themselves are no measure: gamma_j is at least SMALL times the largest of
them, or, where that is less, SMALL times the largest work gamma_k |x_k| over |x_j|, as variables
have units of their own; but at most GROSS times its own terms, where q_j faces forces of comparable
size. Columns of nothing but q_j have gamma_j = |q_j|. |x_j| in sigma and gamma is at least SMALL
times X. X is the largest |x_j| or, where that is larger, the distance from zero of the nearest row
that does not pass through it; of a program whose rows all do, or all are AWAY times as far, ||q|| /
||P||; without any such data, 1. An x_j that is AWAY times as long as all others, where more than
half of its costs or of the pull of multipliers is left over, runs off and measures no other. |x_j|
is at least NOISE times the distances of the rows with multipliers and little slack: what x comes
from. Where costs would put it without rows is no such length: solvers can do better.

Where columns of the data show variables in units far apart (``alike``), the residual is the larger
of this one and of that in units that are alike: the largest |x_j| measures no other variable then.

An infeasible program has a ray y in the dual cone with C'y = 0 and r'y < 0, an unbounded one an x
with Px = 0, Cx + s = 0, s in K and q'x < 0. Their violations are measured in the same way, with
gamma_j = |C_j|' |y| or |P_j| |x| and sigma_i = |C_i| |x|. Rays whose r'y or q'x is not negative by
more than MARGIN of its terms prove nothing: data contradict each other by rounding then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lpgd.core.params import Params, taken
from lpgd.core.scaling import LOST, top
from lpgd.core.solution import BoolArray, FloatArray, Solution, Status, among
from lpgd.families.conic.projections import project
from lpgd.families.quadratic import alike, priced
from lpgd.families.quadratic.inside import NEAR, inside
from lpgd.families.quadratic.products import SMALL, Values, unit
from lpgd.families.quadratic.rows import Rows

DRAWN = 0.5  # share of its side up to which the slack of a row may be that of an active one
NOISE = 1e-9  # of the lengths or forces that x or slopes are computed from: less may be rounding
AWAY = 1e6  # times as long as all else: where nothing holds x, a sign that it runs off
GROSS, COMPARABLE = 1e4, np.log(1e6)  # times costs that face forces of comparable size
SURE = 1e-10  # a residual in too small units which needs no other ones
MARGIN = 1e-8  # of the terms of r'y or q'x: less than this is rounding of the data
Parts = Sequence[FloatArray]
"""Of slopes: Px, q and C'y; of slacks: Cx and r."""
TINY, LARGEST = np.finfo(np.float64).tiny, np.finfo(np.float64).max


def judged(of: Rows, params: Params, point: Solution) -> tuple[Solution, FloatArray]:
    """Points within their simple bounds, and their relative distance from optimality (N,).

    Without right-hand sides and P zero is a solution, if there is one: other numbers are rounding.
    """
    values = Values(of, params)
    sides = values.sides()
    if not of.quadratic:
        bare = np.logical_and.reduce((sides == 0) | np.isinf(sides), axis=1)
        if bare.any():
            point = replace(point, x=np.where(bare[:, None], 0.0, point.x))
    reach = values.product(point.x)
    moved = inside(values, point, sides, sides - reach)
    if moved is not point:
        reach = values.product(moved.x)
    return moved, _distance(values, moved, sides, reach)


def residual(of: Rows, params: Params, point: Solution) -> FloatArray:
    """Relative distance of every point from optimality, shape (N,); infinite for NaN."""
    values = Values(of, params)
    with np.errstate(all="ignore"):
        return _distance(values, point, values.sides(), values.product(point.x))


def within(of: Rows, params: Params, point: Solution) -> Solution:
    """Points within their simple bounds, where they are beyond by rounding, or are solutions there.

    What is rounding beside other rows of a program may not be by the length of x.
    """
    if not of.cones.nonneg:
        return point
    values = Values(of, params)
    sides = values.sides()
    slacks = sides - values.product(point.x)
    whole = inside(values, point, sides, slacks, np.inf)
    if whole is point:
        return point
    least = 0.5 * NEAR * np.abs(point.x).max(axis=1, initial=0.0)
    if (np.abs(whole.x - point.x) <= least[:, None]).all():  # all of it is rounding
        return whole
    moved = inside(values, point, sides, slacks)
    far = np.flatnonzero((moved.x != whole.x).any(axis=1))
    if len(far):
        some = taken(params, far)
        before, after = (residual(of, some, at.take(far)) for at in (moved, whole))
        good = far[(after < before) | (after <= SURE)]
        moved = moved.put(good, whole.take(good)) if len(good) else moved
    return moved


def _distance(values: Values, point: Solution, sides: FloatArray, reach: FloatArray) -> FloatArray:
    params, point = priced.settled(values.of, values.params, point)
    if params is not values.params:
        values = Values(values.of, params)
    forces = values.curve(point.x), values["q"], values.transposed_product(point.y)
    terms, worst = (reach, sides), np.full(len(point), np.inf)
    if values.of.polyhedral:  # most answers pass
        worst = _quickly(values, point, forces, terms, 0.0)
    rough = np.flatnonzero(~(worst <= SURE))
    if len(rough):
        some = Values(values.of, taken(values.params, rough))
        forces, terms = (tuple(part[rough] for part in parts) for parts in (forces, terms))
        worst[rough] = _exactly(some, point.take(rough), forces, terms)
    return np.where(np.isfinite(top(reach)), worst, np.inf)  # slacks that overflow are no solution


def _exactly(values: Values, point: Solution, forces: Parts, terms: Parts) -> FloatArray:
    """The residual, in the units of users and in those in which columns are alike."""
    of, units, worst = values.of, alike.units(values), np.full(len(point), np.inf)
    apart = units.any(axis=1)
    if of.polyhedral and not apart.all():
        worst = np.where(apart, np.inf, _quickly(values, point, forces, terms, SMALL))
    slope, slacks = sum(forces[1:], forces[0]), terms[1] - terms[0]
    rough = np.flatnonzero(~(worst <= SURE))
    if len(rough):
        posed = taken(values.params, rough), point.take(rough), (slope[rough], slacks[rough])
        worst[rough] = _fair(of, *posed)
        if apart.any():
            other = alike.changed(of, *posed, units[rough])
            worst[rough] = np.maximum(worst[rough], _fair(of, *other))
    return worst


def _quickly(
    values: Values, point: Solution, forces: Parts, terms: Parts, least: float
) -> FloatArray:
    """The residual in units that are too small, those of sums of terms, of x at least ``least``."""
    reach = np.maximum(np.abs(point.x), least * top(point.x)[:, None])
    slope, columns = sum(forces[1:], forces[0]), _largest(*forces)
    if least:
        columns = np.maximum(columns, values.diagonal() * reach)
        floored = _pulls(columns, reach, point.x, (np.abs(forces[1]), _largest(*forces[::2])))
        columns = np.where(slope == forces[1], columns, floored)
    worst = top(slope / np.maximum(columns, TINY))
    slacks = terms[1] - terms[0]
    return np.maximum(worst, _broken(values, (reach, point.y), slacks, _largest(*terms)))


def _broken(
    values: Values, point: tuple[FloatArray, FloatArray], slacks: FloatArray, sizes: FloatArray
) -> FloatArray:
    """Violations of rows and of complementarity, in units of terms, the largest of each element.

    Rows without a right-hand side get those of their summands at a point where these cancel. Of x
    there are the sizes.
    """
    of, (reach, y) = values.of, point
    held = np.sign(y) * LARGEST  # multipliers that are negative are as wrong as can be
    held[:, : of.cones.zero] = LARGEST
    gaps = np.abs(np.minimum(slacks, held))
    for bound in of.blocks.keys() & {"lb", "ub"}:
        sizes[:, of.blocks[bound]] = np.maximum(sizes[:, of.blocks[bound]], reach)
    shares = gaps / np.clip(sizes, TINY, LARGEST)
    elements, rows = np.nonzero(~(shares <= SURE))
    for name in of.blocks.keys() & {"A", "G"} - of.patterns.keys() if len(rows) else ():
        block = of.blocks[name]
        mine = np.flatnonzero((rows >= block.start) & (rows < block.stop))
        at, row = elements[mine], rows[mine]
        terms = np.abs(values[name][at, row - block.start])
        summed = np.maximum(sizes[at, row], np.einsum("kj,kj->k", terms, reach[at]))
        shares[at, row] = gaps[at, row] / np.clip(summed, TINY, LARGEST)
    return top(shares)


def _fair(
    of: Rows, params: Params, point: Solution, gaps: tuple[FloatArray, FloatArray]
) -> FloatArray:
    """The residual from the gap of stationarity and the slacks."""
    values = Values(of, params)
    sizes = values.absolute()
    q, sides = np.abs(values["q"]), np.abs(values.sides())
    sides = np.where(np.isfinite(sides), sides, 0.0)
    pulls = sizes.pull(point.y)
    loose = np.abs(gaps[0]) > 0.5 * _largest(q, pulls)
    x = _reach(sizes, point, (sides, np.abs(gaps[1])), loose)
    bend = sizes.curve(np.abs(point.x))
    facing = q, _largest(bend, pulls)
    # rows that depend on each other may have multipliers of any size: they cancel, and say nothing;
    # those of bounds are what is left of stationarity
    bounds = NOISE * sizes.pull(np.where(sizes.counts() == 1, point.y, 0.0))
    net = _largest(values.transposed_product(point.y), bounds)
    pulls = np.where(_largest(q, bend) > 0, net, pulls)
    columns = _pulls(_largest(sizes.curve(x), q, pulls), x, point.x, facing)
    bare = _largest(sizes.curve(np.ones_like(x)), sizes.pull(np.ones_like(point.y))) == 0
    columns = np.where(bare & (q > 0), q, columns)  # nothing is computed there, nor rounded
    u, w = _relative(sizes, columns, np.maximum(np.abs(sizes.product(x)), sides))
    u, w = _share(gaps[1], u), point.y * w
    w = w / np.maximum(_whole(of, np.abs(w)), 1.0)  # a cone's multipliers have no unit of their own
    return _top(w - project(of.cones, w - u, u), gaps[0] / columns)


def refuted(of: Rows, params: Params, ray: Solution) -> FloatArray:
    """Relative violation of the certificate of each row's status, shape (N,)."""
    values = Values(of, params)
    sizes = values.absolute()
    found = np.where(
        ray.status == Status.INFEASIBLE,
        _contradiction(values, sizes, ray.y),
        _descent(values, sizes, ray.x),
    )
    return np.where(among(ray.status, Status.INFEASIBLE, Status.UNBOUNDED), found, np.inf)


def _contradiction(values: Values, sizes: Values, y: FloatArray) -> FloatArray:
    sides = values.sides()
    pulls = sizes.pull(y)
    # these are in units of their own, and no rounding
    lost = (pulls > 0) & (pulls < LOST * _top(pulls)[:, None])
    columns = np.where(lost, pulls, _floored(pulls))
    _, w = _relative(sizes, columns, y)
    w = w * y
    gap = values.transposed_product(y) / columns
    terms = np.where((y == 0) | (np.isinf(sides) & (y < 0)), 0.0, sides * y)
    return _proven(_top(gap, w - project(values.of.cones, w, w)), terms)


def _descent(values: Values, sizes: Values, x: FloatArray) -> FloatArray:
    reach = np.maximum(np.abs(x), SMALL * _top(x)[:, None])
    rows, _ = _relative(sizes, reach, np.abs(sizes.product(reach)))
    u = np.where(np.isinf(values.sides()), 0.0, -_share(values.product(x), rows))
    gap = values.curve(x) / _floored(sizes.curve(reach))
    return _proven(_top(gap, project(values.of.cones, -u, u)), values["q"] * x)


def _reach(
    sizes: Values, point: Solution, rows: tuple[FloatArray, FloatArray], loose: BoolArray
) -> FloatArray:
    """|x|, entries that may be rounding enlarged; ``loose`` ones have nothing to balance costs.

    Of rows there are the sizes of their sides and slacks: those that are slack draw nothing.
    """
    sides, slacks = rows
    x, far, bend = np.abs(point.x), sizes.distances(sides), sizes.bend()
    held = (point.y != 0) & (slacks <= DRAWN * sides)
    held[:, : sizes.of.cones.zero] = True
    drawn = np.where(held & np.isfinite(far), far, 0.0).max(axis=1, initial=0.0)
    size = unit(far, bend)
    size = np.where((bend > 0) & (size > AWAY * bend), bend, size)
    others = np.maximum(_top(np.where(loose, 0.0, x)), size)
    gone = loose & (x > AWAY * others[:, None])
    least = SMALL * np.maximum(_top(np.where(gone, 0.0, x)), size)
    return np.maximum(x, np.maximum(least, NOISE * drawn)[:, None])


def _relative(
    sizes: Values, columns: FloatArray, rows: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Sizes of rows, and factors of multipliers; one for each cone that is not a half-line."""
    factors = np.abs(sizes.product(1 / columns))
    return _whole(sizes.of, rows), _whole(sizes.of, factors)


def _whole(of: Rows, sizes: FloatArray) -> FloatArray:
    """The largest size of each cone in all of its rows."""
    if of.polyhedral:
        return sizes
    starts = np.array([a for kind, a, b in of.cones.blocks() for a in _starts(kind, a, b)])
    widths = np.diff(starts, append=of.cones.m)
    return np.repeat(np.maximum.reduceat(sizes, starts, axis=1), widths, axis=1)


def _starts(kind: str, start: int, stop: int) -> range:
    return range(start, stop, 1 if kind in ("zero", "nonneg") else max(stop - start, 1))


def _floored(sizes: FloatArray) -> FloatArray:
    """Sizes, those that are rounding enlarged; 1 where there are none."""
    sizes = np.maximum(sizes, SMALL * _top(sizes)[:, None])
    return np.where(sizes > 0, sizes, 1.0)


def _pulls(
    sizes: FloatArray, reach: FloatArray, x: FloatArray, facing: tuple[FloatArray, FloatArray]
) -> FloatArray:
    """gamma, which other columns enlarge by no more than their work allows.

    Nor by more than GROSS where costs and what faces them are of comparable size: these are data.
    """
    work = (sizes * reach).max(axis=1, initial=0.0)
    least = SMALL * np.fmin(_top(sizes)[:, None], work[:, None] / np.abs(x))
    costs, others = facing
    alike = (costs > LOST) & (np.abs(np.log(others) - np.log(costs)) < COMPARABLE)
    least = np.where(alike, np.fmin(least, GROSS * sizes), least)
    sizes = np.maximum(sizes, least)
    return np.where(sizes > 0, sizes, 1.0)


def _share(part: FloatArray, whole: FloatArray) -> FloatArray:
    """Parts of sizes: of an infinite one all, of nothing 0 or infinity."""
    share = np.where(np.isinf(whole) & np.isinf(part), np.sign(part), part / whole)
    return np.where(part == 0, 0.0, share)


def _proven(violation: FloatArray, terms: FloatArray) -> FloatArray:
    """Violation beside the share by which a sum of terms (N, k) is negative; else infinite."""
    share = -terms.sum(axis=1) / np.abs(terms).sum(axis=1)
    return np.where(share >= MARGIN, violation / share, np.inf)


def _largest(*parts: FloatArray) -> FloatArray:
    sizes = np.abs(parts[0])
    for part in parts[1:]:
        sizes = np.maximum(sizes, np.abs(part))
    return sizes


def _top(part: FloatArray, other: FloatArray | None = None) -> FloatArray:
    """Largest absolute value of each row; infinite for NaN."""
    worst = top(part)
    if other is not None:
        worst = np.maximum(worst, top(other))
    return np.where(np.isnan(worst), np.inf, worst)
