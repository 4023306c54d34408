"""Linear costs in any array library: inner products, minimal values, and what solves them.

The functions of this package are written once for numpy, torch and JAX: they use operators and
``sum`` alone. Solutions are constants: by Danskin's theorem the gradient of a loss in the costs is
that of the expression with its solutions held fixed (math page, section 1), which a framework's
autodiff takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lpgd.core.errors import StructureError
from lpgd.rules.ends import Side
from lpgd.rules.lpgd import LPGD

Array = Any
"""A numpy array, a torch tensor, a JAX array."""
Solve = Callable[..., Sequence[Array]]
"""From any number of costs (..., d) to as many minimisers (..., d), without a gradient."""


def fitting(own: Sequence[int], **given: Array) -> None:
    """Check that arrays end in the shape of one cost, and that their batch dimensions broadcast.

    Raises
    ------
    StructureError
    """
    shapes = {name: tuple(array.shape) for name, array in given.items()}
    for name, shape in shapes.items():
        if shape[max(len(shape) - len(own), 0) :] != tuple(own):
            want = ", ".join(map(str, own))
            raise StructureError(f"{name} must have shape (..., {want}) as costs, got {shape}")
    batches = {name: shape[: len(shape) - len(own)] for name, shape in shapes.items()}
    try:
        np.broadcast_shapes(*batches.values())
    except ValueError:
        listed = ", ".join(f"{name} {batch}" for name, batch in batches.items() if batch)
        raise StructureError(f"batch dimensions do not broadcast: {listed}") from None


def step(tau: Any, side: Side = "average") -> None:
    """Check a weight of a task loss, and a side.

    Raises
    ------
    ValueError
    """
    if isinstance(tau, str):
        raise ValueError(f"tau must be a positive finite number, got {tau!r}")
    LPGD(tau, side=side)


def inner(costs: Array, x: Array) -> Array:
    """<costs, x> over the last axis."""
    return (costs * x).sum(-1)
