"""Projections on the duals of cones, and the eigenvectors of their derivatives.

With v = y - s, complementary y and s are y = Pi(v) and s = Pi(v) - v, Pi the projection on the dual
cone. The derivative of Pi is symmetric with eigenvalues in [0, 1]: 1 where only the multiplier can
move, 0 where only the slack can, in between where the boundary is curved.

Rows are picked by slices or ``take``, whose arrays lie in memory row by row: the order of
summation, and with it rounding, then does not depend on the number of rows.
"""

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple, Protocol, final

import numpy as np

from lpgd.core.scaling import lengths
from lpgd.core.solution import FloatArray, IntArray
from lpgd.families.conic.cones import Cones, order_of, triangle
from lpgd.families.conic.curved import exponential, power

STRUCTURES = 64  # products of cones whose layout is remembered
Spectrum = tuple[FloatArray, FloatArray]
"""Eigenvectors in columns (N, k, d, d), and eigenvalues (N, k, d)."""


class Projection(Protocol):
    """Projection on the dual of k cones of one kind and size."""

    def __call__(
        self, v: FloatArray, near: FloatArray, *, derive: bool
    ) -> tuple[FloatArray, Spectrum | None]:
        """Of v (N, k, d), with the derivative on demand; ``near`` are about the slacks."""
        ...


class Places(NamedTuple):
    """Rows (k, d) of cones, and the slice that they are, if they are one."""

    rows: IntArray
    span: slice | None

    @classmethod
    def of(cls, rows: IntArray) -> "Places":
        """Of these rows."""
        whole = slice(int(rows[0, 0]), int(rows[-1, -1]) + 1)
        return cls(rows, whole if whole.stop - whole.start == rows.size else None)


@final
@dataclass(frozen=True)
class Derivative:
    """Derivatives Q diag(share) Q' of N projections.

    Attributes
    ----------
    share : (N, m) float64
        Eigenvalues, in [0, 1].
    turns : list of (rows (k, d), eigenvectors (N, k, d, d))
        Of the cones whose eigenvectors are not unit vectors.
    """

    share: FloatArray
    turns: list[tuple[IntArray, FloatArray]]

    def take(self, rows: IntArray) -> "Derivative":
        """Some of the derivatives."""
        return Derivative(self.share[rows], [(places, Q[rows]) for places, Q in self.turns])

    def turned(self, values: FloatArray) -> FloatArray:
        """Q' values, for (N, m, c)."""
        return self._product(values, transposed=True)

    def turned_back(self, values: FloatArray) -> FloatArray:
        """Q values, for (N, m, c)."""
        return self._product(values, transposed=False)

    def _product(self, values: FloatArray, *, transposed: bool) -> FloatArray:
        product = np.array(values, order="C") if self.turns else values
        for rows, Q in self.turns:
            turn = np.ascontiguousarray(Q.swapaxes(-1, -2)) if transposed else Q
            first, stop = rows[0, 0], rows[-1, -1] + 1
            if stop - first == rows.size:  # without copies
                shape = (len(values), *rows.shape, values.shape[2])
                part, out = values[:, first:stop], product[:, first:stop]
                np.matmul(turn, part.reshape(shape), out=out.reshape(shape))
            else:
                product[:, rows] = turn @ values.take(rows, axis=1)
        return product


def project(cones: Cones, v: FloatArray, near: FloatArray) -> FloatArray:
    """Project every row of v (N, m); ``near`` are about the slacks, only for speed."""
    y, nonneg = np.array(v), slice(cones.zero, cones.zero + cones.nonneg)
    y[:, nonneg] = np.maximum(v[:, nonneg], 0.0)
    for at, of, curious in _groups(cones):
        part = _pick(v, at)
        y[:, at.rows], _ = of(part, _pick(near, at) if curious else part, derive=False)
    return y


def derive(cones: Cones, v: FloatArray, near: FloatArray) -> Derivative:
    """Derivatives of the projections of every row of v (N, m)."""
    share, nonneg = np.ones_like(v), slice(cones.zero, cones.zero + cones.nonneg)
    share[:, nonneg] = v[:, nonneg] > 0
    turns: list[tuple[IntArray, FloatArray]] = []
    for at, of, curious in _groups(cones):
        part = _pick(v, at)
        _, spectrum = of(part, _pick(near, at) if curious else part, derive=True)
        assert spectrum is not None
        Q, share[:, at.rows] = spectrum
        turns.append((at.rows, Q))
    return Derivative(share, turns)


def edges(cones: Cones, v: FloatArray) -> FloatArray:
    """How near each v (N, m) is to where a derivative jumps, over second-order and PSD cones."""
    near = np.full(len(v), np.inf)
    for at, of, _ in _groups(cones):
        part = _pick(v, at)
        if of is _soc:
            size = np.sqrt((part[..., 1:] ** 2).sum(axis=-1))
            values = np.minimum(np.abs(part[..., 0] + size), np.abs(part[..., 0] - size))
        elif of is _psd:
            values = np.abs(np.linalg.eigvalsh(_matrices(part))).min(axis=-1)
        else:
            continue
        near = np.minimum(near, values.min(axis=1))
    return near


