"""Losses of x that can be added to a problem, t times: what L + t loss then is.

A loss knows its value, its derivatives in target and weight, and unless it needs further variables
(see ``epigraph``) the tilt that adds it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from lpgd.core.errors import StructureError
from lpgd.core.solution import FloatArray, IntArray
from lpgd.core.tilt import Tilt
from lpgd.families.quadratic.structure import QUIET
from lpgd.families.quadratic.sums import dot

BINARY = 1e-6  # distance from 0 or 1 up to which an entry is binary


@dataclass(frozen=True)
class Added(ABC):
    """A loss of x, separable over its entries.

    Attributes
    ----------
    target, weight : (N, n) float64
    """

    target: FloatArray
    weight: FloatArray

    affine: ClassVar[bool] = False
    """Whether it is affine in x (on the feasible set), so that both sides are well posed."""
    curved: ClassVar[bool] = False
    """Whether it adds to the Hessian."""

    @abstractmethod
    def value(self, x: FloatArray) -> FloatArray:
        """The loss at each point, (N,)."""

    @abstractmethod
    def slopes(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Its derivatives in target and weight at each point, both (N, n)."""

    @abstractmethod
    def pull(self) -> FloatArray:
        """The gradient in x of the linear part that a tilt adds, (N, n)."""

    def tilt(self, rows: IntArray, t: FloatArray, rho: float, anchor: FloatArray, m: int) -> Tilt:
        """L + t loss + rho/2 ||x - anchor||^2, up to a constant."""
        none, size = np.zeros((len(rows), m)), np.zeros(len(rows))
        curve = (self.weight, self.target) if self.curved else (None, None)
        return Tilt(rows, t, self.pull(), none, size + rho, anchor, None, *curve)

    def check(self, x: FloatArray) -> None:
        """Refuse values that the loss cannot have.

        Raises
        ------
        StructureError
        """
        if (self.weight < 0).any():
            raise StructureError("weight must be >= 0: a loss that is not convex cannot be added")

    @property
    def unfit(self) -> dict[int, str]:
        """Rows with values that no loss has, and what is wrong with them."""
        found: dict[int, str] = {}
        for name, values in (("target", self.target), ("weight", self.weight)):
            bad = ~np.logical_and.reduce(np.isfinite(values), axis=1)
            for row in np.flatnonzero(bad):
                found.setdefault(int(row), f"{name} has a NaN or infinite entry")
        return found

    def take(self, rows: IntArray) -> Added:
        """The loss of some rows."""
        return type(self)(self.target[rows], self.weight[rows])


@final
@dataclass(frozen=True)
class Quadratic(Added):
    """1/2 sum weight (x - target)^2."""

    curved: ClassVar[bool] = True

    def value(self, x: FloatArray) -> FloatArray:
        """See ``Added.value``."""
        return 0.5 * dot(self.weight, (x - self.target) ** 2)

    @QUIET
    def slopes(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """See ``Added.slopes``."""
        gap = x - self.target
        return -self.weight * gap, 0.5 * gap**2

    def pull(self) -> FloatArray:
        """See ``Added.pull``: all of it is in the curve."""
        return np.zeros_like(self.target)


@final
@dataclass(frozen=True)
class Linear(Added):
    """sum weight target x: the target holds true costs."""

    affine: ClassVar[bool] = True

    def value(self, x: FloatArray) -> FloatArray:
        """See ``Added.value``."""
        return dot(self.pull(), x)

    def slopes(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """See ``Added.slopes``."""
        return self.weight * x, self.target * x

    def pull(self) -> FloatArray:
        """See ``Added.pull``."""
        return self.weight * self.target

    def check(self, x: FloatArray) -> None:
        """Any weight will do."""


@final
@dataclass(frozen=True)
class Hamming(Added):
    """sum weight |x - target| of binary x and target, where it is affine."""

    affine: ClassVar[bool] = True

    def value(self, x: FloatArray) -> FloatArray:
        """See ``Added.value``."""
        return dot(self.pull(), x) + dot(self.weight, self.target)

    def slopes(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """See ``Added.slopes``."""
        return self.weight * (1 - 2 * x), x + self.target - 2 * x * self.target

    def pull(self) -> FloatArray:
        """See ``Added.pull``."""
        return self.weight * (1 - 2 * self.target)

    def check(self, x: FloatArray) -> None:
        """Entries of solutions and targets must be 0 or 1."""
        for name, values in (("the target", self.target), ("the layer's solution", x)):
            far = np.minimum(np.abs(values), np.abs(values - 1))
            if not (far <= BINARY).all():
                raise StructureError(
                    f"a Hamming loss counts differing entries of binary vectors, but {name} has "
                    f"{values[far > BINARY][0]:.4g}"
                )


@final
@dataclass(frozen=True)
class Absolute(Added):
    """sum weight |x - target|; adds variables of its own."""

    def value(self, x: FloatArray) -> FloatArray:
        """See ``Added.value``."""
        return dot(self.weight, np.abs(x - self.target))

    def slopes(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """See ``Added.slopes``; zero at kinks."""
        gap = x - self.target
        return -self.weight * np.sign(gap), np.abs(gap)

    def pull(self) -> FloatArray:
        """None: see ``epigraph``."""
        return np.zeros_like(self.target)


LOSSES: dict[str, type[Added]] = {
    "absolute": Absolute,
    "hamming": Hamming,
    "linear": Linear,
    "quadratic": Quadratic,
}
