"""Losses of predicted linear costs, as functions; see ``lpgd.losses`` for their formulas.

All take costs (..., d), or in the shape that an oracle says of itself, and give one number an
element, (...). A ``solver`` is an oracle as ``lpgd.jax.argmin`` takes it, or a function from costs
to solutions; with ``sense="max"`` it maximises. Solutions are constants: the gradient in the costs
is that of the formula. Batch dimensions broadcast; another shape raises ``lpgd.StructureError``,
and a ``tau`` or ``sigma`` that is not positive ``ValueError``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import jax
import jax.numpy as jnp

from lpgd import losses
from lpgd.core.errors import StructureError
from lpgd.frontend.oracle import Sense, checked, form
from lpgd.jax.oracle import argmin
from lpgd.losses.linear import fitting, step
from lpgd.rules.ends import Side
from lpgd.rules.perturbation import Perturbation

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
    solve, c, truth, x = _begun(solver, sense, costs, true_costs=true_costs, target=target)
    return losses.spo_plus(c, _sign(sense) * truth, x, solve)


def perturbation_gradient(
    costs: jax.Array,
    true_costs: jax.Array,
    solver: Solver,
    tau: float = 0.1,
    side: Side = "upper",
    sense: Sense = "min",
) -> jax.Array:
    """Perturbation gradient loss (Gupta and Huang, 2024): LPGD's envelope of <c_t, x>; (...)."""
    step(tau, side)
    solve, c, truth = _begun(solver, sense, costs, true_costs=true_costs)
    return losses.envelope(c, _sign(sense) * jax.lax.stop_gradient(truth), solve, tau, side)


def imitation(
    costs: jax.Array,
    target: jax.Array,
    slope: jax.Array,
    solver: Solver,
    tau: float = 1.0,
    sense: Sense = "min",
) -> jax.Array:
    """Distance to a target under a task loss of the given slope; see ``lpgd.losses.imitation``."""
    step(tau)
    solve, c, x, of = _begun(solver, sense, costs, target=target, slope=slope)
    return losses.imitation(c, x, of, solve, tau)


def structured_hinge(
    costs: jax.Array, target: jax.Array, solver: Solver, tau: float = 1.0, sense: Sense = "min"
) -> jax.Array:
    """Structured hinge loss (Tsochantaridis et al., 2005) of 0/1 vectors; (...)."""
    step(tau)
    solve, c, x = _begun(solver, sense, costs, target=target)
    return losses.structured_hinge(c, x, solve, tau)


def fenchel_young(
    costs: jax.Array, target: jax.Array, solver: Solver, sense: Sense = "min"
) -> jax.Array:
    """Fenchel-Young loss (Blondel et al., 2020): the Lagrangian divergence D(x_t | c); (...)."""
    solve, c, x = _begun(solver, sense, costs, target=target)
    return losses.fenchel_young(c, x, solve)


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
    Perturbation(sigma, samples, None)
    solve, c, x = _begun(solver, sense, costs, target=target)
    noise = jax.random.normal(key, (*c.shape[:-1], samples, c.shape[-1]), c.dtype)
    return losses.perturbed_fenchel_young(c, x, c[..., None, :] + sigma * noise, solve)


def noise_contrastive(costs: jax.Array, target: jax.Array, pool: jax.Array) -> jax.Array:
    """Noise-contrastive estimation (Mulamba et al., 2021): mean of <c, x_t - x>, pool (P, d)."""
    return losses.noise_contrastive(*_pooled(pool, costs, target=target))


def contrastive_map(costs: jax.Array, target: jax.Array, pool: jax.Array) -> jax.Array:
    """Contrastive MAP (Mulamba et al., 2021): the divergence D(x_t | c) over a pool (P, d)."""
    return losses.contrastive_map(*_pooled(pool, costs, target=target))


def pointwise(costs: jax.Array, true_costs: jax.Array, pool: jax.Array) -> jax.Array:
    """Pointwise learning to rank (Mandi et al., 2022) over a pool (P, d)."""
    return losses.pointwise(*_pooled(pool, costs, true_costs=true_costs))


def pairwise(costs: jax.Array, true_costs: jax.Array, pool: jax.Array) -> jax.Array:
    """Pairwise learning to rank (Mandi et al., 2022) over a pool (P, d)."""
    return losses.pairwise(*_pooled(pool, costs, true_costs=true_costs))


def listwise(costs: jax.Array, true_costs: jax.Array, pool: jax.Array) -> jax.Array:
    """Listwise learning to rank (Mandi et al., 2022) over a pool (P, d)."""
    soft = partial(jax.nn.softmax, axis=-1), partial(jax.nn.log_softmax, axis=-1)
    return losses.listwise(*_pooled(pool, costs, true_costs=true_costs), *soft)


def _sign(sense: Sense) -> float:
    if sense not in ("min", "max"):
        raise ValueError(f"sense must be 'min' or 'max', got {sense!r}")
    return 1.0 if sense == "min" else -1.0


def _pooled(pool: Any, costs: Any, **other: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    points = jnp.asarray(pool)
    if points.ndim != 2 or not len(points):
        raise StructureError(f"pool must have shape (P, d) with P >= 1, got {points.shape}")
    given = {name: jnp.asarray(part) for name, part in {"costs": costs, **other}.items()}
    fitting(points.shape[1:], **given)
    first, second = given.values()
    return first, second, points


def _begun(solver: Solver, sense: Sense, costs: Any, **others: Any) -> tuple[Any, ...]:
    """What solves, the costs to be minimised and all else, as vectors (..., d).

    The first gives minimisers of any number of costs, all solved at once, without a gradient.
    """
    sign, c = _sign(sense), jnp.asarray(costs)
    own = checked(form(solver, None), c.shape)
    given = {name: jnp.asarray(part) for name, part in others.items()}
    fitting(own, costs=c, **given)

    def flat(part: jax.Array) -> jax.Array:
        return part.reshape(*part.shape[: part.ndim - len(own)], prod(own))

    def solve(*tilted: jax.Array) -> tuple[jax.Array, ...]:
        asked = tilted[0] if len(tilted) == 1 else jnp.stack(tilted)
        asked = sign * jax.lax.stop_gradient(asked)
        x = argmin(solver, asked.reshape(*asked.shape[:-1], *own), sense=sense)
        x = flat(jax.lax.stop_gradient(x))
        return (x,) if len(tilted) == 1 else tuple(x)

    return solve, sign * flat(c), *map(flat, given.values())
