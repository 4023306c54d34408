"""Variables u = Rx in which a Hessian P = R'R is the identity.

DAQP solves every strictly convex QP in these variables: it factorizes P, inverts R and multiplies
the rows by it, in plain loops, for every program. Here R^-1 is found once for each distinct P and
BLAS multiplies, so that DAQP is handed ½u'u + (R^-T q)'u with rows G R^-1, ready to solve. Every
product is of one element and of matrices in C order, so that its rounding depends on nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from lpgd.core.params import Param
from lpgd.core.solution import BoolArray, FloatArray

# beyond this condition number DAQP refines its answers in x, so it must see such a P itself
WORST = 1e6


@dataclass(frozen=True)
class Whitened:
    """What an engine leaves of programs that it solved in u.

    Attributes
    ----------
    inverses : Param (n, n)
        R^-1 of each element; the index is -1 where none was found.
    rows : mapping from str to Param (m, n)
        A R^-1 and G R^-1, of elements that have an R^-1.
    """

    inverses: Param
    rows: Mapping[str, Param]


def diagonal(P: FloatArray) -> BoolArray:
    """Matrices of (D, n, n) with nothing but zeros beside the diagonal."""
    on = P.diagonal(axis1=1, axis2=2)
    return (P != 0).sum(axis=(1, 2)) == (on != 0).sum(axis=1)


def well_spread(P: FloatArray) -> BoolArray:
    """Diagonal matrices of (D, n, n) that are safely positive definite."""
    on = P.diagonal(axis1=1, axis2=2)
    largest = on.max(axis=1)
    return (on.min(axis=1) * WORST >= largest) & (largest > 0)


def inverse_factors(P: FloatArray, wanted: BoolArray) -> tuple[FloatArray, BoolArray]:
    """R^-1 (K, n, n) of the wanted ones of (D, n, n) that are safely positive definite: (D,)."""
    rows, found = np.flatnonzero(wanted), np.empty((int(wanted.sum()), *P.shape[1:]))
    good = np.ones(len(rows), dtype=np.bool_)
    for place, row in enumerate(rows):
        inverse = _inverted(P[row])
        good[place] = inverse is not None
        found[place] = 0.0 if inverse is None else inverse
    largest = P.diagonal(axis1=1, axis2=2)[rows].max(axis=1)
    good &= largest * np.einsum("dij,dij->di", found, found).max(axis=1) <= WORST
    sound = np.zeros(len(P), dtype=np.bool_)
    sound[rows] = good
    return (found if good.all() else found[good]), sound


def _inverted(P: FloatArray) -> FloatArray | None:
    """R^-1, or None where P has no factor."""
    R, failed = lapack.dpotrf(P)  # pyright: ignore[reportAttributeAccessIssue]
    return None if failed else lapack.dtrtri(R)[0]  # pyright: ignore[reportAttributeAccessIssue]


def whitened(matrix: Param, inverses: Param) -> Param:
    """Rows times R^-1, those of elements that share both once; none where the index is -1."""
    values, each = matrix.values, inverses.values
    if len(each) == 1:
        return Param(np.matmul(values, each[0]), matrix.index)
    every = np.arange(len(each))
    if np.array_equal(inverses.index, every) and np.array_equal(matrix.index, every):
        return Param(np.matmul(values[: len(every)], each), every)
    found = inverses.index >= 0
    pairs, index = np.unique(
        np.stack([matrix.index[found], inverses.index[found]]), axis=1, return_inverse=True
    )
    moved = np.empty((pairs.shape[1], *values.shape[1:]))
    for place, (i, j) in enumerate(pairs.T):
        moved[place] = np.matmul(values[i], each[j])
    places = np.full(len(found), -1)
    places[found] = index.ravel()
    return Param(moved, places)
