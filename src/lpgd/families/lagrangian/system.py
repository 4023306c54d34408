"""The conditions of one element to first order, over its held rows R, factorized:

[ xx + rho I   R' ] [a]     [dx]
[     R        yy ] [v] = - [dy]
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import linalg

from lpgd.core.scaling import factors
from lpgd.core.solution import BoolArray, FloatArray
from lpgd.families.lagrangian.model import Curvature
from lpgd.families.lagrangian.symmetric import Symmetric

SINGULAR = 1e-11  # a condition number's inverse below this is zero
ROUGH = 1e-8  # and below this says that a derivative may be noise
ROUNDS = 8  # of balancing: each halves the logarithms of what is to be made alike


@dataclass(frozen=True)
class System:
    """The matrix of one element, balanced.

    Attributes
    ----------
    K : (n + k, n + k) float64
        With rows and columns multiplied by ``unit``.
    held : (m,) bool
        The k rows.
    """

    n: int
    K: FloatArray
    unit: FloatArray
    held: BoolArray

    @classmethod
    def of(cls, at: Curvature, held: BoolArray, rho: float) -> System:
        """Balance the matrix of an element; ``at`` holds its second derivatives."""
        n, k = len(at.xx), int(held.sum())
        K = np.empty((n + k, n + k))
        K[:n, :n], K[n:, :n] = at.xx + rho * np.eye(n), at.yx[held]
        K[:n, n:], K[n:, n:] = K[n:, :n].T, at.yy[np.ix_(held, held)]
        unit, sizes = np.ones(n + k), np.abs(K)
        for _ in range(ROUNDS if np.isfinite(sizes).all() else 0):
            more = factors(np.sqrt(sizes.max(axis=1, initial=0.0)))
            if (more == 1).all():
                break
            unit *= more
            sizes *= more[:, None] * more
        return cls(n, unit[:, None] * K * unit, unit, held)

    @cached_property
    def sparse(self) -> Symmetric | None:
        """The matrix factorized as a sparse one, if it is large, sparse and safely regular."""
        return Symmetric.of(self.K, self.n, ROUGH) if np.isfinite(self.K).all() else None

    @property
    def regular(self) -> bool:
        """Whether the matrix does not look singular."""
        return self.sparse is not None or self.factor is not None

    @cached_property
    def factor(self) -> tuple[FloatArray, FloatArray] | None:
        """LU factors and pivots, or None of a matrix that looks singular."""
        if not len(self.K) or not np.isfinite(self.K).all():
            return None
        lu, pivots, flag = linalg.lapack.dgetrf(self.K)
        norm = np.abs(self.K).sum(axis=0).max()
        regular = flag == 0 and linalg.lapack.dgecon(lu, norm)[0] > SINGULAR
        return (lu, pivots) if regular else None

    def solve(
        self, f: FloatArray, g: FloatArray, *, safe: bool = False
    ) -> tuple[FloatArray, FloatArray]:
        """(a, v) for right-hand sides (n,) and (m,).

        Of a singular matrix, and with ``safe`` of one that is not sound, that of least norm, which
        leaves out what is noise.
        """
        rhs, v = self.unit * np.concatenate([f, g[self.held]]), np.zeros_like(g)
        if not (np.isfinite(self.K).all() and np.isfinite(rhs).all()):
            return np.full(self.n, np.nan), np.full_like(v, np.nan)
        if self.sparse is not None and (self.sound or not safe):
            both = self.sparse.solve(rhs)
        elif self.factor is not None and (self.sound or not safe):
            both = linalg.lapack.dgetrs(*self.factor, rhs)[0]
        else:
            values, vectors = self._eigen
            clear = np.abs(values) > ROUGH * np.abs(values).max(initial=0.0)
            both = vectors[:, clear] @ ((vectors[:, clear].T @ rhs) / values[clear])
        both = self.unit * both
        v[self.held] = both[self.n :]
        return both[: self.n], v

    @cached_property
    def _eigen(self) -> tuple[FloatArray, FloatArray]:
        values, vectors = np.linalg.eigh(self.K)
        return values, vectors

    @cached_property
    def spectrum(self) -> FloatArray:
        """Eigenvalues of the balanced matrix, relative to the largest; their signs are K's own."""
        if not np.isfinite(self.K).all():
            return np.full(len(self.K), np.nan)
        found = np.linalg.eigvalsh(self.K)
        return found / max(np.abs(found).max(initial=0.0), np.finfo(np.float64).tiny)

    @property
    def sound(self) -> bool:
        """Whether the matrix is safely regular, and that of a saddle point.

        By Sylvester's law, n positive eigenvalues say that the Lagrangian is curved upwards along
        the tangents of the held rows. Where it is curved in y, these are no mere multipliers, and
        may have constraints of their own with multipliers among them.
        """
        bent = self.K[self.n :, self.n :].any()
        if self.sparse is not None:
            return bool(bent or self.sparse.rising == self.n)
        clear, rising = (np.abs(self.spectrum) > ROUGH).all(), int((self.spectrum > 0).sum())
        return bool(clear and (bent or rising == self.n))

    @property
    def dependent(self) -> bool:
        """Whether the held rows are linearly dependent, so that multipliers are not unique."""
        rows, bend = self.K[self.n :, : self.n], self.K[self.n :, self.n :]
        if bend.any() or not len(rows) or not np.isfinite(rows).all():
            return False
        return bool(np.linalg.matrix_rank(rows, tol=SINGULAR * np.abs(rows).max()) < len(rows))

    @property
    def strict(self) -> bool:
        """Whether x has curvature everywhere, or along the tangents that the held rows leave."""
        if self.n > len(self.K) - self.n and self.sound:
            return True
        own = self.K[: self.n, : self.n]
        if not np.isfinite(own).all():
            return False
        return bool(np.linalg.eigvalsh(own)[0] > ROUGH * max(np.abs(own).max(), 1e-300))
