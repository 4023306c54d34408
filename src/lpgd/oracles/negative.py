"""Negative costs where there are cycles: what a user may ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lpgd.core.reply import Reply
from lpgd.core.solution import FloatArray, Status
from lpgd.oracles.program import Outcome

Negative = Literal["refuse", "clip", "flow"]
NEGATIVE = ("refuse", "clip", "flow")
WHY = (
    "negative costs in a graph with cycles, where a shortest walk need not exist; use "
    "negative='flow' (exact, allows disjoint cycles) or 'clip' (takes them for zero)"
)


def settled(
    costs: FloatArray,
    negative: Negative,
    bad: NDArray[np.bool_],
    paths: Callable[[FloatArray, NDArray[np.bool_]], Reply],
    flow: Callable[[int], Outcome] | None,
) -> Reply:
    """Solve elements without negative costs by ``paths``, and the ``bad`` ones as asked.

    ``paths`` takes costs and the rows that they are of; ``flow`` solves one row.
    """
    if not bad.any():
        return paths(costs, ~bad)
    if negative == "clip":
        return paths(np.maximum(costs, 0.0), np.ones_like(bad))
    x, status = np.zeros(costs.shape), np.full(len(costs), Status.INVALID, dtype=np.int8)
    if not bad.all():
        good = paths(costs[~bad], ~bad)
        x[~bad], status[~bad] = good.x, 0 if good.status is None else good.status
    if flow is None:
        return Reply(x, status, notes={int(row): WHY for row in np.flatnonzero(bad)})
    for row in np.flatnonzero(bad):
        found = flow(int(row))
        status[row] = found.status
        if found.x is not None:
            x[row] = found.x
    return Reply(x, status if status.any() else None)
