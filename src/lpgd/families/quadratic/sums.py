"""Sums over rows and terms that the gradients of several families share."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np

from lpgd.core.params import Param
from lpgd.core.pattern import Pattern
from lpgd.core.problem import Groups
from lpgd.core.solution import FloatArray, IntArray
from lpgd.core.tilt import Term

PAIR = 2  # terms come in pairs, a difference each
WHOLE = slice(None)


@dataclass(frozen=True)
class Products:
    """What the products of N rows with themselves are made of, some arrays (N, n) each.

    Attributes
    ----------
    sums : list of (N, n) float64
    left, right : list of (N, n) float64
        The sum of left right' is that of the products.
    """

    sums: list[FloatArray]
    left: list[FloatArray]
    right: list[FloatArray]

    def total(self, block: slice, groups: Groups) -> FloatArray:
        """The sum of a block of columns over the rows of each group, (R, k)."""
        return total(_side_by_side(self.sums, block), groups)

    def outer(
        self, block: slice, other: "Products", groups: Groups, pattern: Pattern | None
    ) -> FloatArray:
        """The sum of the products of a block with others of the same terms; see ``outer``."""
        return outer(_side_by_side(self.left, block), other.stacked, groups, pattern)

    @cached_property
    def stacked(self) -> FloatArray:
        """The right sides, (N, S, n)."""
        return _side_by_side(self.right, WHOLE)


@dataclass(frozen=True)
class Weighted:
    """Terms of N rows, weighted: sums of x, of y, and of products of both.

    A difference of two terms p = s + d and m = s - d is w (pp' - mm') = 2 w (ds' + sd') and
    w (p - m) = 2 w d: what they have in common leaves no rounding.
    """

    terms: Sequence[Term]

    @cached_property
    def x(self) -> Products:
        """Of the points."""
        return _products_of(self.terms, [term.point.x for term in self.terms])

    @cached_property
    def y(self) -> Products:
        """Of the multipliers."""
        return _products_of(self.terms, [term.multipliers for term in self.terms])


def _side_by_side(parts: Sequence[FloatArray], block: slice) -> FloatArray:
    return np.stack([part[:, block] for part in parts], axis=1)


def _products_of(terms: Sequence[Term], values: Sequence[FloatArray]) -> Products:
    weights, found = [term.weight[:, None] for term in terms], Products([], [], [])
    for first in range(0, len(values), PAIR):
        pair = weights[first : first + PAIR], values[first : first + PAIR]
        (w, *others), none = pair[0], np.zeros(1, dtype=np.bool_)
        apart = w == -others[0] if others else none
        if apart.all():
            sides = _difference(*pair)
        elif not apart.any():
            sides = _plain(*pair)
        else:
            both = zip(_difference(*pair), _plain(*pair), strict=True)
            sides = [np.where(apart, one, other) for one, other in both]
        found.sums.append(sides[0])
        found.left.extend(sides[1 : 1 + len(pair[0])])
        found.right.extend(sides[1 + len(pair[0]) :])
    return found


def _difference(w: Sequence[FloatArray], p: Sequence[FloatArray]) -> list[FloatArray]:
    """The sum of two terms, left sides and right sides."""
    one, other, twice = 0.5 * p[0], 0.5 * p[1], 2 * w[0]
    alike, apart = one + other, one - other
    total = twice * apart
    return [total, total, twice * alike, alike, apart]


def _plain(w: Sequence[FloatArray], p: Sequence[FloatArray]) -> list[FloatArray]:
    """The same of terms that are no difference."""
    left = [weight * part for weight, part in zip(w, p, strict=True)]
    return [sum(left[1:], left[0]), *left, *p]


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
