"""Steps of Newton's method whose matrix is singular: [[P + B'WB, E'], [E, 0]], see ``newton``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from lpgd.core.solution import FloatArray

SINGULAR = 1e-11  # eigenvalues below this, relative to the largest, count as zero
OFF = 1e-8  # relative residual of a singular system in which units decide
SWEEPS = 4  # that bring the entries of a matrix near 1
Inverse = tuple[FloatArray, FloatArray]
"""Eigenvectors in columns, and inverse eigenvalues, zero for those that count as zero."""


@final
@dataclass(frozen=True)
class Singular:
    """A singular system.

    Attributes
    ----------
    hessian : (n, n) float64
    equations : (k, n) float64
    """

    hessian: FloatArray
    equations: FloatArray

    @cached_property
    def lift(self) -> FloatArray:
        """Units (n + k,) in which curvature is as large as the equations: costs have their own."""
        sizes = [float(np.abs(part).max(initial=0.0)) for part in (self.hessian, self.equations)]
        power = 0
        if min(sizes) > 0:
            power = (math.frexp(sizes[1])[1] - math.frexp(sizes[0])[1]) // 2
        n, k = len(self.hessian), len(self.equations)
        return np.ldexp(1.0, np.repeat(np.array([power, -power]), [n, k]))

    @cached_property
    def matrix(self) -> FloatArray:
        """The symmetric matrix (n + k, n + k), in these units."""
        n, k = len(self.hessian), len(self.hessian) + len(self.equations)
        plain = assembled(self.hessian, self.equations, np.zeros(k * k), n, k)
        return self.lift[:, None] * plain * self.lift

    @cached_property
    def finite(self) -> bool:
        """Whether LAPACK returns."""
        return bool(np.isfinite(self.matrix).all())

    def solve(self, rhs: FloatArray) -> FloatArray:
        """The least-squares solution of minimum norm, in units in which the matrix solves best.

        Curvature may be so large that what else is in the matrix looks like nothing beside it.
        """
        if not (self.finite and np.isfinite(rhs).all()):
            return np.full_like(rhs, np.nan)
        rhs = self.lift * rhs
        found = _apply(self._inverse, rhs)
        off = np.abs(self.matrix @ found - rhs).max(initial=0.0)
        if not off <= OFF * np.abs(rhs).max(initial=0.0):
            found = self._unit * _apply(self._scaled, self._unit * rhs)
        return self.lift * found

    @cached_property
    def _inverse(self) -> Inverse:
        return _inverse(self.matrix)

    @cached_property
    def _unit(self) -> FloatArray:
        unit = np.ones(len(self.matrix))
        for _ in range(SWEEPS):
            sizes = (np.abs(self.matrix) * unit).max(axis=1, initial=0.0) * unit
            unit = unit / np.sqrt(np.where(sizes > 0, sizes, 1.0))
        return unit

    @cached_property
    def _scaled(self) -> Inverse:
        return _inverse(self._unit[:, None] * self.matrix * self._unit)

    @property
    def null(self) -> FloatArray:
        """Ways (n + k, d) in which the solution is free, in the units of the matrix.

        As P is convex, these are ways of x alone, multipliers alone, and sums of both.
        """
        vectors, values = self._inverse
        return vectors[:, values == 0]


def assembled(
    hessian: FloatArray, equations: FloatArray, room: FloatArray, n: int, k: int
) -> FloatArray:
    """The symmetric matrix of a step, in place of zeros."""
    K = room[: k * k].reshape(k, k)
    K[:n, :n], K[n:, :n], K[:n, n:] = hessian, equations, equations.T
    return K


def _inverse(matrix: FloatArray) -> Inverse:
    values, vectors = np.linalg.eigh(matrix)
    sizes = np.abs(values)
    kept = sizes > SINGULAR * sizes.max(initial=0.0)
    return vectors, np.where(kept, 1 / np.where(kept, values, 1.0), 0.0)


def _apply(inverse: Inverse, rhs: FloatArray) -> FloatArray:
    vectors, values = inverse
    return vectors @ (values * (rhs @ vectors))
