"""Solutions of what a rule solves in the place of a batch."""

from __future__ import annotations

import numpy as np

from lpgd.core.solution import FloatArray, IntArray, Solution


def averaged(
    owners: IntArray, found: Solution, accuracy: FloatArray, elements: IntArray
) -> tuple[Solution, FloatArray]:
    """The mean solution of each element, and the worst accuracy; it fails if one row does.

    Parameters
    ----------
    owners : (N,) int
        The element of each row; every element has as many rows.
    found : Solution
        N rows.
    accuracy : (N,) float64
    elements : (E,) int
        The elements, ascending.
    """
    rows = np.argsort(owners, kind="stable").reshape(len(elements), -1)
    status = found.status[rows].max(axis=1)
    solved = (status == 0)[:, None]
    x, y = found.x[rows].mean(axis=1), found.y[rows].mean(axis=1)
    mean = Solution(np.where(solved, x, 0.0), np.where(solved, y, 0.0), status)
    return mean, accuracy[rows].max(axis=1)
