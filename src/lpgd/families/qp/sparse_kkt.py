"""The optimality conditions of one sparse QP with its active rows held, factorized once.

With f the variables that are at no active bound, and R the rows of equality and the active ones,

    K = [ P_ff + rho I   R_f' ]
        [     R_f         0   ]

is brought to unit size, made quasi-definite by +-DELTA on its diagonal, and factorized as L D L'
without pivoting (Vanderbei, 1995). Refinement takes the regularisation back: it converges where K
is regular, and where K is singular but the right-hand side is in its range. Nothing n x n is dense.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from lpgd.core.extras import load
from lpgd.core.params import Params
from lpgd.core.solution import BoolArray, FloatArray, IntArray
from lpgd.families.qp.entries import placed, rows_of
from lpgd.families.quadratic.structure import Structure

# Regularisation of K in units in which its rows have the size 1; larger than the square root of
# rounding, as pivots of that size are divided by. Larger ones serve where a pivot vanishes.
DELTA, MOST = 1e-7, 1e-5
STEPS = 12  # of refinement
SURE, POOR = 1e-16, 1e-9  # residuals that need no further step, and that are none
SWEEPS = 4  # of scaling
APART = 1e3  # square root of the ratio of curvature and constraints from which units are changed
POWERS = 5  # of what regularisation leaves unsolved
SINGULAR = 0.3  # share of a vector that they must keep to be in the null space


@dataclass(frozen=True, eq=False)
class Element:
    """The data of one element; sparse matrices in compressed rows.

    Attributes
    ----------
    P : (n, n) sparse
    q : (n,) float64
    C : (M, n) sparse
        Rows of A, then of G.
    r : (M,) float64
    lb, ub : (n,) float64
        Infinite where there is no bound.
    equalities : int
    blocks : mapping from str to slice
        See ``QP.blocks``.
    """

    P: Any
    q: FloatArray
    C: Any
    r: FloatArray
    lb: FloatArray
    ub: FloatArray
    equalities: int
    blocks: Mapping[str, slice]

    @classmethod
    def of(cls, problem: Structure, params: Params, element: int) -> Element:
        """Take one element out of a batch."""
        data: dict[str, Any] = {k: p.values[p.index[element]] for k, p in params.items()}
        for name in ("P", "A", "G"):
            if name in problem.patterns:
                data[name] = problem.patterns[name].matrix(data[name])
            elif name in data:
                data[name] = sparse.csr_matrix(data[name])
        n, none = problem.n, np.zeros(0)
        rows = [data[name] for name in ("A", "G") if name in data]
        return cls(
            data.get("P", sparse.csr_matrix((n, n))),
            data["q"],
            sparse.vstack(rows, format="csr") if rows else sparse.csr_matrix((0, n)),
            np.concatenate([data.get("b", none), data.get("h", none)]),
            data.get("lb", np.full(n, -np.inf)),
            data.get("ub", np.full(n, np.inf)),
            len(data.get("b", none)),
            problem.blocks,
        )

    @cached_property
    def sizes(self) -> tuple[Any, Any, Any]:
        """|P|, |C| and |C'|."""
        return abs(self.P), abs(self.C), abs(self.transposed)

    @cached_property
    def transposed(self) -> Any:
        """C' in compressed rows."""
        return self.C.T.tocsr()

    def split(self, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Flat multipliers as those of rows (M,), lower and upper bounds (n,)."""
        rows, none = len(self.r), np.zeros(len(self.q))
        lower, upper = (y[self.blocks[k]] if k in self.blocks else none for k in ("lb", "ub"))
        return y[:rows], lower, upper

    def joined(self, rows: FloatArray, lower: FloatArray, upper: FloatArray) -> FloatArray:
        """The flat multipliers of these."""
        bounds = {"lb": lower, "ub": upper}
        return np.concatenate([rows, *(bounds[k] for k in ("lb", "ub") if k in self.blocks)])

    def slacks(self, x: FloatArray) -> FloatArray:
        """Flat slacks of rows and bounds."""
        with np.errstate(invalid="ignore"):
            return self.joined(self.r - self.C @ x, x - self.lb, self.ub - x)

    def shares(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Slacks and multipliers relative to what they are made of; see ``optimality.py``."""
        P, C, C_transposed = self.sizes
        w, lower, upper = self.split(np.abs(y))
        size = np.abs(x)
        size = np.maximum(size, 1e-3 * size.max(initial=0.0))
        columns = np.maximum.reduce([P @ size, np.abs(self.q), C_transposed @ w + lower + upper])
        columns = np.maximum(columns, 1e-3 * columns.max(initial=0.0))
        columns = np.where(columns > 0, columns, 1.0)
        finite = [np.where(np.isfinite(side), np.abs(side), 0.0) for side in (self.lb, self.ub)]
        rows = np.maximum(C @ size, np.where(np.isfinite(self.r), np.abs(self.r), 0.0))
        sizes = self.joined(rows, *(np.maximum(size, side) for side in finite))
        factors = self.joined(C @ (1 / columns), 1 / columns, 1 / columns)
        slacks = self.slacks(x)
        return slacks / np.where(sizes > 0, sizes, 1.0), y * factors


class Active(NamedTuple):
    """Which rows (M,), lower and upper bounds (n,) are held."""

    rows: BoolArray
    lower: BoolArray
    upper: BoolArray

    @classmethod
    def of(cls, element: Element, flat: BoolArray) -> Active:
        """Of flat constraints; equalities are always held."""
        rows, lower, upper = element.split(flat.astype(np.float64))
        rows = rows > 0
        rows[: element.equalities] = True
        return cls(rows, lower > 0, upper > 0)

    def flat(self, element: Element) -> BoolArray:
        """The flat constraints."""
        return element.joined(*(part.astype(np.float64) for part in self)) > 0

    def twice(self, element: Element) -> BoolArray:
        """The flat bounds that hold a variable between them: one equality, not two bounds."""
        both = np.where(self.lower & self.upper, 1.0, 0.0)
        return element.joined(np.zeros_like(element.r), both, both) > 0

    def same(self, other: Active) -> bool:
        """Whether the same constraints are held."""
        return all(np.array_equal(a, b) for a, b in zip(self, other, strict=True))


class System:
    """K of an element and its active constraints, with its factor."""

    def __init__(self, element: Element, active: Active, rho: float = 0.0) -> None:
        self.element, self.active, self.rho = element, active, rho
        self.free: IntArray = np.flatnonzero(~(active.lower | active.upper))
        self.rows: IntArray = np.flatnonzero(active.rows)
        self.K: Any = self._assembled()
        self.scale = _units(self.K, len(self.free))
        self.sign = np.ones(len(self.free) + len(self.rows))
        self.sign[len(self.free) :] = -1.0
        self.delta = DELTA
        self.factor: Any = self._factorized() if len(self.sign) else None

    def _assembled(self) -> Any:
        """K in compressed rows, in order, its whole diagonal stored."""
        k, size = len(self.free), len(self.free) + len(self.rows)
        column, row = np.full(len(self.element.q), -1), np.full(len(self.element.r), -1)
        column[self.free], row[self.rows] = np.arange(k), np.arange(k, size)
        curve, i, j = placed(self.element.P, column, column)
        sides, below, above = placed(self.element.C, row, column)
        every, diagonal = np.arange(size), np.zeros(size)
        diagonal[:k] = self.rho
        values = np.concatenate([curve, sides, sides, diagonal])
        rows = np.concatenate([i, below, above, every])
        columns = np.concatenate([j, above, below, every])
        return sparse.csr_matrix((values, (rows, columns)), shape=(size, size))

    def _factorized(self) -> Any:
        """The factor of the scaled and regularised K."""
        solver, K = load("qdldl", "sparse").Solver, self.K
        rows, columns = rows_of(K), K.indices
        # K is symmetric: its compressed rows are its compressed columns, and their last entries at
        # or above the diagonal are the diagonal
        upper = columns <= rows
        starts = np.concatenate([[0], np.cumsum(upper)])[K.indptr]
        values = (self.scale[rows] * K.data * self.scale[columns])[upper]
        last = starts[1:] - 1
        plain = values[last]
        while True:
            values[last] = plain + self.delta * self.sign
            whole = sparse.csc_matrix((values, columns[upper], starts), shape=K.shape)
            try:
                return solver(whole, upper=True)
            except RuntimeError:  # a pivot is zero
                if self.delta >= MOST:
                    raise
            self.delta *= 10

    def solve(self, top: FloatArray, bottom: FloatArray) -> tuple[FloatArray, FloatArray, float]:
        """a and v of K (a; v) = (top; bottom), and the residual relative to its terms.

        Parts of the right-hand side that K cannot reach are left out where K is singular.
        """
        rhs, k = np.concatenate([top, bottom]), len(top)
        if not rhs.any():
            return rhs[:k], rhs[k:], 0.0
        z, error = self._refined(rhs)
        if not error <= POOR:
            z, error = self._refined(rhs - self._lost(rhs))
        return z[:k], z[k:], error

    def _refined(self, rhs: FloatArray) -> tuple[FloatArray, float]:
        size = float(np.abs(self.scale * rhs).max(initial=0.0))
        z, gap, best = np.zeros_like(rhs), rhs, np.inf
        for _ in range(STEPS):
            new = z + self.scale * self.factor.solve(self.scale * gap)
            gap = rhs - self.K @ new
            reach = size + float(np.abs(new / self.scale).max(initial=0.0))
            error = float(np.abs(self.scale * gap).max(initial=0.0)) / (reach or 1.0)
            if not error < best:
                break
            z, slow, best = new, error > 0.5 * best, error
            if error < SURE or slow:
                break
        return z, best

    def _lost(self, rhs: FloatArray) -> FloatArray:
        """The part of a right-hand side in the null space of K."""
        part = self.scale * rhs
        for _ in range(POWERS):
            part = self._unsolved(part)
        return part / self.scale

    def _unsolved(self, part: FloatArray) -> FloatArray:
        """What regularisation leaves of a scaled right-hand side: little but the null space."""
        return self.delta * self.sign * self.factor.solve(part)

    @cached_property
    def singular(self) -> bool:
        """Whether active rows are dependent, or the objective is flat along them."""
        part, share = np.cos(np.arange(len(self.scale)) ** 2 + 1.0), 0.0
        for _ in range(POWERS if len(part) else 0):
            new = self._unsolved(part)
            share, part = float(np.linalg.norm(new) / max(np.linalg.norm(part), 1e-300)), new
        return share > SINGULAR


def _units(K: Any, k: int) -> FloatArray:
    """Factors that bring the largest entry of every row and column of a symmetric matrix near 1.

    The first k belong to variables. Curvature that is nothing beside the rows of constraints, or
    the other way, is brought near these first: costs have a unit of their own, which the largest
    entries do not show. Less than that is left to refinement, which works best in given units.
    """
    size, rows = np.abs(K.data), rows_of(K)
    inner = (rows < k) & (K.indices < k)
    curve, pull = (float(size[part].max(initial=0.0)) for part in (inner, ~inner))
    lift = math.sqrt(pull) / math.sqrt(curve) if curve > 0 and pull > 0 else 1.0
    lift = 1.0 if 1 / APART < lift < APART else lift
    scale = np.full(int(K.shape[0]), 1 / lift)
    scale[:k] = lift
    for _ in range(SWEEPS if len(scale) else 0):
        top = np.maximum.reduceat(size * scale[rows] * scale[K.indices], K.indptr[:-1])
        scale = scale / np.sqrt(np.where(top > 0, top, 1.0))
    return scale
