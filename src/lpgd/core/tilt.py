"""What travels between a rule, a problem and a workspace: cotangents, tilts and terms."""

from dataclasses import dataclass, replace

import numpy as np

from lpgd.core.solution import BoolArray, FloatArray, IntArray, Rows, Solution


@dataclass(frozen=True)
class Cotangent(Rows):
    """Derivatives of the loss in the solution.

    Attributes
    ----------
    rows : (N,) int
        The batch element that each row belongs to. An element may have several (the rows of a
        Jacobian) or none.
    dx : (N, n) float64
    dy : (N, m) float64
    ds : (N, m) float64 or None
        For families with slacks s = b - Ax.
    """

    rows: IntArray
    dx: FloatArray
    dy: FloatArray
    ds: FloatArray | None = None

    @property
    def loud(self) -> BoolArray:
        """Rows that are not all zero, shape (N,)."""
        return np.logical_or.reduce([part.any(axis=1) for part in self._parts()])

    @property
    def finite(self) -> BoolArray:
        """Rows without a NaN or an infinity, shape (N,)."""
        return np.logical_and.reduce([np.isfinite(part).all(axis=1) for part in self._parts()])

    def _parts(self) -> list[FloatArray]:
        return [self.dx, self.dy] if self.ds is None else [self.dx, self.dy, self.ds]


@dataclass(frozen=True)
class Tilt(Rows):
    """Changed problems, one a row: L + t loss + rho/2 ||x - anchor||^2.

    loss = <dx, x> + <dy, y> + <ds, s> + 1/2 <curve, (x - center)^2>

    Attributes
    ----------
    rows : (N,) int
        The batch element whose problem is tilted; elements may repeat or be missing.
    t : (N,) float64
        Signed step, in objective units per loss unit.
    dx : (N, n) float64
    dy : (N, m) float64
    rho : (N,) float64
        Weight of the proximal term; a full loss's upper side uses a negative one.
    anchor : (N, n) float64
    ds : (N, m) float64 or None
    curve, center : (N, n) float64 or None
        The loss's own curvature, for losses that are not linearised; both or none.
    """

    rows: IntArray
    t: FloatArray
    dx: FloatArray
    dy: FloatArray
    rho: FloatArray
    anchor: FloatArray
    ds: FloatArray | None = None
    curve: FloatArray | None = None
    center: FloatArray | None = None

    def at(self, t: FloatArray) -> "Tilt":
        """The same directions with other steps."""
        return replace(self, t=t)


@dataclass(frozen=True)
class Term:
    """``weight`` (N,) times the tilted Lagrangian at ``point`` (N rows), as a function of w."""

    weight: FloatArray
    point: Solution
    tilt: Tilt

    @property
    def multipliers(self) -> FloatArray:
        """y, shifted as the tilt's t <ds, b - Ax> acts on it (math page, section 5a)."""
        tilt = self.tilt
        return self.point.y if tilt.ds is None else self.point.y - tilt.t[:, None] * tilt.ds


@dataclass(frozen=True)
class Adjoint:
    """Derivatives of a loss through the optimality conditions.

    Attributes
    ----------
    a : (N, n) float64
        Derivative in q.
    v : (N, m) float64
        Minus the derivative in the right-hand sides.
    degenerate : (N,) bool or None
        Rows whose derivative is not unique, where it is known.
    reach : (N, 2) float64 or None
        Steps t, a negative and a positive one, between which x + t a, y + t v solve the tilted
        problem.
    unsure : (N,) bool or None
        Rows of which rounding decides.
    """

    a: FloatArray
    v: FloatArray
    degenerate: BoolArray | None = None
    reach: FloatArray | None = None
    unsure: BoolArray | None = None
