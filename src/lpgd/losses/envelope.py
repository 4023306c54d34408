"""LPGD's envelopes of losses that are linear in the solution."""

from __future__ import annotations

from collections.abc import Sequence

from lpgd.losses.linear import Array, Solve, inner
from lpgd.rules.ends import ENDS, Side


def envelope(costs: Array, slope: Array, solve: Solve, tau: float, side: Side) -> Array:
    """[V(t_hi) - V(t_lo)] / (t_hi - t_lo), V(t) = min_x <costs + t slope, x>.

    The envelope of the loss <slope, x*(costs)> (math page, section 1); LPGD's gradient is its own.
    With the true costs as slope it is the perturbation gradient loss (Gupta and Huang, NeurIPS
    2024), "upper" its one-sided and "average" its central difference, tau their sigma.

    Parameters
    ----------
    costs, slope : (..., d)
    solve : callable
    tau : float
        > 0.
    side : {"lower", "upper", "average"}

    Returns
    -------
    (...)
    """
    (above, below), (hi, lo), width = _ends(costs, slope, solve, tau, side)
    return (inner(above, hi) - inner(below, lo)) / width


def gradient(costs: Array, slope: Array, solve: Solve, tau: float, side: Side) -> Array:
    """The gradient of ``envelope`` in the costs, for those who have no autodiff: (..., d)."""
    _, (hi, lo), width = _ends(costs, slope, solve, tau, side)
    return (hi - lo) / width


def _ends(
    costs: Array, slope: Array, solve: Solve, tau: float, side: Side
) -> tuple[Sequence[Array], Sequence[Array], float]:
    """Tilted costs, their minimisers, and the distance of the two tilts."""
    ends = [tau * end for end in ENDS[side]]
    tilted = [costs + end * slope if end else costs for end in ends]
    return tilted, solve(*tilted), ends[0] - ends[1]
