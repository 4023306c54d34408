"""Variables u = Rx in which a Hessian P = R'R is the identity.

DAQP solves every strictly convex QP in these variables: it factorizes P, inverts R and multiplies
the rows by it, in plain loops, for every program. Here R^-1 is found once for each distinct P and
BLAS multiplies, so that DAQP is handed ½u'u + (R^-T q)'u with rows G R^-1, ready to solve. Every
product is of one element, so that its rounding does not depend on the batch.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from lpgd.core.params import Param
from lpgd.core.solution import FloatArray, IntArray

Matrices = tuple[FloatArray | None, FloatArray]

# beyond this condition number DAQP refines its answers in x, so it must see such a P itself
WORST = 1e6
# sizes up to which BLAS and LAPACK stay in one thread
SMALL, FEW, HALVED = 2**18, 8, 128


class Metric:
    """Changes of variables x = R^-1 u for the set-ups of a batch.

    Diagonal Hessians are left alone, since DAQP keeps bounds simple in them.

    Attributes
    ----------
    safe : list of bool
        Set-ups whose Hessian is positive definite and well enough conditioned to be factorized
        once and for all.
    """

    def __init__(self, hessians: Param) -> None:
        self.same = same = np.eye(hessians.values.shape[1])
        self.index = hessians.index
        self.found = [same if _diagonal(P) else _inverse_factor(P) for P in hessians.values]
        self.safe = [self.found[i] is not None for i in self.index.tolist()]
        changes = [same if inverse is None else inverse for inverse in self.found]
        self.inverses = None if all(R is same for R in changes) else np.stack(changes)

    def enter(self, set_ups: list[Matrices], parts: list[Param], *, boxed: bool) -> list[Matrices]:
        """Hessians and rows of the set-ups in u, rows of bounds first.

        ``parts`` are the rows again, as the caller stored them: shared ones are multiplied once.
        """
        if self.inverses is None:
            return set_ups
        products = [self._product(self.inverses, part) for part in parts]
        entered: list[Matrices] = []
        for group, which in enumerate(self.index.tolist()):
            inverse = self.found[which]
            if inverse is None or inverse is self.same:
                entered.append(set_ups[group])
                continue
            rows = [product[group] for product in products]
            if boxed or not rows:
                rows.insert(0, inverse if boxed else inverse[:0])
            entered.append((self.same, rows[0] if len(rows) == 1 else np.concatenate(rows)))
        return entered

    def _product(self, inverses: FloatArray, matrix: Param) -> list[FloatArray]:
        with np.errstate(invalid="ignore"):  # values of elements that are unfit to be solved
            if len(inverses) == 1:
                products = _times(matrix.values, inverses[0])
                return [products[i] for i in matrix.index.tolist()]
            pairs = zip(matrix.index.tolist(), self.index.tolist(), strict=True)
            return [_times(matrix.values[i], inverses[j]) for i, j in pairs]

    def costs(self, f: FloatArray, groups: IntArray) -> FloatArray:
        """Costs (N, n) of x as costs of u."""
        inverses = self._of(groups)
        return f if inverses is None else np.matmul(f[:, None], inverses)[:, 0]

    def points(self, u: FloatArray, groups: IntArray) -> FloatArray:
        """The points x (N, n) of some u."""
        inverses = self._of(groups)
        return u if inverses is None else np.matmul(inverses, u[:, :, None])[:, :, 0]

    def _of(self, groups: IntArray) -> FloatArray | None:
        if self.inverses is None or len(self.inverses) == 1:
            return self.inverses
        which = self.index[groups]
        each = len(which) == len(self.inverses) and np.array_equal(which, np.arange(len(which)))
        return self.inverses if each else self.inverses[which]


def _diagonal(P: FloatArray) -> bool:
    """Whether there is nothing beside the diagonal, and no zero on it."""
    return np.count_nonzero(P) == np.count_nonzero(P.diagonal()) == len(P)


def _inverse_factor(P: FloatArray) -> FloatArray | None:
    """R^-1; None where P is not safely positive definite."""
    inverse = _inverted(P)
    if inverse is None:
        return None
    condition = P.diagonal().max() * np.einsum("ij,ij->i", inverse, inverse).max()
    return inverse if condition <= WORST else None


def _inverted(P: FloatArray) -> FloatArray | None:
    """R^-1, of large matrices by halves; None where P has no factor."""
    n, half = len(P), len(P) // 2
    if n <= HALVED:
        R, failed = lapack.dpotrf(P)  # pyright: ignore[reportAttributeAccessIssue]
        return None if failed else lapack.dtrtri(R)[0]  # pyright: ignore[reportAttributeAccessIssue]
    head = _inverted(P[:half, :half])
    if head is None:
        return None
    side = _times(head.T, P[:half, half:])
    tail = _inverted(P[half:, half:] - _times(side.T, side))
    if tail is None:
        return None
    return np.block([[head, _times(_times(head, side), -tail)], [np.zeros((n - half, half)), tail]])


def _times(left: FloatArray, right: FloatArray) -> FloatArray:
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
