"""Options of engines, checked where they are given."""

from math import inf, isfinite
from numbers import Integral, Real
from typing import Any

import numpy as np


def number(name: str, value: Any, *, least: float = 0.0, below: float = inf) -> None:
    """Refuse what is no finite number in [least, below).

    Raises
    ------
    ValueError
    """
    real = isinstance(value, Real) and not isinstance(value, bool)
    if not (real and isfinite(value) and least <= float(value) < below):
        span = f"in [{least}, {below})" if below < inf else f"finite and >= {least}"
        raise ValueError(f"{name} must be a number {span}, got {value!r}")


def whole(name: str, value: Any, *, least: int = 1, most: int | None = None) -> None:
    """Refuse what is no integer of at least ``least`` and at most ``most``.

    Raises
    ------
    ValueError
    """
    if (
        not isinstance(value, Integral) or isinstance(value, bool) or value < least
        or (most is not None and not value <= most)
    ):  # fmt: skip
        span = f">= {least}" + ("" if most is None else f" and <= {most}")
        raise ValueError(f"{name} must be an integer {span}, got {value!r}")


def flag(name: str, value: Any) -> None:
    """Refuse what is neither True nor False.

    Raises
    ------
    ValueError
    """
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} must be True or False, got {value!r}")
