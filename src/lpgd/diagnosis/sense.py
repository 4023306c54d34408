"""Whether an oracle minimises: points that it returns for other costs must not be cheaper."""

import numpy as np

from lpgd.core.params import taken
from lpgd.core.solution import BoolArray
from lpgd.core.tilt import Tilt
from lpgd.diagnosis.facts import Facts, silent, solved
from lpgd.rules.sizes import dot

BETTER = 1e-9  # relative difference of costs that is one


def better(facts: Facts) -> tuple[BoolArray, BoolArray]:
    """Elements for which a cheaper point is known, and those whose costs an opposite sign helps.

    The oracle is asked for the point of the opposite costs, and for tilts as large as the costs.
    """
    forward = facts.forward
    rows = np.flatnonzero(forward.solution.solved)
    worse, opposite = np.zeros((2, facts.size), dtype=np.bool_)
    if not len(rows) or forward.samples is not None:
        return worse, opposite
    point = forward.solution.take(rows)
    costs = np.array(taken(forward.params, rows)["q"].full())
    size, none = len(rows), np.zeros((len(rows), 0))
    zero = np.zeros(size)
    with silent():
        backward = solved(forward, facts.subject, point)
        ways = [-2 * costs]
        dx = facts.cotangent.dx[rows]
        large = np.abs(costs).max(axis=1) / np.maximum(np.abs(dx).max(axis=1), 1e-300)
        ways += [np.where(np.isfinite(dx), sign * large[:, None] * dx, 0.0) for sign in (1.0, -1.0)]
        for place, way in enumerate(ways):
            end = backward.resolve(Tilt(rows, zero + 1, way, none, zero, point.x))
            gain = dot(costs, point.x - end.x)
            scale = dot(np.abs(costs), np.abs(point.x) + np.abs(end.x))
            found = end.solved & (gain > BETTER * scale)
            worse[rows] |= found
            if not place:
                opposite[rows] = found
    return worse, opposite