def margins(cones: Cones, v: FloatArray) -> FloatArray:
    """How deep vectors (N, m) are inside, (N, k): of each row of half-lines, and each other cone.

    Of second-order and PSD cones the distance from the boundary, up to a factor sqrt(2); NaN for
    others than these and half-lines.
    """
    found = [np.full((len(v), cones.zero), np.nan), v[:, cones.zero : cones.zero + cones.nonneg]]
    for kind, start, stop in cones.blocks()[2:]:
        part, depth = v[:, start:stop], np.full(len(v), np.nan)
        if kind == "soc":
            depth = part[:, 0] - lengths(part[:, None, 1:])[:, 0]
        elif kind == "psd":
            depth = np.linalg.eigvalsh(_matrices(part))[:, 0]
        found.append(depth[:, None])
    return np.concatenate(found, axis=1)


@lru_cache(maxsize=STRUCTURES)
def curved(cones: Cones) -> IntArray:
    """Rows whose eigenvalue can lie between 0 and 1; those with 1 and 0 come before in a cone."""
    first = {"soc": 2, "psd": 0, "exp": 2, "power": 2}
    rows = [np.arange(a + first[kind], b) for kind, a, b in cones.blocks() if kind in first]
    return np.concatenate([np.zeros(0, dtype=np.intp), *rows])


def _pick(values: FloatArray, at: Places) -> FloatArray:
    """Rows (k, d) of (N, m, ...), shape (N, k, d, ...); a view where they are adjacent."""
    if at.span is None:
        return values.take(at.rows, axis=1)
    return values[:, at.span].reshape(len(values), *at.rows.shape, *values.shape[2:])


@lru_cache(maxsize=STRUCTURES)
def _groups(cones: Cones) -> list[tuple[Places, Projection, bool]]:
    """Rows of curved cones of one kind and size, their projection, whether it looks at ``near``."""
    starts: dict[tuple[str, int], list[int]] = {}
    for kind, start, stop in cones.blocks():
        if kind not in ("zero", "nonneg"):
            starts.setdefault((kind, stop - start), []).append(start)
    groups: list[tuple[Places, Projection, bool]] = []
    for (kind, size), first in starts.items():
        at = Places.of(np.add.outer(np.array(first), np.arange(size)))
        of = partial(power, np.array(cones.power)) if kind == "power" else _KINDS[kind]
        groups.append((at, of, kind in ("exp", "power")))
    return groups


def _soc(v: FloatArray, near: FloatArray, *, derive: bool) -> tuple[FloatArray, Spectrum | None]:
    t, u = v[..., :1], v[..., 1:]
    size = np.sqrt((u * u).sum(axis=-1, keepdims=True))
    unit = u / np.where(size > 0, size, 1.0)
    inside, below = t >= size, t <= -size
    half = 0.5 * (t + size)
    edge = np.concatenate([half, half * unit], axis=-1)
    y = np.where(inside, v, np.where(below, 0.0, edge))
    if not derive:
        return y, None
    w = np.where(size > 0, unit, np.eye(1, u.shape[-1])[0])
    share = np.repeat(0.5 + 0.5 * t / np.where(size > 0, size, 1.0), v.shape[-1], axis=-1)
    share[..., 0], share[..., 1] = 1.0, 0.0
    return y, (_soc_basis(w), np.where(inside, 1.0, np.where(below, 0.0, share)))


def _soc_basis(w: FloatArray) -> FloatArray:
    """(1, w), (1, -w), and the rest of a reflection that maps the first unit vector on -+w."""
    d = w.shape[-1] + 1
    mirror = np.array(w)
    mirror[..., :1] += np.where(w[..., :1] < 0, -1.0, 1.0)
    length = (mirror * mirror).sum(axis=-1)[..., None, None]
    Q = np.zeros((*w.shape[:-1], d, d))
    Q[..., 1:, 1:] = np.eye(d - 1) - (2 / length) * mirror[..., :, None] * mirror[..., None, :]
    root = np.sqrt(0.5)
    Q[..., 0, :2] = root
    Q[..., 1:, 0], Q[..., 1:, 1] = root * w, -root * w
    return Q


def _psd(v: FloatArray, near: FloatArray, *, derive: bool) -> tuple[FloatArray, Spectrum | None]:
    rows, cols, scale = triangle(order_of(v.shape[-1]))
    sane = np.isfinite(v).all(axis=-1, keepdims=True)
    values, U = np.linalg.eigh(_matrices(v))
    above = np.maximum(values, 0.0)
    y = ((U * above[..., None, :]) @ U.swapaxes(-1, -2))[..., rows, cols] * scale
    y = np.where(sane, y, np.nan)
    if not derive:
        return y, None
    # eigenvectors u_i u_j' + u_j u_i', in the order of the triangle
    left, right = U[..., rows[:, None], rows], U[..., cols[:, None], cols]
    cross = U[..., rows[:, None], cols] * U[..., cols[:, None], rows]
    Q = (left * right + cross) * (scale[:, None] / np.where(rows == cols, 2.0, np.sqrt(2.0)))
    a, b = values[..., rows], values[..., cols]  # in ascending order: a <= b
    mixed = (a <= 0) & (b > 0)
    return y, (Q, np.where(mixed, b / np.where(mixed, b - a, 1.0), (a > 0).astype(np.float64)))


def _matrices(v: FloatArray) -> FloatArray:
    """The symmetric matrices of vectors; zero where LAPACK would raise, at others' expense."""
    order = order_of(v.shape[-1])
    rows, cols, scale = triangle(order)
    matrix = np.zeros((*v.shape[:-1], order, order))
    sane = np.isfinite(v).all(axis=-1, keepdims=True)
    matrix[..., rows, cols] = matrix[..., cols, rows] = np.where(sane, v, 0.0) / scale
    return matrix


_KINDS: dict[str, Projection] = {
    "soc": _soc,
    "psd": _psd,
    "exp": exponential,
}
