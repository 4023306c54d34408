"""Large sparse symmetric matrices, factorized along their diagonal: solutions and inertia.

A factorization that pivots on the diagonal alone keeps sparsity and tells the signs of the
eigenvalues, but may be inaccurate. So a matrix is taken only where a few steps of refinement reach
rounding (factors of a matrix so near have the same signs), and where it is far from singular; any
other is left to dense matrices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lpgd.core.solution import FloatArray

LARGE, SPARSE = 400, 0.05  # rows, and the share of entries that are not zero
SHIFT = 1e-10  # of the last diagonal entries, which may be zero
DONE, GOOD, ROUNDS = 1e-15, 1e-11, 6  # of refinements: relative residuals, and how many
TRIED = 3  # right-hand sides
TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True)
class Symmetric:
    """A factorized matrix.

    Attributes
    ----------
    matrix : (k, k) sparse
    apply : callable
        The approximate inverse.
    rising : int
        How many eigenvalues are positive.
    """

    matrix: Any
    apply: Callable[[FloatArray], FloatArray]
    rising: int

    @classmethod
    def of(cls, K: FloatArray, n: int, least: float) -> Symmetric | None:
        """Factorize K (k, k), of which entries beyond the first ``n`` may be zero on the diagonal.

        None if it is small, dense, or not safely regular: its smallest eigenvalue, relative to the
        largest, must exceed ``least``.
        """
        size = len(K)
        if size < LARGE or np.count_nonzero(K) > SPARSE * size**2:
            return None
        from scipy import sparse
        from scipy.sparse import linalg

        matrix = sparse.csc_array(K)
        shift = sparse.diags_array(np.where(np.arange(size) < n, 0.0, -SHIFT))
        how: dict[str, Any] = {"SymmetricMode": True}
        try:
            lu = linalg.splu(
                (matrix + shift).tocsc(), "MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=how
            )
        except RuntimeError:  # exactly singular
            return None
        if (lu.perm_r != lu.perm_c).any():
            return None
        made = cls(matrix, lu.solve, int((lu.U.diagonal() > 0).sum()))
        draw = np.random.default_rng(0).normal
        if not all(made._refined(draw(size=size))[1] <= GOOD for _ in range(TRIED)):
            return None
        # one column: no random numbers of numpy's are drawn
        inverse = linalg.LinearOperator((size, size), made.solve, made.solve, dtype=np.float64)
        largest = float(np.abs(K).sum(axis=0).max())
        return made if largest * linalg.onenormest(inverse, t=1) * least < 1 else None

    def solve(self, rhs: FloatArray) -> FloatArray:
        """K^-1 rhs, refined."""
        return self._refined(rhs.ravel())[0]

    def _refined(self, rhs: FloatArray) -> tuple[FloatArray, float]:
        """The solution, and its residual relative to the right-hand side."""
        found, size = self.apply(rhs), max(np.abs(rhs).max(initial=0.0), TINY)
        error = np.inf
        for _ in range(ROUNDS):
            rest = rhs - self.matrix @ found
            error = float(np.abs(rest).max(initial=0.0) / size)
            if error <= DONE or not np.isfinite(error):
                break
            found = found + self.apply(rest)
        return found, error
