"""Variables whose bounds meet: an equality, of which two rows say the same."""

from __future__ import annotations

import numpy as np

from lpgd.core.solution import BoolArray, FloatArray
from lpgd.families.lagrangian.model import Smooth


def fixed(problem: Smooth, held: BoolArray) -> BoolArray:
    """Rows (N, m) of bounds both of which are held."""
    found = np.zeros_like(held)
    if problem.twins is not None:
        lower, upper = problem.twins
        found[:, lower] = found[:, upper] = held[:, lower] & held[:, upper]
    return found


def single(problem: Smooth, held: BoolArray, y: FloatArray) -> BoolArray:
    """The held rows without the one of two that has the smaller multiplier."""
    both = fixed(problem, held)
    if problem.twins is None or not both.any():
        return held
    (lower, upper), kept = problem.twins, held.copy()
    first = y[:, lower] >= y[:, upper]
    kept[:, lower] &= ~both[:, lower] | first
    kept[:, upper] &= ~both[:, upper] | ~first
    return kept


def turned(problem: Smooth, both: BoolArray, y: FloatArray) -> FloatArray:
    """Multipliers of which a negative one of two rows is a positive one of the other."""
    if problem.twins is None or not both.any():
        return y
    lower, upper = problem.twins
    net = y[:, upper] - y[:, lower]
    found = y.copy()
    found[:, lower] = np.where(both[:, lower], np.maximum(-net, 0.0), y[:, lower])
    found[:, upper] = np.where(both[:, upper], np.maximum(net, 0.0), y[:, upper])
    return found
