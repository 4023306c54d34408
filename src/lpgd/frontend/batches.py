"""Batch bookkeeping: which value of an argument each element uses, and which rows it sums."""

from collections.abc import Sequence
from math import prod

import numpy as np

from lpgd.core.params import Param
from lpgd.core.problem import Groups
from lpgd.core.solution import IntArray

Shape = tuple[int, ...]


def params(
    names: Sequence[str], data: Sequence[np.ndarray], cores: Sequence[int], shape: Shape
) -> dict[str, Param]:
    """Arguments for every element of a batch.

    Parameters
    ----------
    names : sequence of str
    data : sequence of (..., core dimensions) float64, or object
        Batch dimensions that broadcast to ``shape``; those of size 1 share a value.
    cores : sequence of int
        Number of trailing dimensions of each that are no batch dimensions.
    shape : tuple of int
    """
    found: dict[str, Param] = {}
    for name, values, core in zip(names, data, cores, strict=True):
        kept = values.shape[: values.ndim - core]
        # one layout for all: products of matrices round by it
        flat = np.ascontiguousarray(values).reshape(prod(kept), *values.shape[len(kept) :])
        if len(flat) == 1:
            index = np.zeros(prod(shape), dtype=np.intp)
        else:
            index = np.arange(len(flat)) if kept == shape else owners(kept, shape).ravel()
        found[name] = Param(flat, index)
    return found


def owners(batch: Shape, shape: Shape) -> IntArray:
    """Which entry of an argument with these batch dimensions each element uses."""
    return np.broadcast_to(np.arange(prod(batch)).reshape(batch), shape)


def groups(batch: Shape, shape: Shape, several: int) -> Groups:
    """Rows of the cotangent that sum to each entry of the gradient, (several * entries, g)."""
    if batch == shape:
        return np.arange(several * prod(shape))[:, None]
    order = np.argsort(owners(batch, shape).ravel(), kind="stable")
    entries = prod(batch)
    each = order.reshape(entries, len(order) // entries if entries else 0)
    copies = np.arange(several)[:, None, None] * prod(shape)
    return (each + copies).reshape(several * entries, each.shape[1])
