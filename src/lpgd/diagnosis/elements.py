"""What a diagnosis tells of each element."""

from dataclasses import dataclass

from lpgd.core.public import public
from lpgd.core.solution import BoolArray, FloatArray, IntArray, StatusArray


@public("lpgd")
@dataclass(frozen=True, eq=False)
class Elements:
    """What became of each of B elements, in the order of the batch, row by row.

    Attributes
    ----------
    status : (B,) int8
        A ``lpgd.Status`` each.
    accuracy : (B,) float64
        Measured relative error of the solution.
    active : (B,) int
        Rows that hold the solution: equalities, tight inequalities and bounds, loaded cones.
    breakpoints : (B, 2) float64
        Up to which tilt, upper (t < 0) and lower (t > 0) side, the solution moves as at first. NaN
        where unknown, as with curved cones away from vertices.
    tau : (B,) float64
        The largest tilt that was made; zero where the derivative served.
    tilted : (B,) int8
        The Status of the tilted solves.
    moved : (B,) bool
        Whether a tilted solution, or the derivative, left x*.
    pull, gradient : (B,) float64
        Largest entry of the loss's gradient in x, and length of the gradient in the learned data.
    vertex, flat, degenerate, redundant, unverified : (B,) bool
    """

    status: StatusArray
    accuracy: FloatArray
    active: IntArray
    breakpoints: FloatArray
    tau: FloatArray
    tilted: StatusArray
    moved: BoolArray
    pull: FloatArray
    gradient: FloatArray
    vertex: BoolArray
    flat: BoolArray
    degenerate: BoolArray
    redundant: BoolArray
    unverified: BoolArray

    def __len__(self) -> int:
        return len(self.status)
