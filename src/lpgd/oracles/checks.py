"""Checks of what oracles are built from."""

from __future__ import annotations

from typing import Any

import numpy as np

from lpgd.core.solution import FloatArray


def count(name: str, value: Any, least: int = 1) -> int:
    """A whole number.

    Raises
    ------
    ValueError
    """
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < least:
        raise ValueError(f"{name} must be a whole number >= {least}, got {value!r}")
    return int(value)


def numbers(name: str, value: Any, ndim: int) -> FloatArray:
    """A finite float64 array of so many dimensions, the caller's copy.

    Raises
    ------
    ValueError
    """
    array = np.array(value, dtype=np.float64)
    if array.ndim != ndim or not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite numbers with {ndim} dimensions")
    return array
