"""Variables u = Rx in which a Hessian P = R'R is the identity.

DAQP solves every strictly convex QP in these variables: it factorizes P, inverts R and multiplies
the rows by it, in plain loops, for every program. Here R^-1 is found once for each distinct P and
BLAS multiplies, so that DAQP is handed ½u'u + (R^-T q)'u with rows G R^-1, ready to solve. Every
product is of one element and of matrices in C order, so that its rounding depends on nothing else.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from lpgd.core.solution import FloatArray

# beyond this condition number DAQP refines its answers in x, so it must see such a P itself
WORST = 1e6
# sizes up to which BLAS and LAPACK stay in one thread
SMALL, FEW, HALVED = 2**18, 8, 128


def diagonal(P: FloatArray) -> bool:
    """Whether nothing but zeros stands beside the diagonal."""
    return np.count_nonzero(P) == np.count_nonzero(P.diagonal())


def well_spread(P: FloatArray) -> bool:
    """Whether a diagonal P is safely positive definite."""
    entries = P.diagonal()
    return bool(entries.min() * WORST >= entries.max() > 0)


def inverse_factor(P: FloatArray) -> FloatArray | None:
    """R^-1 in C order; None where P is not safely positive definite."""
    inverse = _inverted(P)
    if inverse is None:
        return None
    condition = P.diagonal().max() * np.einsum("ij,ij->i", inverse, inverse).max()
    return np.ascontiguousarray(inverse) if condition <= WORST else None


def _inverted(P: FloatArray) -> FloatArray | None:
    """R^-1, of large matrices by halves; None where P has no factor."""
    n, half = len(P), len(P) // 2
    if n <= HALVED:
        R, failed = lapack.dpotrf(P)  # pyright: ignore[reportAttributeAccessIssue]
        return None if failed else lapack.dtrtri(R)[0]  # pyright: ignore[reportAttributeAccessIssue]
    head = _inverted(P[:half, :half])
    if head is None:
        return None
    side = product(head.T, P[:half, half:])
    tail = _inverted(P[half:, half:] - product(side.T, side))
    if tail is None:
        return None
    corner = product(product(head, side), -tail)
    return np.block([[head, corner], [np.zeros((n - half, half)), tail]])


def product(left: FloatArray, right: FloatArray) -> FloatArray:
    """Product of (..., m, n) and (n, k), a few rows at a time.

    On a busy machine the threads of a larger product wait for each other many times as long as it
    takes.
    """
    m, step = left.shape[-2], max(FEW, SMALL // max(right.size, 1))
    if m <= step:
        return np.matmul(left, right)
    products = np.empty((*left.shape[:-1], right.shape[1]))
    for start in range(0, m, step):
        block = np.s_[..., start : start + step, :]
        np.matmul(left[block], right, out=products[block])
    return products


def products(left: FloatArray, right: FloatArray) -> FloatArray:
    """Products of (g, m, n) and (g, n, k) or (1, n, k), in one thread too."""
    if left.shape[1] * right.shape[1] * right.shape[2] <= SMALL:
        return np.matmul(left, right)
    each = np.broadcast_to(right, (len(left), *right.shape[1:]))
    return np.stack([product(a, b) for a, b in zip(left, each, strict=True)])
