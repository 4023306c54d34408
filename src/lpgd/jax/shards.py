"""What values are while a function is traced, across versions of JAX.

Within ``shard_map`` newer ones keep, of every value, along which axes of the mesh it varies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
from jax import core, lax
from jax.core import ShapedArray

Axes = frozenset[Any]


def aval_of(value: Any) -> Any:
    """The abstract value of an array."""
    typeof: Any = getattr(jax, "typeof", None) or getattr(core, "get_aval", None)
    return typeof(value)


def varying(arrays: Sequence[jax.Array]) -> list[jax.Array]:
    """Arrays that vary along the same axes: those along which any does."""
    own = [_axes(aval_of(array)) for array in arrays]
    every: Axes = frozenset[Any]().union(*own)
    return [
        _cast(array, every - has) if every - has else array
        for array, has in zip(arrays, own, strict=True)
    ]


def aval_like(avals: Sequence[Any], shape: tuple[int, ...], dtype: Any) -> Any:
    """What an array of that shape and dtype is that was computed from such values."""
    most = max(avals, key=lambda aval: len(_axes(aval)), default=None)
    if most is None or not _axes(most):
        return ShapedArray(shape, dtype)
    spec = jax.sharding.PartitionSpec(*[None] * len(shape))
    return most.update(
        shape=shape, dtype=dtype, weak_type=False, sharding=most.sharding.update(spec=spec)
    )


def _axes(aval: Any) -> Axes:
    """Axes of the mesh along which a value varies."""
    kind = getattr(aval, "manual_axis_type", None)
    return getattr(aval, "vma", frozenset()) if kind is None else kind.varying


def _cast(array: jax.Array, axes: Axes) -> jax.Array:
    pvary: Any = getattr(lax, "pvary", None)  # its name before there was pcast
    return pvary(array, tuple(axes)) if pvary else lax.pcast(array, tuple(axes), to="varying")
