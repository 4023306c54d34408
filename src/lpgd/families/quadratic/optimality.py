"""Is a point optimal, does a ray prove what an engine says? In units that scaling cannot change.

A program is  min 1/2 x'Px + q'x  s.t.  Cx + s = r, s in K.  Its terms are of the sizes

    rows      sigma_i = max(|C_i| |x|, |r_i|)
    columns   gamma_j = max(|P_j| |x|, |q_j|, |C_j|' |y|)

so that  u_i = s_i / sigma_i  is a relative slack and  w_i = y_i max_j |C_ij| / gamma_j  a relative
multiplier, the largest part that row i has in a column. The residual is the largest of

    stationarity                |Px + q + C'y|_j / gamma_j
    feasibility of both, and
    complementarity             |w - Pi(w - u)|_i ,   Pi the projection on the dual cone of K,

the latter being |u| in rows of equality and |min(u, w)| in those of inequality; w counts as at most
1. Cones that are not
products of half-lines have one sigma and one factor of w, the largest of their rows. Factors of the
costs, of rows or cones, of the right-hand sides, and of all variables cancel.

Sizes that are rounding themselves are no measure: gamma_j is at least SMALL times the largest of
them, and |x_j| in sigma and gamma at least SMALL times X. X is the largest |x_j| or, where that is
larger, the distance from zero of the nearest row that does not pass through it; of a program whose
rows all do, ||q|| / ||P||; without any such data, 1.

An infeasible program has a ray y in the dual cone with C'y = 0 and r'y < 0, an unbounded one an x
with Px = 0, Cx + s = 0, s in K and q'x < 0. Their violations are measured in the same way, with
gamma_j = |C_j|' |y| or |P_j| |x| and sigma_i = |C_i| |x|. Rays whose r'y or q'x is not negative by
more than MARGIN of its terms prove nothing: data contradict each other by rounding then.
"""

from __future__ import annotations

import numpy as np

from lpgd.core.params import Param, Params
from lpgd.core.solution import FloatArray, Solution, Status
from lpgd.families.conic.projections import project
from lpgd.families.quadratic.inside import inside
from lpgd.families.quadratic.rows import Rows

SMALL = 1e-3  # sizes below this, relative to the largest, are no measure of error
SURE = 1e-12  # a residual in too small units which needs no other ones
MARGIN = 1e-8  # of the terms of r'y or q'x: less than this is rounding of the data
ROUNDING = 64 * np.finfo(np.float64).eps  # of terms that cancel


def judged(of: Rows, params: Params, point: Solution) -> tuple[Solution, FloatArray]:
    """Points within their simple bounds, and their relative distance from optimality (N,)."""
    sides, reach = of.sides(params), of.product(params, point.x)
    moved = inside(of, params, point, sides - reach)
    if moved is not point:
        reach = of.product(params, moved.x)
    return moved, _distance(of, params, moved, (sides, reach))


def residual(of: Rows, params: Params, point: Solution) -> FloatArray:
    """Relative distance of every point from optimality, shape (N,); infinite for NaN."""
    with np.errstate(all="ignore"):
        rows = of.sides(params), of.product(params, point.x)
        return _distance(of, params, point, rows)


def _distance(
    of: Rows, params: Params, point: Solution, rows: tuple[FloatArray, FloatArray]
) -> FloatArray:
    x, y, q, (sides, reach) = point.x, point.y, params["q"].full(), rows
    worst = np.full(len(x), np.inf)
    curve, pull = of.curve(params, x), of.transposed_product(params, y)
    slope, slacks = curve + q + pull, sides - reach
    if of.polyhedral:  # most answers pass in units that are too small, those of sums of terms
        u, w = _share(slacks, _largest(reach, sides)), np.sign(y)
        w[:, : of.cones.zero] = np.inf
        worst = _top(np.minimum(u, w), _share(slope, _largest(curve, q, pull)))
    rough = np.flatnonzero(~(worst <= SURE))
    if len(rough):
        some = {name: param.take(rough) for name, param in params.items()}
        worst[rough] = _fair(of, some, point.take(rough), (slope[rough], slacks[rough]))
    return worst


def _fair(
    of: Rows, params: Params, point: Solution, gaps: tuple[FloatArray, FloatArray]
) -> FloatArray:
    """The residual from the gap of stationarity and the slacks."""
    q, sides, sizes = np.abs(params["q"].full()), np.abs(of.sides(params)), _absolute(params)
    sides = np.where(np.isfinite(sides), sides, 0.0)
    x = _reach(of, sizes, np.abs(point.x), q, sides)
    columns = _floored(_largest(of.curve(sizes, x), q, _pull(of, sizes, point.y)))
    u, w = _relative(of, sizes, columns, np.maximum(np.abs(of.product(sizes, x)), sides))
    u, w = _share(gaps[1], u), point.y * w
    w = w / np.maximum(_whole(of, np.abs(w)), 1.0)  # a cone's multipliers have no unit of their own
    return _top(w - project(of.cones, w - u, u), gaps[0] / columns)


