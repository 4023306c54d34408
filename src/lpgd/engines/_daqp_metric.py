"""Variables u = Rx in which a Hessian P = R'R is the identity.

DAQP solves every strictly convex QP in these variables: each set-up factorizes P, inverts R and
multiplies the rows by it, in plain loops. Here R^-1 is found once for each distinct P and BLAS
multiplies, so that DAQP is handed ½u'u + (R^-T q)'u with rows G R^-1, ready to solve. Every product
is of one element, so that its rounding does not depend on the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from lpgd.params import Param
from lpgd.solution import FloatArray, IntArray

Matrices = tuple[FloatArray | None, FloatArray]

# DAQP refines its answers in x beyond this condition number, so it must see such a P itself
WORST = 1e6


@dataclass(frozen=True)
class Metric:
    """Changes of variables x = R^-1 u, one for each distinct Hessian.

    Attributes
    ----------
    inverses : (D, n, n) float64
        R^-1, or the identity where DAQP shall see P itself.
    changed : list of bool
        Which of them are no identities.
    index : (groups,) int
        The Hessian of each set-up.
    """

    inverses: FloatArray
    changed: list[bool]
    index: IntArray

    @classmethod
    def of(cls, hessians: Param) -> Metric | None:
        """The changes for some Hessians; None where there are none."""
        found = [_inverse_factor(P) for P in hessians.values]
        changed = [inverse is not None for inverse in found]
        if not any(changed):
            return None
        same = np.eye(hessians.values.shape[1])
        return cls(np.stack([same if R is None else R for R in found]), changed, hessians.index)

    def enter(self, set_ups: list[Matrices], parts: list[Param], *, boxed: bool) -> list[Matrices]:
        """Hessians and rows of the set-ups in u, rows of bounds first.

        ``parts`` are the rows again, as the caller stored them: shared ones are multiplied once.
        """
        identity = np.eye(self.inverses.shape[1])
        products = [self._product(part) for part in parts]
        entered: list[Matrices] = []
        for group, which in enumerate(self.index.tolist()):
            if not self.changed[which]:
                entered.append(set_ups[group])
                continue
            rows = [product[group] for product in products]
            if boxed or not rows:
                rows = [self.inverses[which][: self.inverses.shape[1] * boxed], *rows]
            entered.append((identity, rows[0] if len(rows) == 1 else np.concatenate(rows)))
        return entered

    def _product(self, matrix: Param) -> list[FloatArray]:
        with np.errstate(invalid="ignore"):  # values of elements that are unfit to be solved
            if len(self.inverses) == 1:
                products = np.matmul(matrix.values, self.inverses[0])
                return [products[i] for i in matrix.index.tolist()]
            pairs = zip(matrix.index.tolist(), self.index.tolist(), strict=True)
            return [matrix.values[i] @ self.inverses[j] for i, j in pairs]

    def costs(self, f: FloatArray, groups: IntArray) -> FloatArray:
        """Costs (N, n) of x as costs of u."""
        return np.matmul(f[:, None], self._inverses(groups))[:, 0]

    def points(self, u: FloatArray, groups: IntArray) -> FloatArray:
        """The points x (N, n) of some u."""
        return np.matmul(self._inverses(groups), u[:, :, None])[:, :, 0]

    def _inverses(self, groups: IntArray) -> FloatArray:
        return self.inverses if len(self.inverses) == 1 else self.inverses[self.index[groups]]


def _inverse_factor(P: FloatArray) -> FloatArray | None:
    """R^-1; None where P is diagonal, which DAQP exploits, or not safely positive definite."""
    diagonal = P.diagonal()
    if np.count_nonzero(P) == np.count_nonzero(diagonal):
        return None
    R, failed = lapack.dpotrf(P)
    if failed:
        return None
    inverse, failed = lapack.dtrtri(R)
    if failed:
        return None
    condition = diagonal.max() * np.einsum("ij,ij->i", inverse, inverse).max()
    return inverse if condition <= WORST else None
