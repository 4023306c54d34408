"""Terms of some rows among those of all."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lpgd.core.params import Param
from lpgd.core.rule import Pullback
from lpgd.core.scaling import SQUARES, Exponents, top
from lpgd.core.solution import BoolArray, FloatArray, IntArray, Solution, Status
from lpgd.core.tilt import Cotangent, Term, Tilt

FAR = 1e-50, 1e50  # cotangents between these are left alone
HELD = 768  # binary logarithm of the largest that one may become, but for the steps
COARSE = 128  # steps of powers of two: rows of one power are formed together


def still(point: Solution, cotangent: Cotangent) -> Term:
    """The forward solution with weight zero."""
    zero = np.zeros(len(point))
    dx, dy = np.zeros_like(cotangent.dx), np.zeros_like(cotangent.dy)
    ds = None if cotangent.ds is None else np.zeros_like(cotangent.ds)
    return Term(zero, point, Tilt(cotangent.rows, zero, dx, dy, zero, point.x, ds))


def calm(point: Solution) -> Solution:
    """The points, zero where nothing was solved: no weight makes a number of what is none."""
    solved = point.solved
    if solved.all():
        return point
    x, y = (np.where(solved[:, None], part, 0.0) for part in (point.x, point.y))
    return replace(point, x=x, y=y)


def direct(point: Solution, cotangent: Cotangent, rows: BoolArray) -> list[Term]:
    """What chosen rows owe to their slacks as functions of the data, their points held fixed."""
    none, zero = replace(point, y=np.zeros_like(point.y)), np.zeros(len(point))
    ds = None if cotangent.ds is None else np.where(rows[:, None], cotangent.ds, 0.0)
    tilt = replace(still(point, cotangent).tilt, ds=ds)
    half = np.where(rows, 0.5, 0.0)
    return [Term(sign * half, none, tilt.at(zero + sign)) for sign in (1.0, -1.0)]


def evened(
    cotangent: Cotangent, point: Solution, costs: Param | None
) -> tuple[Cotangent, Exponents | None]:
    """The cotangent times powers of two that bring rows of a far size nearer; None for none.

    What comes of others would overflow or vanish midway, where the gradient does not. With W the
    work of the ``costs`` at the solution, and that of the loss k W, the solution moves by k of its
    size, and gradients are k W of what they belong to: k = 1 / sqrt(W) leaves room for both. Where
    costs say nothing, cotangents come near 1, unless they are as far from it as the solution is,
    the other way: these are just in other units. A step from one to the other must be a number.
    """
    parts = [cotangent.dx, cotangent.dy, *([] if cotangent.ds is None else [cotangent.ds])]
    sizes = [top(part) for part in parts]
    size = np.maximum.reduce(sizes)
    odd = (size > 0) & ~((size > FAR[0]) & (size < FAR[1]))
    if not odd.any():
        return cotangent, None
    with np.errstate(all="ignore"):
        works = [_work(parts[0], point.x), _work(parts[1], point.y), *map(np.log2, sizes[2:])]
        work, aim = np.maximum.reduce(works), np.full(len(size), -np.inf)
        if costs is not None and costs.values.shape[1:] == point.x.shape[1:]:
            aim = 0.5 * _work(costs.values[costs.index[cotangent.rows]], point.x)
        plain = (size > SQUARES[0]) & (size < SQUARES[1]) | (np.abs(work) <= np.log2(SQUARES[1]))
        apart = np.log2(np.maximum(top(point.x), top(point.y))) - np.log2(size)
        plain &= (np.abs(apart) <= HELD) | np.isinf(apart)
        way = np.where(np.isfinite(aim), aim - work, np.where(plain, 0.0, -np.log2(size)))
        way = np.clip(way, -HELD - np.log2(size), HELD - np.log2(size))  # it stays a normal number
    power = np.where(odd, COARSE * np.round(way / COARSE), 0.0).astype(np.intc)
    if not power.any():
        return cotangent, None
    return Cotangent(cotangent.rows, *(np.ldexp(part, power[:, None]) for part in parts)), power


def _work(force: FloatArray, reach: FloatArray) -> FloatArray:
    """Binary logarithm of the largest product of entries, (N,); of a reach of zeros as of ones."""
    there = np.any(reach, axis=1)[:, None]
    logs = np.log2(np.abs(force)) + np.where(there, np.log2(np.abs(reach)), 0.0)
    return logs.max(axis=1, initial=-np.inf)


def _wild(terms: Sequence[Term]) -> BoolArray:
    """Rows of which a term is not finite, so that no gradient can be formed."""
    rows = np.zeros(len(terms[0].weight), dtype=np.bool_) if terms else np.zeros(0, dtype=np.bool_)
    with np.errstate(all="ignore"):  # a sum is finite only where its terms are
        for term in terms:
            size = np.add.reduce(term.point.x, axis=1) + np.add.reduce(term.multipliers, axis=1)
            rows |= ~np.isfinite(term.weight * (1 + np.abs(size)))
    return rows


def tamed(pulled: Pullback, point: Solution) -> Pullback:
    """Rows of which a term overflowed have failed."""
    rows = np.flatnonzero(_wild(pulled.terms))
    if not len(rows):
        return pulled
    failed = pulled.failed.copy()
    failed[rows] = np.where(failed[rows] == Status.OPTIMAL, Status.NUMERICAL, failed[rows])
    return replace(pulled, terms=quiet(pulled.terms, rows, point), failed=failed)


def quiet(terms: Sequence[Term], rows: IntArray, point: Solution) -> list[Term]:
    """The terms with some rows at the forward solution, with weight zero and no tilt."""
    found: list[Term] = []
    for term in terms:
        weight, tilt = term.weight.copy(), term.tilt
        weight[rows] = 0
        if tilt.ds is not None:
            ds = tilt.ds.copy()
            ds[rows] = 0
            tilt = replace(tilt, ds=ds)
        found.append(Term(weight, term.point.put(rows, point.take(rows)), tilt))
    return found


def spread(terms: Sequence[Term], rows: IntArray, still: Term, rest: FloatArray) -> list[Term]:
    """Put terms of some rows among all rows; the others have the weights ``rest``, a term more."""
    every: list[Term] = []
    for term in terms:
        weight = np.zeros_like(rest)
        weight[rows] = term.weight
        point, tilt = still.point.put(rows, term.point), still.tilt.put(rows, term.tilt)
        every.append(Term(weight, point, tilt))
    return [*every, replace(still, weight=rest)]
