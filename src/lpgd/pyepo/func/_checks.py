"""Values of options, refused as PyEPO refuses them."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any


def _number(value: Any) -> float | None:
    if not isinstance(value, Real) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return float(value)


def positive(value: Any, name: str) -> None:
    """Refuse all but finite numbers > 0."""
    number = _number(value)
    if number is None or number <= 0:
        raise ValueError(f"{name} must be a finite positive number.")


def nonnegative(value: Any, name: str) -> None:
    """Refuse all but finite numbers >= 0."""
    number = _number(value)
    if number is None or number < 0:
        raise ValueError(f"{name} must be a finite non-negative number.")


def probability(value: Any, name: str) -> None:
    """Refuse all but numbers in [0, 1]."""
    number = _number(value)
    if number is None or not 0 <= number <= 1:
        raise ValueError(f"{name} must be a finite number in [0, 1].")


def positive_int(value: Any, name: str) -> None:
    """Refuse all but ints >= 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"{name} must be a positive integer.")
