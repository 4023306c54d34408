"""What users give to constructors, checked where it is given."""

from collections.abc import Hashable
from math import inf, isfinite
from typing import Any

import numpy as np

from lpgd.core.rule import is_number, is_whole
from lpgd.core.solution import FloatArray


def number(name: str, value: Any, *, least: float = 0.0, below: float = inf) -> None:
    """Refuse what is no finite number in [least, below).

    Raises
    ------
    ValueError
    """
    if not (is_number(value) and isfinite(value) and least <= value < below):
        what = f"number in [{least:g}, {below:g})" if below < inf else f"finite number >= {least:g}"
        raise ValueError(f"{name} must be a {what}, got {value!r}")


def positive(name: str, value: Any) -> None:
    """Refuse what is no finite number > 0.

    Raises
    ------
    ValueError
    """
    number(name, value, least=-inf)
    if not value > 0:
        raise ValueError(f"{name} must be a number > 0, got {value!r}")


def whole(name: str, value: Any, *, least: int = 1, most: int | None = None) -> None:
    """Refuse what is no integer of at least ``least`` and at most ``most``.

    Raises
    ------
    ValueError
    """
    if not is_whole(value) or value < least or (most is not None and value > most):
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


def choice(name: str, value: Any, options: tuple[Any, ...]) -> None:
    """Refuse what is none of the options.

    Raises
    ------
    ValueError
    """
    if not (isinstance(value, Hashable) and value in options):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, options))}, got {value!r}")


def array(name: str, value: Any) -> FloatArray:
    """A float64 array, the caller's copy, of what is numbers.

    Raises
    ------
    ValueError
    """
    try:
        given = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged rows, tensors with a gradient
        raise ValueError(f"{name} must be an array of numbers: {error}") from error
    if given.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be numbers, got dtype {given.dtype}")
    return given.astype(np.float64)
