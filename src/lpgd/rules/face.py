"""The point of a simplex nearest to a target, as the simplex grows (Wolfe, 1976)."""

from __future__ import annotations

from typing import final

import numpy as np

from lpgd.core.blas import ONE_THREAD
from lpgd.core.solution import FloatArray

SMALL = 1e-12  # weights below this are rounding


@final
class Face:
    """Vertices whose hull holds the current point, and its barycentric weights.

    Attributes
    ----------
    vertices : (k, n) float64
        Affinely independent.
    weight : (k,) float64
        Positive, of sum one.
    """

    def __init__(self, vertex: FloatArray) -> None:
        self.vertices, self.weight = vertex[None], np.ones(1)

    @property
    def point(self) -> FloatArray:
        """The current point (n,)."""
        return self.weight @ self.vertices

    def extend(self, vertex: FloatArray, target: FloatArray) -> bool:
        """Add a vertex and move to the nearest point of the hull; False if that is no nearer."""
        before = np.linalg.norm(self.point - target)
        old = self.vertices, self.weight
        self.vertices = np.concatenate([self.vertices, vertex[None]])
        self.weight = np.append(self.weight, 0.0)
        while True:
            aim = _nearest(self.vertices, target)
            if (aim > SMALL).all():
                self.weight = aim
                break
            falling = aim < self.weight
            room = self.weight[falling] / (self.weight - aim)[falling]
            step = min(1.0, float(room[aim[falling] <= SMALL].min(initial=1.0)))
            moved = self.weight + step * (aim - self.weight)
            kept = moved > SMALL
            if kept.all():
                kept[np.argmin(moved)] = False
            self.vertices, self.weight = self.vertices[kept], moved[kept] / moved[kept].sum()
        if np.linalg.norm(self.point - target) < before:
            return True
        self.vertices, self.weight = old
        return False


def _nearest(vertices: FloatArray, target: FloatArray) -> FloatArray:
    """Weights of sum one (of any sign) of the point of the affine hull nearest to the target."""
    across = vertices[1:] - vertices[0]
    rest = along(across, target - vertices[0])
    return np.append(1 - rest.sum(), rest)


@ONE_THREAD
def along(directions: FloatArray, target: FloatArray) -> FloatArray:
    """Weights (k,) of directions (k, n) whose sum is nearest to the target (n,)."""
    return np.asarray(np.linalg.lstsq(directions.T, target, rcond=None)[0], dtype=np.float64)
