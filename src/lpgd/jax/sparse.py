"""Sparse matrix arguments: a fixed pattern and an array of values."""

from __future__ import annotations

from typing import Any, final

import jax

from lpgd.core.errors import StructureError
from lpgd.core.pattern import Pattern
from lpgd.core.public import public


@public("lpgd.jax")
@final
@jax.tree_util.register_pytree_node_class
class Sparse:
    """A batch of sparse matrices with one pattern; a pytree, whose gradients land on ``values``.

    Parameters
    ----------
    pattern : scipy sparse matrix, CSR or CSC, (m, n)
        Which entries are stored, explicit zeros included, without duplicates.
    values : array, (..., nnz), floating
        The entries in the order of ``pattern.data``; leading dimensions are batch dimensions.

    Raises
    ------
    StructureError
        The pattern is no CSR or CSC matrix, holds duplicates, or does not fit the values.
    """

    def __init__(self, pattern: Any, values: Any) -> None:
        self.pattern, self.values = Pattern.stored(pattern), values
        stored, shape = len(self.pattern.rows), getattr(values, "shape", None)
        if not shape or shape[-1] != stored:
            given = type(values).__name__ if shape is None else tuple(shape)
            raise StructureError(f"values must be an array of shape (..., {stored}), got {given}")

    def __repr__(self) -> str:
        return f"Sparse(shape={self.pattern.shape}, values={getattr(self.values, 'shape', None)})"

    def tree_flatten(self) -> tuple[tuple[Any], Pattern]:
        """Values and pattern, for JAX."""
        return (self.values,), self.pattern

    @classmethod
    def tree_unflatten(cls, pattern: Pattern, children: tuple[Any]) -> Sparse:
        """The matrices again, with whatever JAX puts in the place of the values."""
        self = cls.__new__(cls)
        self.pattern, (self.values,) = pattern, children
        return self
