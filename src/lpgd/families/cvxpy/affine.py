"""Program data as affine functions of parameters, and the transposed maps of their gradients."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast, final

import numpy as np
from scipy import sparse

from lpgd.core.params import Param, Params, distinct, flat
from lpgd.core.solution import BoolArray, FloatArray, IntArray
from lpgd.families.quadratic.structure import QUIET

Places = slice | IntArray


@final
@dataclass(frozen=True, eq=False)
class Linear:
    """A sparse matrix (k, size), applied to rows, and its transpose.

    Most maps between parameters and program data only move entries and change signs; then nothing
    is multiplied, and where entries stay in their order nothing is copied.
    """

    matrix: Any

    def __post_init__(self) -> None:
        given = self.matrix
        if not (isinstance(given, sparse.csr_array) and cast(Any, given).has_canonical_format):
            matrix = cast(Any, sparse).csr_array(given)
            matrix.sum_duplicates()
            object.__setattr__(self, "matrix", matrix)

    @cached_property
    def forth(self) -> "_Moves | None":
        """The matrix, where it moves entries."""
        return _Moves.of(self.matrix)

    @cached_property
    def transposed(self) -> Any:
        """The transpose, by rows."""
        return sparse.csr_array(self.matrix.T)

    @cached_property
    def back(self) -> "_Moves | None":
        """The transpose, where it moves entries."""
        return _Moves.of(self.transposed)

    def __call__(self, values: FloatArray) -> FloatArray:
        """Rows (D, size) to (D, k); may be a view of ``values``."""
        if self.forth:
            return self.forth(values)
        return np.ascontiguousarray((self.matrix @ values.T).T)

    def pull(self, gradient: FloatArray) -> FloatArray:
        """Rows (R, k) to (R, size) by the transpose; may be a view of ``gradient``."""
        if self.back:
            return self.back(gradient)
        return np.ascontiguousarray((self.transposed @ gradient.T).T)


@dataclass(frozen=True, eq=False)
class _Moves:
    """A matrix with at most one entry a row: out[:, rows] = scale * values[:, cols]."""

    rows: Places
    cols: Places
    scale: FloatArray | None
    size: int
    whole: bool

    @classmethod
    def of(cls, matrix: Any) -> "_Moves | None":
        stored = np.diff(matrix.indptr)
        if (stored > 1).any():
            return None
        rows = np.flatnonzero(stored)
        scale = None if (matrix.data == 1).all() else np.asarray(matrix.data, dtype=np.float64)
        whole = len(rows) == matrix.shape[0]
        return cls(_places(rows), _places(matrix.indices), scale, matrix.shape[0], whole)

    def __call__(self, values: FloatArray) -> FloatArray:
        moved = values[:, self.cols]
        if self.scale is not None:
            moved = moved * self.scale
        if self.whole:
            return moved
        out = np.zeros((len(values), self.size))
        out[:, self.rows] = moved
        return out


def _places(indices: Any) -> Places:
    first = int(indices[0]) if len(indices) else 0
    run = np.arange(first, first + len(indices))
    return slice(first, first + len(indices)) if np.array_equal(indices, run) else indices


@final
@dataclass(frozen=True, eq=False)
class Affine:
    """One argument of a program as a function of the parameters that it depends on.

    Attributes
    ----------
    constant : (k,) float64
    parts : mapping from parameter to Linear (k, size)
        Only parameters that it depends on. The values of a parameter are taken row by row.
    """

    constant: FloatArray
    parts: Mapping[str, Linear]

    @property
    def fixed(self) -> BoolArray:
        """Entries that are constant and not zero, (k,)."""
        learned = np.zeros(len(self.constant), dtype=np.bool_)
        for part in self.parts.values():
            learned |= np.diff(part.matrix.indptr) > 0
        return (self.constant != 0) & ~learned

    @QUIET
    def __call__(self, params: Params, batch: int) -> Param:
        """The argument for a batch; one value is shared where all it depends on is."""
        if not self.parts:
            return Param(self.constant[None], np.zeros(batch, dtype=np.intp))
        index, first = distinct(params, tuple(self.parts))
        total = self._shift
        # in one order, whatever is shared: rounding must not depend on the batch
        for name, part in self.parts.items():
            chosen = flat(params[name].values)
            if len(chosen) > 1:
                rows = params[name].index[first]
                chosen = chosen if np.array_equal(rows, np.arange(len(chosen))) else chosen[rows]
            moved = part(chosen)
            total = moved if total is None else total + moved
        assert total is not None
        return Param(total, index)

    @cached_property
    def _shift(self) -> FloatArray | None:
        return self.constant[None] if self.constant.any() else None
