"""Sums over rows and terms that the gradients of several families share."""

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np

from lpgd.core.params import Param
from lpgd.core.pattern import Pattern
from lpgd.core.problem import Groups
from lpgd.core.solution import FloatArray, IntArray
from lpgd.core.tilt import Term

PAIR = 2  # terms come in pairs, a difference each


class Weighted(NamedTuple):
    """S terms of N rows, weighted: sums of x, of y, and of products of both.

    What terms are the difference of is what they have in common and half of what sets them apart,
    p = s + d and m = s - d, so that w (pp' - mm') = 2 w (sd' + ds') and w (p - m) = 2 w d: what
    they have in common leaves no rounding.

    Attributes
    ----------
    x, y : (N, S, n) and (N, S, m) float64
        To be summed.
    left_x, left_y, right : (N, S, n), (N, S, m) and (N, S, n) float64
        The sum of left right' is that of weight x x', or weight y x'.
    """

    x: FloatArray
    y: FloatArray
    left_x: FloatArray
    left_y: FloatArray
    right: FloatArray

    @classmethod
    def of(cls, terms: Sequence[Term]) -> "Weighted":
        """Terms as a rule gives them."""
        parts = list[tuple[FloatArray, ...]]()
        for first in range(0, len(terms), PAIR):
            pair = terms[first : first + PAIR]
            parts += [_plain(term) for term in pair] if len(pair) < PAIR else _paired(*pair)
        return cls(*[np.stack(side, axis=1) for side in zip(*parts, strict=True)])


def _plain(term: Term) -> tuple[FloatArray, ...]:
    x, weight = term.point.x, term.weight[:, None]
    wx, wy = weight * x, weight * term.multipliers
    return wx, wy, wx, wy, x


def _paired(plus: Term, minus: Term) -> list[tuple[FloatArray, ...]]:
    """The parts of two terms; of rows where they are no difference as they are."""
    opposite = (plus.weight == -minus.weight)[:, None]
    twice = 2 * plus.weight[:, None]
    (x, dx), (y, dy) = [
        (0.5 * p + 0.5 * m, 0.5 * p - 0.5 * m)
        for p, m in ((plus.point.x, minus.point.x), (plus.multipliers, minus.multipliers))
    ]
    wx, wy = twice * dx, twice * dy
    halves = (wx, wy, wx, wy, x), (np.zeros_like(wx), np.zeros_like(wy), twice * x, twice * y, dx)
    if opposite.all():
        return list(halves)
    each = _plain(plus), _plain(minus)
    return [
        tuple(np.where(opposite, half, whole) for half, whole in zip(*sides, strict=True))
        for sides in zip(halves, each, strict=True)
    ]


def dot(a: FloatArray, b: FloatArray) -> FloatArray:
    """Inner products of the rows of two (N, k) arrays, shape (N,)."""
    return np.einsum("ni,ni->n", a, b)


def total(values: FloatArray, groups: Groups) -> FloatArray:
    """Sum of (N, S, k) values over the terms and the rows of each group, shape (R, k)."""
    return _fold(values, groups).sum(axis=1)


def outer(
    left: FloatArray, right: FloatArray, groups: Groups, pattern: Pattern | None = None
) -> FloatArray:
    """Sum of the outer products of (N, S, m) and (N, S, n) over each group, shape (R, m, n).

    With a ``pattern``, on its places only, shape (R, nnz). Terms that others of the batch have need
    not be there: they are zero, but how a product is rounded depends on the number of its terms.
    """
    left, right = _fold(left, groups), _fold(right, groups)
    count = max(left.shape[1], 1)
    step = PAIR if groups.shape[1] == 1 else count
    parts = (slice(first, first + step) for first in range(0, count, step))
    return reduce(np.add, (_products(left[:, some], right[:, some], pattern) for some in parts))


def _products(left: FloatArray, right: FloatArray, pattern: Pattern | None) -> FloatArray:
    return left.swapaxes(1, 2) @ right if pattern is None else pattern.outer(left, right)


def augment(hessian: Param | None, added: FloatArray, places: IntArray | int) -> Param:
    """P with a diagonal added, one matrix for each distinct pair, so that an engine sets up each
    once.

    Parameters
    ----------
    hessian : Param or None
        Zero if None.
    added : (N, n) or (N, 1) float64
    places : (n,) int, or int
        Where the values of a sparse P hold the diagonal; the order n of a dense one.
    """
    dense = not isinstance(places, np.ndarray)
    n = int(places) if dense else len(places)
    values = np.zeros((1, n, n) if dense else (1, n)) if hessian is None else hessian.values
    index = np.zeros(len(added), dtype=np.intp) if hessian is None else hessian.index
    levels, level = np.unique(added, axis=0, return_inverse=True)
    count = max(len(levels), 1)
    pairs, pair = np.unique(index * count + level.reshape(-1), return_inverse=True)
    which, shift = np.divmod(pairs, count)
    moved = values[which]
    diagonal = np.arange(n) * (n + 1) if dense else places
    moved.reshape(len(which), int(np.prod(moved.shape[1:])))[:, diagonal] += levels[shift]
    return Param(moved, pair)


def shifted(pattern: Pattern, hessian: Param | None) -> tuple[Pattern, IntArray, Param | None]:
    """A pattern with the whole diagonal, where that lies in it, and the values with zeros there."""
    n = pattern.shape[0]
    missing = np.setdiff1d(np.arange(n), pattern.rows[pattern.rows == pattern.cols])
    rows, cols = (np.concatenate([side, missing]) for side in (pattern.rows, pattern.cols))
    if hessian is not None and len(missing):
        room = np.zeros((len(hessian.values), len(missing)))
        hessian = Param(np.concatenate([hessian.values, room], axis=1), hessian.index)
    places = np.flatnonzero(rows == cols)
    return Pattern(rows, cols, (n, n)), places[np.argsort(rows[places])], hessian


def _fold(values: FloatArray, groups: Groups) -> FloatArray:
    # (N, S, k) to (R, g S, k): all rows and terms that one gradient sums over, side by side
    entries, size = groups.shape
    if not (size == 1 and np.array_equal(groups[:, 0], np.arange(len(values)))):
        values = values[groups]
    return values.reshape(entries, size * values.shape[-2], values.shape[-1])
