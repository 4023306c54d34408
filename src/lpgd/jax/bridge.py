"""The only function with derivatives of its own: one host callback solves, one pulls back.

Both are mapped by ``vmap`` as one call: mapped arguments get a dimension in front, all others one
of length 1. Residuals are arrays, so that ``jit`` and ``checkpoint`` may do with them as they like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from lpgd.frontend.batches import Shape
from lpgd.frontend.replay import Replay

Arrays = tuple[jax.Array, ...]


@dataclass(frozen=True, eq=False)
class Call:
    """What a call solves, without its data, and what its outputs look like.

    Attributes
    ----------
    replay : Replay
    batch : tuple of int
        Batch shape of the outputs.
    widths : tuple of int
        Length of a row of each output.
    dtype : dtype
    """

    replay: Replay
    batch: Shape
    widths: tuple[int, ...]
    dtype: Any

    def solve(self, *data: jax.Array) -> list[np.ndarray]:
        """On the host: the outputs, and the records of all elements."""
        outputs, records = self.replay.solve(_doubles(data))
        return [*(output.astype(self.dtype) for output in outputs), records]

    def pullback(
        self, flags: tuple[bool, ...], like: Sequence[Any], records: jax.Array, *arrays: jax.Array
    ) -> list[np.ndarray]:
        """On the host: the gradients of the wanted data, from cotangents and data."""
        count = len(self.widths)
        cotangents, data = _doubles(arrays[:count]), _doubles(arrays[count:])
        shapes = [datum.shape for datum in like]
        parts = np.asarray(records), cotangents, data
        gradients = self.replay.pullback(flags, shapes, parts)
        wanted = [datum for datum, flag in zip(like, flags, strict=True) if flag]
        return [g.astype(datum.dtype) for g, datum in zip(gradients, wanted, strict=True)]


def _doubles(arrays: Sequence[jax.Array]) -> list[np.ndarray]:
    return [np.asarray(array).astype(np.float64) for array in arrays]


def _solved(call: Call, data: Sequence[jax.Array]) -> tuple[Arrays, jax.Array]:
    width = call.replay.record.width
    shapes = [jax.ShapeDtypeStruct((*call.batch, k), call.dtype) for k in call.widths]
    shapes.append(jax.ShapeDtypeStruct((*call.batch, width), jnp.uint8))
    *outputs, records = jax.pure_callback(call.solve, shapes, *data, vmap_method="expand_dims")
    return tuple(outputs), records


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def solve(call: Call, *data: jax.Array) -> Arrays:
    """(data) -> the outputs of the view, e.g. (x, y, z, z_box)."""
    return _solved(call, data)[0]


def _forward(call: Call, *data: Any) -> tuple[Arrays, Any]:
    values = tuple(datum.value for datum in data)
    outputs, records = _solved(call, values)
    wanted = tuple(() if datum.perturbed else None for datum in data)  # a tree, which is static
    return outputs, (records, values, wanted)


def _backward(call: Call, residuals: Any, cotangents: Any) -> tuple[Any, ...]:
    records, data, wanted = residuals
    flags = tuple(want is not None for want in wanted)
    like = [jax.ShapeDtypeStruct(datum.shape, datum.dtype) for datum in data]
    dense = [
        jnp.zeros(c.shape, call.dtype) if isinstance(c, SymbolicZero) else c for c in cotangents
    ]
    shapes = [datum for datum, flag in zip(like, flags, strict=True) if flag]
    pull = partial(call.pullback, flags, like)
    found = jax.pure_callback(pull, shapes, records, *dense, *data, vmap_method="expand_dims")
    gradients = iter(found)
    return tuple(next(gradients) if flag else None for flag in flags)


solve.defvjp(_forward, _backward, symbolic_zeros=True)
