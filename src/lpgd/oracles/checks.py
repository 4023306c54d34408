"""Checks of what oracles are built from."""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from lpgd.core.options import array, number
from lpgd.core.solution import FloatArray


def count(name: str, value: Any, least: int = 1) -> int:
    """A whole number.

    Raises
    ------
    ValueError
    """
    try:  # of any library: torch's are whole numbers, too
        found = index(value)
    except TypeError:
        found = None
    if found is None or isinstance(value, bool) or found < least:
        raise ValueError(f"{name} must be a whole number >= {least}, got {value!r}")
    return found


def limit(name: str, value: Any) -> float:
    """A finite number >= 0, of which 0 is none.

    Raises
    ------
    ValueError
    """
    number(name, value)
    return float(value)


def entries(name: str, value: Any, size: int) -> FloatArray:
    """One number for all entries, or one each; infinite ones are sides that are absent.

    Raises
    ------
    ValueError
    """
    given = array(name, value)
    if given.shape not in ((), (1,), (size,)):
        raise ValueError(f"{name} must be a number or have shape ({size},), got {given.shape}")
    if np.isnan(given).any():
        raise ValueError(f"{name} has a NaN entry")
    return np.broadcast_to(given, (size,)).copy()


def pair(name: str, value: Any) -> tuple[Any, Any]:
    """Two things.

    Raises
    ------
    ValueError
    """
    try:
        first, second = value
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a pair, got {value!r}") from None
    return first, second


def numbers(name: str, value: Any, ndim: int) -> FloatArray:
    """A finite float64 array of so many dimensions, the caller's copy.

    Raises
    ------
    ValueError
    """
    given = array(name, value)
    if given.ndim != ndim or not np.isfinite(given).all():
        dims = "dimension" if ndim == 1 else "dimensions"
        raise ValueError(f"{name} must be finite numbers with {ndim} {dims}")
    return given
