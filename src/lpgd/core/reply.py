"""What an oracle may say beside its minimisers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lpgd.core.public import public
from lpgd.core.solution import FlagArray, StatusArray


@public("lpgd.oracles")
@dataclass(frozen=True)
class Reply:
    """Minimisers of B costs, and how each of them was found.

    Attributes
    ----------
    x : (B, *shape) array, or sequence of B solutions
        Those of elements that failed may hold anything.
    status : (B,) int8 or None
        An ``lpgd.Status`` an element; None where all are optimal.
    flags : (B,) uint8 or None
        ``Flag`` values, e.g. ``INCUMBENT`` for the best solution known when a limit was reached.
    notes : mapping from element to str
        Why an element failed.
    counts : mapping from str to int
        What to add to ``layer.stats``.
    cause : Exception or None
        What was raised for an element that ``CRASHED``.
    """

    x: Any
    status: StatusArray | None = None
    flags: FlagArray | None = None
    notes: Mapping[int, str] = field(default_factory=dict[int, str])
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    cause: Exception | None = None