def refuted(of: Rows, params: Params, ray: Solution) -> FloatArray:
    """Relative violation of the certificate of each row's status, shape (N,)."""
    sizes, infeasible = _absolute(params), ray.status == Status.INFEASIBLE
    found = np.where(
        infeasible, _contradiction(of, params, sizes, ray.y), _descent(of, params, sizes, ray.x)
    )
    return np.where(np.isin(ray.status, (Status.INFEASIBLE, Status.UNBOUNDED)), found, np.inf)


def _contradiction(of: Rows, params: Params, sizes: Params, y: FloatArray) -> FloatArray:
    sides = of.sides(params)
    columns = _floored(_pull(of, sizes, y))
    _, w = _relative(of, sizes, columns, y)
    w = w * y
    gap = of.transposed_product(params, y) / columns
    terms = np.where((y == 0) | (np.isinf(sides) & (y < 0)), 0.0, sides * y)
    return _proven(_top(gap, w - project(of.cones, w, w)), terms)


def _descent(of: Rows, params: Params, sizes: Params, x: FloatArray) -> FloatArray:
    reach = np.maximum(np.abs(x), SMALL * _top(x)[:, None])
    rows, _ = _relative(of, sizes, reach, np.abs(of.product(sizes, reach)))
    u = np.where(np.isinf(of.sides(params)), 0.0, -_share(of.product(params, x), rows))
    gap = of.curve(params, x) / _floored(of.curve(sizes, reach))
    return _proven(_top(gap, project(of.cones, -u, u)), params["q"].full() * x)


def folded(of: Rows, params: Params, dx: FloatArray, ds: FloatArray) -> FloatArray:
    """dx - C'ds, where terms cancel within rounding exactly zero."""
    sum_ = dx - of.transposed_product(params, ds)
    terms = np.abs(dx) + _pull(of, _absolute(params), ds)
    return np.where(np.abs(sum_) <= ROUNDING * terms, 0.0, sum_)


def _reach(of: Rows, sizes: Params, x: FloatArray, q: FloatArray, sides: FloatArray) -> FloatArray:
    """|x|, entries that may be rounding enlarged."""
    one = np.ones_like(x)
    near = sides / np.abs(of.product(sizes, one))
    near = np.where(near > 0, near, np.inf).min(axis=1, initial=np.inf)
    flat = _top(q) / _top(of.curve(sizes, one))
    unit = np.where(np.isfinite(near), near, np.where(np.isfinite(flat) & (flat > 0), flat, 1.0))
    return np.maximum(x, SMALL * np.maximum(_top(x), unit)[:, None])


def _relative(
    of: Rows, sizes: Params, columns: FloatArray, rows: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Sizes of rows, and factors of multipliers; one for each cone that is not a half-line."""
    factors = np.abs(of.product(sizes, 1 / columns))
    return _whole(of, rows), _whole(of, factors)


def _whole(of: Rows, sizes: FloatArray) -> FloatArray:
    """The largest size of each cone in all of its rows."""
    if of.polyhedral:
        return sizes
    starts = np.array([a for kind, a, b in of.cones.blocks() for a in _starts(kind, a, b)])
    widths = np.diff(starts, append=of.cones.m)
    return np.repeat(np.maximum.reduceat(sizes, starts, axis=1), widths, axis=1)


def _starts(kind: str, start: int, stop: int) -> range:
    return range(start, stop, 1 if kind in ("zero", "nonneg") else max(stop - start, 1))


def _pull(of: Rows, sizes: Params, y: FloatArray) -> FloatArray:
    """|C|' |y|."""
    y = np.abs(y)
    if "lb" in of.blocks:  # whose rows are -I
        y[:, of.blocks["lb"]] *= -1
    return of.transposed_product(sizes, y)


def _absolute(params: Params) -> Params:
    """The matrices' absolute values, and q as it is."""
    return {name: params[name] if name == "q" else _used(params[name])
            for name in params if name in ("P", "A", "G", "q")}  # fmt: skip


def _used(param: Param) -> Param:
    if len(param.values) > len(param.index):
        return Param(np.abs(param.full()), np.arange(len(param.index)))
    return Param(np.abs(param.values), param.index)


def _floored(sizes: FloatArray) -> FloatArray:
    """Sizes, those that are rounding enlarged; 1 where there are none."""
    sizes = np.maximum(sizes, SMALL * _top(sizes)[:, None])
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


def _top(*parts: FloatArray) -> FloatArray:
    """Largest absolute value of each row; infinite for NaN."""
    tops = [np.abs(part).max(axis=1, initial=0.0) for part in parts]
    worst = tops[0] if len(tops) == 1 else np.maximum(*tops)
    return np.where(np.isnan(worst), np.inf, worst)
