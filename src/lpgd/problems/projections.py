"""Projections on the duals of cones, with the eigenvectors of their derivatives.

With v = y - s, complementary y and s are y = Pi(v) and s = Pi(v) - v, Pi the projection on the dual
cone. The derivative of Pi is symmetric with eigenvalues in [0, 1]: 1 where only the multiplier can
move, 0 where only the slack can, in between where the boundary is curved.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from lpgd.problems.cones import Cones, order_of, triangle
from lpgd.problems.curved import exponential, power
from lpgd.solution import FloatArray, IntArray

Parts = tuple[FloatArray, FloatArray | None, FloatArray]
"""Projection (..., d), eigenvectors in columns (..., d, d) or None for unit ones, eigenvalues."""


@final
@dataclass(frozen=True)
class Projected:
    """Projections of a batch of vectors v (N, m), and their derivatives Q diag(share) Q'.

    Attributes
    ----------
    y : (N, m) float64
        On the dual cone.
    s : (N, m) float64
        y - v, on the cone.
    share : (N, m) float64
        Eigenvalues of the derivative, in [0, 1].
    turns : list of (rows (k, d), eigenvectors (N, k, d, d))
        Of the cones where eigenvectors are not unit vectors.
    """

    y: FloatArray
    s: FloatArray
    share: FloatArray
    turns: list[tuple[IntArray, FloatArray]]

    def turned(self, values: FloatArray) -> FloatArray:
        """Q' values, for (N, m, c)."""
        return self._turn(values, lambda Q: Q.swapaxes(-1, -2))

    def turned_back(self, values: FloatArray) -> FloatArray:
        """Q values, for (N, m, c)."""
        return self._turn(values, lambda Q: Q)

    def _turn(
        self, values: FloatArray, of: Callable[[FloatArray], FloatArray]
    ) -> FloatArray:
        if not self.turns:
            return values
        turned = np.array(values)
        for rows, Q in self.turns:
            turned[:, rows] = np.ascontiguousarray(of(Q)) @ values[:, rows]
        return turned


def project(cones: Cones, v: FloatArray) -> Projected:
    """Project every row of v (N, m)."""
    y, share = np.empty_like(v), np.empty_like(v)
    turns: list[tuple[IntArray, FloatArray]] = []
    for rows, of in _groups(cones):
        part = of(v[:, rows])
        y[:, rows], share[:, rows] = part[0], part[2]
        if part[1] is not None:
            turns.append((rows, part[1]))
    return Projected(y, y - v, share, turns)


def _groups(cones: Cones) -> Iterator[tuple[IntArray, Callable[[FloatArray], Parts]]]:
    """Rows (k, d) of cones of one kind and size, and their projection of (N, k, d)."""
    places: dict[tuple[str, int], list[int]] = {}
    for kind, start, stop in cones.blocks():
        if stop > start:
            places.setdefault((kind, stop - start), []).append(start)
    for (kind, size), starts in places.items():
        rows = np.add.outer(np.array(starts), np.arange(size))
        if kind == "power":
            alpha = np.array(cones.power)
            yield rows, lambda v, alpha=alpha: power(v, alpha)
        else:
            yield rows, _PROJECTIONS[kind]


def _zero(v: FloatArray) -> Parts:
    return v, None, np.ones_like(v)


def _nonneg(v: FloatArray) -> Parts:
    return np.maximum(v, 0.0), None, (v > 0).astype(np.float64)


def _soc(v: FloatArray) -> Parts:
    t, u = v[..., :1], v[..., 1:]
    size = np.sqrt((u * u).sum(axis=-1, keepdims=True))
    inside, below = t >= size, t <= -size
    w = np.where(size > 0, u / np.where(size > 0, size, 1.0), np.eye(1, u.shape[-1])[0])
    half = 0.5 * (t + size)
    y = np.where(inside, v, np.where(below, 0.0, np.concatenate([half, half * w], axis=-1)))
    # eigenvectors (1, w), (1, -w) and those of the plane normal to w, by a reflection that maps
    # the first unit vector on -+w
    sign = np.where(w[..., :1] < 0, -1.0, 1.0)
    mirror = np.array(w)
    mirror[..., :1] += sign
    length = (mirror * mirror).sum(axis=-1)[..., None, None]
    d = v.shape[-1]
    Q = np.zeros((*v.shape, d))
    Q[..., 1:, 1:] = np.eye(d - 1) - 2 / length * mirror[..., :, None] * mirror[..., None, :]
    root = np.sqrt(0.5)
    Q[..., 0, :2] = root
    Q[..., 1:, 0], Q[..., 1:, 1] = root * w, -root * w
    flat = 0.5 * (1 + t / np.where(size > 0, size, 1.0))
    share = np.repeat(flat, d, axis=-1)
    share[..., 0], share[..., 1] = 1.0, 0.0
    return y, Q, np.where(inside, 1.0, np.where(below, 0.0, share))


def _psd(v: FloatArray) -> Parts:
    rows, cols, scale = triangle(order_of(v.shape[-1]))
    order = order_of(v.shape[-1])
    matrix = np.zeros((*v.shape[:-1], order, order))
    matrix[..., rows, cols] = matrix[..., cols, rows] = v / scale
    values, U = np.linalg.eigh(matrix)
    above = np.maximum(values, 0.0)
    y = ((U * above[..., None, :]) @ U.swapaxes(-1, -2))[..., rows, cols] * scale
    # eigenvectors u_i u_j' + u_j u_i', in the order of the triangle
    left, right = U[..., rows[:, None], rows], U[..., cols[:, None], cols]
    cross = U[..., rows[:, None], cols] * U[..., cols[:, None], rows]
    Q = (left * right + cross) * (scale[:, None] / np.where(rows == cols, 2.0, np.sqrt(2.0)))
    a, b = values[..., rows], values[..., cols]  # in ascending order: a <= b
    mixed = (a <= 0) & (b > 0)
    share = np.where(mixed, b / np.where(mixed, b - a, 1.0), (a > 0).astype(np.float64))
    return y, Q, share


_PROJECTIONS: dict[str, Callable[[FloatArray], Parts]] = {
    "zero": _zero,
    "nonneg": _nonneg,
    "soc": _soc,
    "psd": _psd,
    "exp": exponential,
}
