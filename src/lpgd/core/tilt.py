"""What travels between a rule, a problem and a workspace: cotangents, tilts and terms."""

from dataclasses import dataclass

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
        some: BoolArray = np.logical_or.reduce(self.dx, axis=1)
        some |= np.logical_or.reduce(self.dy, axis=1)
        return some if self.ds is None else some | np.logical_or.reduce(self.ds, axis=1)

    @property
    def finite(self) -> BoolArray:
        """Rows without a NaN or an infinity, shape (N,)."""
        every: BoolArray = np.logical_and.reduce(np.isfinite(self.dx), axis=1)
        every &= np.logical_and.reduce(np.isfinite(self.dy), axis=1)
        if self.ds is None:
            return every
        return every & np.logical_and.reduce(np.isfinite(self.ds), axis=1)


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
        return Tilt(
            self.rows, t, self.dx, self.dy, self.rho, self.anchor, self.ds, self.curve, self.center
        )


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
class Adjoint(Rows):
    """Derivatives of a loss through the optimality conditions.

    Attributes
    ----------
    a : (N, n) float64
        Derivative in q.
    v : (N, m) float64
        Minus the derivative in the right-hand sides.
    degenerate : (N,) bool
        Rows whose derivative is not unique over the user's entries of x and y.
    unsure : (N,) bool
        Rows whose system is too ill-conditioned, or whose solution too inaccurate, to tell.
    strict : (N,) bool
        Rows at which the objective is known to be strictly convex without a proximal term, or
        constraints that bend the solution are loaded.
    reach : (N, 2) float64 or None
        Up to which |t|, for t < 0 and t > 0, x* + t a and y* + t v solve the tilted problem.
    span : (N,) float64 or None
        A step along (a, v) that is small for a Lagrangian of any shape; None where the Lagrangian
        is quadratic in x and y, so that any step will do.
    plain : (N, m) float64 or None
        Multipliers of the solution without what costs that forbid add to them, beside which all
        others are rounding; see ``core.abilities.Easing``.
    tied : (N,) bool or None
        Degenerate rows in which only equations depend on each other: their multipliers are not
        unique, but a is.
    """

    a: FloatArray
    v: FloatArray
    degenerate: BoolArray
    unsure: BoolArray
    strict: BoolArray
    reach: FloatArray | None = None
    span: FloatArray | None = None
    plain: FloatArray | None = None
    tied: BoolArray | None = None
