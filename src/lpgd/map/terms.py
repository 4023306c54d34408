"""Terms of some rows among those of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lpgd.core.solution import FloatArray, IntArray, Solution
from lpgd.core.tilt import Cotangent, Term, Tilt


def still(point: Solution, cotangent: Cotangent) -> Term:
    """The forward solution with weight zero."""
    zero = np.zeros(len(point))
    dx, dy = np.zeros_like(cotangent.dx), np.zeros_like(cotangent.dy)
    ds = None if cotangent.ds is None else np.zeros_like(cotangent.ds)
    return Term(zero, point, Tilt(cotangent.rows, zero, dx, dy, zero, point.x, ds))


def spread(terms: Sequence[Term], rows: IntArray, still: Term, rest: FloatArray) -> list[Term]:
    """Put terms of some rows among all rows; the others have the weights ``rest``."""
    every: list[Term] = [replace(still, weight=rest)]
    for term in terms:
        weight = np.zeros_like(rest)
        weight[rows] = term.weight
        point, tilt = still.point.put(rows, term.point), still.tilt.put(rows, term.tilt)
        every.append(Term(weight, point, tilt))
    return every
