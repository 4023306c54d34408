"""What an oracle returned, as points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from lpgd.core.errors import crash
from lpgd.core.reply import Reply
from lpgd.core.solution import FloatArray, Solution, Status

Form = tuple[int, tuple[int, ...]]
"""Entries and shape of a point."""


def read(
    reply: Reply, form: Form, features: Callable[[Any], Any] | None
) -> tuple[Solution, dict[int, str]]:
    """Points of a reply, and what is wrong with others; ``form`` is that of one of them."""
    n, shape = form
    size, notes = len(reply), dict(reply.notes)
    solution = Solution.blank(size, n, 0)
    status, x = solution.status, solution.x
    status[:] = Status.OPTIMAL if reply.status is None else reply.status
    found = reply.x
    if features is None and _plain(reply, shape):
        x[:] = found.reshape(size, n)
        return replace(solution, flags=reply.flags), notes
    for row in np.flatnonzero(status == Status.OPTIMAL):
        point, why = _point(found[row], shape, features)
        if point is None:
            status[row], notes[int(row)] = Status.NUMERICAL, why
        else:
            x[row] = point
    x[status != Status.OPTIMAL] = 0.0
    objects = None
    if features is not None:
        objects = np.empty(size, dtype=object)
        for row in np.flatnonzero(status == Status.OPTIMAL):
            objects[row] = found[row]
    return Solution(x, solution.y, status, reply.flags, objects=objects), notes


def _plain(reply: Reply, shape: tuple[int, ...]) -> bool:
    """Whether there are points of this shape for all elements, and nothing else to tell."""
    found = reply.x
    numbers = isinstance(found, np.ndarray) and found.dtype.kind in "fiub"
    return (
        reply.status is None
        and numbers
        and found.shape[1:] == shape
        and bool(np.isfinite(found).all())
    )


def _point(
    found: Any, shape: tuple[int, ...], features: Callable[[Any], Any] | None
) -> tuple[FloatArray | None, str]:
    """The vector of a solution, or None and what is wrong with it."""
    if features is not None:
        try:
            found = features(found)
        except Exception as error:  # of the user's function
            return None, f"features {crash(error)}"
    try:
        if np.iscomplexobj(found):
            raise TypeError("they are complex")
        point = np.asarray(found, dtype=np.float64)
    except (TypeError, ValueError) as error:
        return None, f"the oracle returned no numbers ({error})"[:200]
    if point.shape != shape:
        return None, f"the oracle returned shape {point.shape}, expected {shape}"
    if not np.isfinite(point).all():
        return None, "the oracle returned a NaN or infinite entry"
    return point.ravel(), ""
