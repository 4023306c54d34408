"""How far a loss can tilt a problem before its solution moves in another way.

In closed form where the constraints are linear (math page, section 11). Elsewhere, at degenerate
vertices and those that only a solver knows, by bisection between the last tilt that leaves x* where
it is and the first one that does not.
"""

from dataclasses import replace

import numpy as np

from lpgd.core.params import taken
from lpgd.core.solution import BoolArray, FloatArray, IntArray
from lpgd.core.tilt import Adjoint, Cotangent
from lpgd.families.qp.linearized import Linearized
from lpgd.families.quadratic.structure import Structure
from lpgd.map.forward import Solved
from lpgd.rules.ends import untilted
from lpgd.rules.sizes import Sizes

DECADES = 10.0 ** np.arange(-4, 4)  # of tilts as large as the costs that are tried
HALVINGS = 8  # a decade in 256 parts
SIGNS = (-1.0, 1.0)


def breakpoints(
    backward: Solved, cotangent: Cotangent, rho: float, known: Adjoint, sizes: Sizes
) -> FloatArray:
    """Up to which |t|, for t < 0 and t > 0, each row moves as ``known`` says, (R, 2); or NaN."""
    found = _closed(backward, cotangent, rho, known)
    still = sizes.still(known.a)
    if found is None:
        found = np.full((len(sizes.point), 2), np.nan)
    else:  # at degenerate vertices multipliers change before x does
        still &= known.degenerate & ~known.strict
    rows = np.flatnonzero(still)
    for column, sign in enumerate(SIGNS) if len(rows) else ():
        found[rows, column] = _first_move(backward, cotangent, rho, sizes, (rows, sign))
    return found


def _closed(
    backward: Solved, cotangent: Cotangent, rho: float, known: Adjoint
) -> FloatArray | None:
    problem = backward.problem
    linear = backward.forward.linear if isinstance(problem, Structure) else None
    if isinstance(problem, Structure) and isinstance(linear, Linearized):
        params = taken(backward.params, cotangent.rows)
        rate = cotangent.dy + problem.product(params, known.a)
        active = linear.active.take(cotangent.rows)
        return active.reach(problem.cones.zero, backward.point.y, known.v, rate)
    line = backward.line(cotangent, rho)
    return None if line is None else line.reach


def _first_move(
    backward: Solved,
    cotangent: Cotangent,
    rho: float,
    sizes: Sizes,
    which: tuple[IntArray, float],
) -> FloatArray:
    """The least |t| at which some rows move, infinite where none was found."""
    rows, sign = which
    point, large = backward.point.take(rows), sizes.large[rows]
    tilt = untilted(point, cotangent.take(rows), rho)

    def moves(t: FloatArray, some: IntArray) -> BoolArray:
        end = backward.resolve(replace(tilt.take(some), t=sign * t))
        return ~end.solved | sizes.moved(end, rows[some])

    last, first = np.zeros(len(rows)), np.full(len(rows), np.inf)
    left = np.arange(len(rows))
    for decade in DECADES:
        t = decade * large[left]
        gone = moves(t, left)
        first[left[gone]], last[left[~gone]] = t[gone], t[~gone]
        left = left[~gone]
        if not len(left):
            break
    some = np.flatnonzero(np.isfinite(first) & (last > 0))
    for _ in range(HALVINGS if len(some) else 0):
        middle = np.sqrt(last[some] * first[some])
        gone = moves(middle, some)
        first[some[gone]], last[some[~gone]] = middle[gone], middle[~gone]
    return first
