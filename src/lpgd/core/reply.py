"""What an oracle may say beside its minimisers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lpgd.core.public import public
from lpgd.core.solution import FlagArray, IntArray, Status, StatusArray


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

    def __len__(self) -> int:
        return len(self.x)

    @classmethod
    def failed(cls, size: int, status: Status, why: str, cause: Exception | None = None) -> Reply:
        """So many elements without a solution."""
        notes = dict.fromkeys(range(size), why)
        return cls([None] * size, np.full(size, status, np.int8), notes=notes, cause=cause)

    @classmethod
    def gathered(cls, size: int, parts: Sequence[tuple[IntArray, Reply]]) -> Reply:
        """The replies for parts of a batch, each with its elements, as one."""
        x = [None] * size
        status, flags = np.zeros(size, dtype=np.int8), np.zeros(size, dtype=np.uint8)
        notes, counts = dict[int, str](), Counter[str]()
        for rows, part in parts:
            for row, found in zip(rows, part.x, strict=True):
                x[row] = found
            if part.status is not None:
                status[rows] = part.status
            if part.flags is not None:
                flags[rows] = part.flags
            notes |= {int(rows[row]): note for row, note in part.notes.items()}
            counts.update(part.counts)
        cause = next((part.cause for _, part in parts if part.cause is not None), None)
        told = status if status.any() else None
        return cls(x, told, flags if flags.any() else None, notes, dict(counts), cause)
