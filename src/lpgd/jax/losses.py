"""Losses of predicted linear costs, as functions; see ``lpgd.losses`` for their formulas.

All take costs (..., d) and give one number an element, (...). A ``solver`` is an oracle as
``lpgd.jax.argmin`` takes it, or a function from costs to solutions; with ``sense="max"`` it
maximises. Solutions are constants: the gradient in the costs is that of the formula.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from lpgd import losses
from lpgd.frontend.oracle import Sense
from lpgd.jax.oracle import argmin
from lpgd.losses import contrastive_map, noise_contrastive, pairwise, pointwise
from lpgd.rules.ends import Side
from lpgd.rules.lpgd import LPGD

__all__ = [
    "contrastive_map",
    "fenchel_young",
    "imitation",
    "listwise",
    "noise_contrastive",
    "pairwise",
    "perturbation_gradient",
    "perturbed_fenchel_young",
    "pointwise",
    "spo_plus",
    "structured_hinge",
]

Solver = Callable[..., Any]


def spo_plus(
    costs: jax.Array, true_costs: jax.Array, target: jax.Array, solver: Solver, sense: Sense = "min"
) -> jax.Array:
    """SPO+ (Elmachtoub and Grigas, 2022), given true costs and their solution; (...)."""
    sign = _sign(sense)
    return losses.spo_plus(sign * costs, sign * true_costs, target, _solving(solver, sense))


def perturbation_gradient(
    costs: jax.Array,
    true_costs: jax.Array,
    solver: Solver,
    tau: float = 0.1,
    side: Side = "upper",
    sense: Sense = "min",
) -> jax.Array:
    """Perturbation gradient loss (Gupta and Huang, 2024): LPGD's envelope of <c_t, x>; (...)."""
    LPGD(tau, side=side)
    sign, slope = _sign(sense), jax.lax.stop_gradient(true_costs)
    return losses.envelope(sign * costs, sign * slope, _solving(solver, sense), tau, side)


def imitation(
    costs: jax.Array,
    target: jax.Array,
    slope: jax.Array,
    solver: Solver,
    tau: float = 1.0,
    sense: Sense = "min",
) -> jax.Array:
    """Distance to a target under a task loss of the given slope; see ``lpgd.losses.imitation``."""
    LPGD(tau)
    return losses.imitation(_sign(sense) * costs, target, slope, _solving(solver, sense), tau)


def structured_hinge(
    costs: jax.Array, target: jax.Array, solver: Solver, tau: float = 1.0, sense: Sense = "min"
) -> jax.Array:
    """Structured hinge loss (Tsochantaridis et al., 2005) of 0/1 vectors; (...)."""
    LPGD(tau)
    return losses.structured_hinge(_sign(sense) * costs, target, _solving(solver, sense), tau)


def fenchel_young(
    costs: jax.Array, target: jax.Array, solver: Solver, sense: Sense = "min"
) -> jax.Array:
    """Fenchel-Young loss (Blondel et al., 2020): the Lagrangian divergence D(x_t | c); (...)."""
    return losses.fenchel_young(_sign(sense) * costs, target, _solving(solver, sense))


def perturbed_fenchel_young(
    key: jax.Array,
    costs: jax.Array,
    target: jax.Array,
    solver: Solver,
    sigma: float = 1.0,
    samples: int = 10,
    sense: Sense = "min",
) -> jax.Array:
    """Perturbed Fenchel-Young loss (Berthet et al., 2020) with noise drawn from ``key``; (...)."""
    noise = jax.random.normal(key, (*costs.shape[:-1], samples, costs.shape[-1]), costs.dtype)
    costs = _sign(sense) * costs
    noisy = costs[..., None, :] + sigma * noise
    return losses.perturbed_fenchel_young(costs, target, noisy, _solving(solver, sense))


def listwise(costs: jax.Array, true_costs: jax.Array, pool: jax.Array) -> jax.Array:
    """Listwise learning to rank (Mandi et al., 2022) over a pool (P, d); (...)."""
    soft = partial(jax.nn.softmax, axis=-1), partial(jax.nn.log_softmax, axis=-1)
    return losses.listwise(costs, true_costs, pool, *soft)


def _sign(sense: Sense) -> float:
    if sense not in ("min", "max"):
        raise ValueError(f"sense must be 'min' or 'max', got {sense!r}")
    return 1.0 if sense == "min" else -1.0


def _solving(solver: Solver, sense: Sense) -> Callable[..., tuple[jax.Array, ...]]:
    """Minimisers of any number of costs, all solved at once, without a gradient."""
    sign = _sign(sense)

    def solve(*tilted: jax.Array) -> tuple[jax.Array, ...]:
        asked = sign * jax.lax.stop_gradient(jnp.stack(tilted))
        return tuple(jax.lax.stop_gradient(argmin(solver, asked, sense=sense)))

    return solve
