"""LPGD's envelopes of losses that are linear in the solution."""

from __future__ import annotations

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
    ends = [tau * end for end in ENDS[side]]
    tilted = [costs + end * slope if end else costs for end in ends]
    hi, lo = solve(*tilted)
    return (inner(tilted[0], hi) - inner(tilted[1], lo)) / (ends[0] - ends[1])
