"""Sums over rows and terms that the gradients of several families share."""

import numpy as np

from lpgd.core.params import Param
from lpgd.core.pattern import Pattern
from lpgd.core.problem import Groups
from lpgd.core.solution import FloatArray


def dot(a: FloatArray, b: FloatArray) -> FloatArray:
    """Inner products of the rows of two (N, k) arrays, shape (N,)."""
    return np.einsum("ni,ni->n", a, b)


def total(values: FloatArray, groups: Groups) -> FloatArray:
    """Sum of (N, S, k) values over the terms and the rows of each group, shape (R, k)."""
    return _fold(values, groups).sum(axis=1)


def outer(left: FloatArray, right: FloatArray, groups: Groups) -> FloatArray:
    """Sum of the outer products of (N, S, m) and (N, S, n) over each group, shape (R, m, n)."""
    return _fold(left, groups).swapaxes(1, 2) @ _fold(right, groups)


def outer_on(pattern: Pattern, left: FloatArray, right: FloatArray, groups: Groups) -> FloatArray:
    """The same on the places of a pattern only, shape (R, nnz)."""
    return pattern.outer(_fold(left, groups), _fold(right, groups))


def augment(hessian: Param | None, rho: FloatArray, identity: FloatArray) -> Param:
    """P + rho I, one matrix for each distinct pair, so that an engine sets up each once.

    ``identity`` has the shape of one value of ``hessian``.
    """
    values = np.zeros((1, *identity.shape)) if hessian is None else hessian.values
    index = np.zeros(len(rho), dtype=np.intp) if hessian is None else hessian.index
    levels, level = np.unique(rho, return_inverse=True)
    pairs, pair = np.unique(index * len(levels) + level, return_inverse=True)
    which, shift = np.divmod(pairs, len(levels))
    return Param(values[which] + np.multiply.outer(levels[shift], identity), pair)


def _fold(values: FloatArray, groups: Groups) -> FloatArray:
    # (N, S, k) to (R, g S, k): all rows and terms that one gradient sums over, side by side
    entries, size = groups.shape
    if not (size == 1 and np.array_equal(groups[:, 0], np.arange(len(values)))):
        values = values[groups]
    return values.reshape(entries, size * values.shape[-2], values.shape[-1])
