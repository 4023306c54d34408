"""The upper envelope of a task loss plus the divergence of a target: one loss, many names."""

from __future__ import annotations

from lpgd.losses.linear import Array, Solve, inner


def imitation(
    costs: Array,
    target: Array,
    slope: Array | float,
    solve: Solve,
    tau: float = 1.0,
    best: Array | None = None,
) -> Array:
    """max_x <slope - costs / tau, x - target>.

    The upper envelope of the task loss <slope, x - target> plus D(target | costs) / tau (math page,
    section 6). Gradient: (target - x-) / tau, x- the minimiser of <costs - tau slope, x>.

    Parameters
    ----------
    costs, target, slope : (..., d)
        The target is a point of the set; a slope of 0 is no task loss.
    solve : callable
    tau : float
        > 0.
    best : (...), optional
        What stands for <slope, target>, where that is known otherwise.

    Returns
    -------
    (...)
        Not negative, and zero where the target minimises.
    """
    scaled = costs / tau
    (worst,) = solve(scaled - slope)
    divergence = inner(scaled, target - worst)
    if best is None:
        return divergence + inner(slope, worst - target)
    return divergence + inner(slope, worst) - best


def spo_plus(
    costs: Array, true_costs: Array, target: Array, solve: Solve, best: Array | None = None
) -> Array:
    """SPO+ (Elmachtoub and Grigas, 2022): ``imitation`` of regret, with tau = 1/2.

    -L*(2 c - c_t) + 2 <c, x_t> - <c_t, x_t>; gradient 2 (x_t - x*(2 c - c_t)).
    ``best`` stands for L*(c_t) = <c_t, x_t>.
    """
    return imitation(costs, target, true_costs, solve, 0.5, best)


def structured_hinge(costs: Array, target: Array, solve: Solve, tau: float = 1.0) -> Array:
    """Structured hinge loss (Tsochantaridis et al., 2005): ``imitation`` with Hamming loss.

    On 0/1 vectors the Hamming distance to the target is <1 - 2 x_t, x> and a constant.
    """
    return imitation(costs, target, 1 - 2 * target, solve, tau)


def fenchel_young(costs: Array, target: Array, solve: Solve) -> Array:
    """Fenchel-Young loss (Blondel et al., 2020), the Lagrangian divergence D(x_t | c).

    <c, x_t> - L*(c): ``imitation`` without a task loss; without a regulariser, the perceptron's
    loss. Gradient: x_t - x*(c).
    """
    return imitation(costs, target, 0, solve)


def regularised_fenchel_young(costs: Array, target: Array, weight: float, solve: Solve) -> Array:
    """D(x_t | c) for <c, x> + weight/2 ||x||^2, which ``solve`` minimises over the hull."""
    (x,) = solve(costs)
    return inner(costs, target - x) + weight / 2 * (inner(target, target) - inner(x, x))


def perturbed_fenchel_young(costs: Array, target: Array, noisy: Array, solve: Solve) -> Array:
    """Perturbed Fenchel-Young loss (Berthet et al., 2020): <c, x_t> - E L*(noisy costs).

    Parameters
    ----------
    costs, target : (..., d)
    noisy : (..., S, d)
        The costs with noise, added or multiplied, as a function of the costs.
    """
    (x,) = solve(noisy)
    return inner(costs, target) - inner(noisy, x).mean(-1)
