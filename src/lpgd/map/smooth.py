"""Solutions of what a rule solves in the place of a batch."""

import numpy as np

from lpgd.core.solution import FloatArray, IntArray, Solution


def averaged(
    owners: IntArray,
    found: Solution,
    accuracy: FloatArray,
    elements: IntArray,
    weight: FloatArray | None = None,
) -> tuple[Solution, FloatArray]:
    """The mean solution of each element, and the worst accuracy; it fails if one row does.

    Parameters
    ----------
    owners : (N,) int
        The element of each row; without weights every element has as many rows.
    found : Solution
        N rows.
    accuracy : (N,) float64
    elements : (E,) int
        The elements, ascending.
    weight : (N,) float64 or None
        Shares that replace those of the mean; every element has a row.
    """
    if weight is not None:
        return _weighted(np.searchsorted(elements, owners), found, accuracy, weight)
    rows = np.argsort(owners, kind="stable").reshape(len(elements), -1)
    status = found.status[rows].max(axis=1)
    solved = (status == 0)[:, None]
    x, y = found.x[rows].mean(axis=1), found.y[rows].mean(axis=1)
    mean = Solution(np.where(solved, x, 0.0), np.where(solved, y, 0.0), status)
    return mean, accuracy[rows].max(axis=1)


def _weighted(
    place: IntArray, found: Solution, accuracy: FloatArray, weight: FloatArray
) -> tuple[Solution, FloatArray]:
    rows = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.diff(place[rows], prepend=-1))
    status = np.maximum.reduceat(found.status[rows], starts)
    solved, share = (status == 0)[:, None], weight[rows, None]
    x, y = (np.add.reduceat(share * part[rows], starts) for part in (found.x, found.y))
    mean = Solution(np.where(solved, x, 0.0), np.where(solved, y, 0.0), status)
    return mean, np.maximum.reduceat(accuracy[rows], starts)
