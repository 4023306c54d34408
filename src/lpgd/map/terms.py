"""Terms of some rows among those of all."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lpgd.core.rule import Pullback
from lpgd.core.scaling import SQUARES, Exponents, exponents, top
from lpgd.core.solution import BoolArray, FloatArray, IntArray, Solution, Status
from lpgd.core.tilt import Cotangent, Term, Tilt

COARSE = 256  # steps of powers of two: rows of one power are formed together


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


def evened(cotangent: Cotangent, point: Solution) -> tuple[Cotangent, Exponents | None]:
    """The cotangent times powers of two by which rows of a far size come near 1; None for none.

    What comes of others would overflow or vanish midway, where the gradient does not. Cotangents
    that are as far from 1 as the solution is, the other way, are just in other units.
    """
    parts = [cotangent.dx, cotangent.dy, *([] if cotangent.ds is None else [cotangent.ds])]
    sizes = [top(part) for part in parts]
    size = np.maximum.reduce(sizes)
    odd = (size > 0) & ~((size > SQUARES[0]) & (size < SQUARES[1]))
    if not odd.any():
        return cotangent, None
    places = top(point.x), top(point.y), np.ones_like(size)
    with np.errstate(all="ignore"):
        works = [
            np.log2(part) + np.where(place > 0, np.log2(place), 0.0)
            for part, place in zip(sizes, places, strict=False)
        ]
    odd &= np.abs(np.maximum.reduce(works)) > np.log2(SQUARES[1])
    power = np.where(odd, exponents(size, COARSE), 0)
    return Cotangent(cotangent.rows, *(np.ldexp(part, power[:, None]) for part in parts)), power


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
