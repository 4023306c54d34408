"""The score function: gradients of expected losses that need no gradient of the loss."""

from __future__ import annotations

from lpgd.losses.linear import Array, inner


def leave_one_out(losses: Array) -> Array:
    """Losses (..., S) less the mean of the other samples' losses; one alone is left as it is."""
    count = losses.shape[-1]
    return losses if count == 1 else (losses - losses.mean(-1)[..., None]) * (count / (count - 1))


def likelihood(costs: Array, noisy: Array, sigma: float) -> Array:
    """Log-density of noisy costs (..., S, d) around costs (..., d), up to a constant: (..., S).

    The mean of loss times this has the gradient E[loss z] / sigma of REINFORCE (Williams, 1992);
    ``noisy`` are constants.
    """
    away = noisy - costs[..., None, :]
    return -inner(away, away) / (2 * sigma**2)
