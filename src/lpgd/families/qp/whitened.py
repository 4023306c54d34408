"""Strictly convex QPs to first order, many elements at once.

With P = R'R the rows M = C R^-1 of the active constraints, each of length 1, shrink the system

    [ P   C' ] [a]     [dx]
    [ C   0  ] [v] = - [m ]      to      (M M') v = m - M R^-T dx,   a = -R^-1 (R^-T dx + M'v)

(math page, section 11). Elements with about as many active rows are solved together. Their rows are
padded to a multiple of STEP, which is a matter of each element alone: what it gets does not depend
on its company. M M' squares the condition, so that elements two of whose rows are nearly parallel
are left to others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, cast, final

import numpy as np

from lpgd.core.params import Param, Params
from lpgd.core.solution import BoolArray, FloatArray, IntArray
from lpgd.families.qp.active import Active
from lpgd.families.quadratic.structure import Structure
from lpgd.families.quadratic.whitening import Whitened, inverse_factors, whitened

STEP = 8  # to a multiple of which active rows are padded
FEW = 64  # active rows up to which LAPACK takes many elements in one call
APART = 1e-6  # least squared sine of the angle between a row and those before it
SHORT = 1e-280  # squared lengths below this have lost digits
NOTHING = 1e-9  # multipliers below this, relative to the cotangent, are none


@final
@dataclass(frozen=True)
class Roots:
    """R^-1 of every distinct Hessian, and the rows in the variables u."""

    inverses: FloatArray  # (D, n, n)
    good: BoolArray  # (B,) of elements
    index: IntArray  # (B,)
    rows: Mapping[str, Param]  # A R^-1 and G R^-1

    @classmethod
    def of(cls, params: Params, rho: float, given: Whitened | None) -> Roots:
        """Factorize what is safely positive definite; ``given`` is what an engine has."""
        P = params["P"]
        none = Param(np.zeros((0, *P.values.shape[1:])), np.full(len(P.index), -1))
        had = none if given is None or rho else given.inverses
        if given is not None and (had.index >= 0).all():
            return cls(had.values, had.index >= 0, had.index, given.rows)
        index, wanted = had.index.copy(), np.zeros(len(P.values), dtype=np.bool_)
        wanted[P.index[index < 0]] = True
        more, sound = inverse_factors(P.values + rho * np.eye(P.values.shape[1]), wanted)
        place = np.where(sound, len(had.values) + np.cumsum(sound) - 1, -1)
        index = np.where(index < 0, place[P.index], index)
        inverses = np.concatenate([had.values, more]) if len(had.values) else more
        every = Param(inverses, index)
        # all rows, not just those wanted: what an engine has gives the same to the last bit
        blocks = params.keys() & {"A", "G"} if len(inverses) else ()
        rows = {name: whitened(params[name], every) for name in blocks}
        return cls(inverses, index >= 0, index, rows)

    def of_elements(self, root: IntArray) -> FloatArray:
        """The inverse that each of some elements uses; one alone, where there is no other."""
        return self.inverses if len(self.inverses) == 1 else self.inverses[root]


@final
@dataclass(frozen=True)
class Group:
    """Elements with up to k active rows each.

    Attributes
    ----------
    elements : (g,) int
    rows : (g, k) int
        Their places among the multipliers, 0 where ``used`` is false.
    used : (g, k) bool
    M : (g, k, n) float64
        As they are.
    scale : (g, k) float64
        What makes their lengths 1.
    factors : (g, k, k) float64
        M M' of rows of length 1, the identity in unused rows, beyond FEW rows its inverse factor;
        NaN in the latter for rows that are not safely independent.
    root : (g,) int
        Which of the roots is theirs.
    """

    elements: IntArray
    rows: IntArray
    used: BoolArray
    M: FloatArray
    scale: FloatArray
    factors: FloatArray
    root: IntArray

    @classmethod
    def of(cls, problem: Structure, active: Active, roots: Roots, elements: IntArray) -> Group:
        """The active rows of elements that have about equally many."""
        held = active.held[elements]
        counts = held.sum(axis=1)
        size = -(-int(counts.max()) // STEP) * STEP
        used = np.arange(size) < counts[:, None]
        rows = np.zeros(used.shape, dtype=np.intp)
        rows[used] = np.nonzero(held)[1]
        moved = _gathered(problem, roots, elements, rows, used)
        squares = np.matmul(moved, moved.swapaxes(1, 2))
        sizes = squares.diagonal(axis1=1, axis2=2)
        scale = 1 / np.sqrt(np.where(sizes > SHORT, sizes, 1.0))  # shorter ones are not apart
        squares *= scale[..., None] * scale[:, None]
        squares[..., np.arange(size), np.arange(size)] += ~used
        if size > FEW:
            squares = _inverses(squares)
        return cls(elements, rows, used, moved, scale, squares, roots.index[elements])

    @property
    def apart(self) -> BoolArray:
        """Elements whose rows are safely independent, (g,)."""
        if self.factors.shape[1] > FEW:
            return ~np.isnan(self.factors[:, 0, 0])
        try:
            sines = np.linalg.cholesky(self.factors).diagonal(axis1=1, axis2=2)
        except np.linalg.LinAlgError:
            sines = np.array([_sines(square) for square in self.factors])
        return np.logical_and.reduce(sines**2 >= APART, axis=1)

    def _solved(self, load: FloatArray) -> FloatArray:
        """Multipliers (g, k, 1) of the scaled rows for right-hand sides (g, k)."""
        if self.factors.shape[1] > FEW:
            half = np.matmul(load[:, None], self.factors).swapaxes(1, 2)
            return np.matmul(self.factors, half)
        return cast(Any, np.linalg.solve)(self.factors, load[..., None])

    def take(self, places: IntArray) -> Group:
        """Some of the elements, or the group itself where these are all."""
        if np.array_equal(places, np.arange(len(self.elements))):
            return self
        parts: dict[str, Any] = {f.name: getattr(self, f.name)[places] for f in fields(self)}
        return Group(**parts)

    def solve(
        self, roots: Roots, dx: FloatArray, dy: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """a, v of the active rows, and v beside the cotangent."""
        M, inverse = self.M, roots.of_elements(self.root)
        u = np.matmul(dx[:, None], inverse)
        size = np.abs(u).max(axis=(1, 2), initial=0.0)
        load = np.where(self.used, dy, 0.0)
        load -= np.matmul(M, u.swapaxes(1, 2))[..., 0]
        w = self._solved(self.scale * load)[..., 0]
        v = self.scale * w
        u += np.matmul(v[:, None], M)
        a = -np.matmul(inverse, u.swapaxes(1, 2))[..., 0]
        shares = np.abs(w)
        size = np.maximum(size, shares.max(axis=1, initial=0.0))
        return a, v, shares / np.where(size > 0, size, 1.0)[:, None]


def _gathered(
    problem: Structure, roots: Roots, elements: IntArray, rows: IntArray, used: BoolArray
) -> FloatArray:
    """Chosen rows (g, k) of C R^-1 as a dense array (g, k, n); zero where none is used."""
    M = np.empty((used.size, problem.n))
    M[~used.reshape(-1)] = 0.0
    for name, block in problem.blocks.items():
        place = np.flatnonzero(used & (rows >= block.start) & (rows < block.stop))
        row, mine = rows.reshape(-1)[place] - block.start, elements[place // rows.shape[1]]
        param = roots.rows.get(name) or Param(roots.inverses, roots.index)
        at: IntArray = param.index[mine] * param.values.shape[1] + row
        chosen = param.values.reshape(-1, problem.n)[at]
        M[place] = -chosen if name == "lb" else chosen
    return M.reshape(*rows.shape, problem.n)


def _inverses(squares: FloatArray) -> FloatArray:
    """Inverse factors, NaN where a matrix is not safely positive definite."""
    found, sound = inverse_factors(squares, np.ones(len(squares), dtype=np.bool_))
    every = np.full_like(squares, np.nan)
    every[sound] = found
    return every


def _sines(square: FloatArray) -> FloatArray:
    try:
        return np.asarray(np.linalg.cholesky(square).diagonal(), dtype=np.float64)
    except np.linalg.LinAlgError:
        return np.zeros(len(square))
