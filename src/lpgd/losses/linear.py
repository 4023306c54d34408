"""Linear costs in any array library: inner products, minimal values, and what solves them.

The functions of this package are written once for numpy, torch and JAX: they use operators and
``sum`` alone. Solutions are constants: by Danskin's theorem the gradient of a loss in the costs is
that of the expression with its solutions held fixed (math page, section 1), which a framework's
autodiff takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Array = Any
"""A numpy array, a torch tensor, a JAX array."""
Solve = Callable[..., Sequence[Array]]
"""From any number of costs (..., d) to as many minimisers (..., d), without a gradient."""


def inner(costs: Array, x: Array) -> Array:
    """<costs, x> over the last axis."""
    return (costs * x).sum(-1)
