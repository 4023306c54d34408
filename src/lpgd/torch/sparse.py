"""Sparse matrix arguments: a fixed pattern and a value tensor."""

from typing import Any, final

import numpy as np
import torch

from lpgd.core.errors import StructureError
from lpgd.core.pattern import Pattern
from lpgd.core.public import public


@public("lpgd.torch")
@final
class Sparse:
    """A batch of sparse matrices with one pattern; gradients land on ``values``.

    Parameters
    ----------
    pattern : scipy sparse matrix, CSR or CSC, (m, n)
        Which entries are stored, explicit zeros included, without duplicates.
    values : Tensor, (..., nnz), floating
        The entries in the order of ``pattern.data``; leading dimensions are batch dimensions.

    Raises
    ------
    StructureError
        The pattern is no CSR or CSC matrix, holds duplicates, or does not fit the values.
    """

    def __init__(self, pattern: Any, values: torch.Tensor) -> None:
        self.pattern = Pattern.stored(pattern)
        self.values = _fitting(values, len(self.pattern.rows))

    @classmethod
    def of(cls, matrix: torch.Tensor) -> "Sparse":
        """The same matrix as a torch COO tensor (m, n); gradients flow back to it."""
        if matrix.layout != torch.sparse_coo or matrix.ndim != 2 or matrix.dense_dim():
            raise StructureError(
                f"a sparse argument must be a two-dimensional COO tensor or lpgd.torch.Sparse, "
                f"got layout {matrix.layout} and shape {tuple(matrix.shape)}"
            )
        matrix = matrix.coalesce()
        rows, cols = matrix.indices().cpu().numpy().astype(np.intp)
        self = cls.__new__(cls)
        self.pattern = Pattern(rows, cols, (int(matrix.shape[0]), int(matrix.shape[1])))
        self.values = matrix.values()
        return self

    def __repr__(self) -> str:
        return f"Sparse(shape={self.pattern.shape}, values={tuple(self.values.shape)})"


def _fitting(values: Any, stored: int) -> torch.Tensor:
    if not isinstance(values, torch.Tensor) or values.ndim < 1 or values.shape[-1] != stored:
        given = tuple(values.shape) if isinstance(values, torch.Tensor) else type(values).__name__
        raise StructureError(f"values must be a tensor of shape (..., {stored}), got {given}")
    return values
