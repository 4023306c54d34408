"""Which sparse symmetric matrices are positive definite, without making one dense.

Diagonal dominance proves it (Gershgorin). Else the signs of D in a sparse L D L' do, by Sylvester's
law of inertia: the factorization needs no pivoting and breaks down for no positive definite matrix.
"""

from typing import Any, cast

import numpy as np
from scipy import sparse

from lpgd.core.extras import load
from lpgd.core.pattern import Pattern
from lpgd.core.solution import BoolArray, FloatArray

DENSE = 256  # order up to which a dense matrix costs less


def dense(pattern: Pattern) -> bool:
    """Whether a symmetric matrix is better made dense: it is small, or hardly sparse."""
    return pattern.shape[0] <= DENSE or pattern.full


def definite(pattern: Pattern, values: FloatArray, shift: FloatArray) -> BoolArray:
    """Whether each matrix plus its shift times the identity is positive definite.

    Parameters
    ----------
    pattern : Pattern
        Symmetric places.
    values : (D, nnz) float64
    shift : (D,) float64
    """
    on, ones = pattern.rows == pattern.cols, np.ones((len(values), pattern.shape[1]))
    diagonal = pattern.select(np.flatnonzero(on)).product(values[:, on], ones)
    rest = pattern.select(np.flatnonzero(~on)).product(np.abs(values[:, ~on]), ones)
    found = np.logical_and.reduce(diagonal + shift[:, None] > rest, axis=1)
    for row in np.flatnonzero(~found):
        eye = sparse.diags_array(np.full(pattern.shape[0], shift[row]))
        found[row] = _positive(pattern.matrix(values[row]) + eye)
    return found


def _positive(matrix: Any) -> bool:
    upper = cast(Any, sparse).csc_matrix(sparse.triu(matrix, format="csc"))
    if (upper.diagonal() <= 0).any():
        return False
    qdldl = load("qdldl", "conic", "the check of a sparse P")
    try:
        _, pivots, _ = qdldl.Solver(upper, upper=True).factors()
    except RuntimeError:  # a pivot is zero
        return False
    return bool((np.asarray(pivots) > 0).all())
