"""What travels between a rule, a problem and a workspace: cotangents, tilts and terms."""

from dataclasses import dataclass, replace

from lpgd.solution import FloatArray, IntArray, Rows, Solution


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
    """

    rows: IntArray
    dx: FloatArray
    dy: FloatArray


@dataclass(frozen=True)
class Tilt(Rows):
    """Changed problems: L + t (<dx, x> + <dy, y>) + rho/2 ||x - anchor||^2, one a row.

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
    """

    rows: IntArray
    t: FloatArray
    dx: FloatArray
    dy: FloatArray
    rho: FloatArray
    anchor: FloatArray

    def at(self, t: FloatArray) -> "Tilt":
        """The same directions with other steps."""
        return replace(self, t=t)


@dataclass(frozen=True)
class Term:
    """``weight`` (N,) times the tilted Lagrangian at ``point`` (N rows), as a function of w."""

    weight: FloatArray
    point: Solution
    tilt: Tilt
