"""Losses against a pool of solutions: contrastive, and learning to rank."""

from __future__ import annotations

from collections.abc import Callable

from lpgd.losses.linear import Array, inner

Squash = Callable[[Array], Array]
LEAST = 1e-8  # of a share, so that no solution of the pool is without a weight


def scores(costs: Array, pool: Array) -> Array:
    """<c, x> of every solution of the pool: (..., d) and (P, d) to (..., P)."""
    return costs @ pool.T


def noise_contrastive(costs: Array, target: Array, pool: Array) -> Array:
    """Noise-contrastive estimation (Mulamba et al., 2021): mean over the pool of <c, x_t - x>."""
    return inner(costs, target) - scores(costs, pool).mean(-1)


def contrastive_map(costs: Array, target: Array, pool: Array, rounding: float = 0.0) -> Array:
    """Contrastive maximum a posteriori (Mulamba et al., 2021): ``fenchel_young`` over the pool."""
    return inner(costs, target - cheapest(costs, pool, rounding))


def cheapest(costs: Array, pool: Array, rounding: float = 0.0) -> Array:
    """The minimiser of <c, x> over the pool, of equal ones the first.

    Scores of one element are rounded otherwise in another batch. What is within ``rounding`` of the
    least, relative to the terms of its sum, counts as equal; 0 tells all apart.
    """
    found = scores(costs, pool)
    least = _of(pool, found.argmin(-1))
    if not rounding:
        return least
    most = inner(costs, least) + rounding * inner(abs(costs), abs(least))
    return _of(pool, ((found <= most[..., None]) * 1).argmax(-1))


def _of(pool: Array, place: Array) -> Array:
    """Solutions of the pool; torch.func.vmap takes no index without a dimension."""
    return pool[place[..., None]][..., 0, :]


def pointwise(costs: Array, true_costs: Array, pool: Array) -> Array:
    """Pointwise learning to rank (Mandi et al., 2022): mean square error of the scores."""
    return (scores(true_costs - costs, pool) ** 2).mean(-1)


def pairwise(costs: Array, true_costs: Array, pool: Array, rounding: float = 0.0) -> Array:
    """Pairwise learning to rank (Mandi et al., 2022): hinges against the truly best solution."""
    best = cheapest(true_costs, pool, rounding)
    over = inner(costs, best)[..., None] - scores(costs, pool)
    room = rounding * inner(abs(costs), abs(best))[..., None]  # equal scores: see ``cheapest``
    # NaN where a cost is: of true ones nothing is the best, and a product with a comparison of
    # NaN is a selection to XLA, and so 0
    unknown = 0 * (true_costs + costs).sum(-1)
    return (over * (over > room)).sum(-1) / max(len(pool) - 1, 1) + unknown


def listwise(
    costs: Array, true_costs: Array, pool: Array, softmax: Squash, log_softmax: Squash
) -> Array:
    """Listwise learning to rank (Mandi et al., 2022): cross-entropy of softmin of the scores.

    ``softmax`` and ``log_softmax`` are the framework's, over the last axis.
    """
    wanted = softmax(-scores(true_costs, pool)).clip(LEAST)
    return -(log_softmax(-scores(costs, pool)) * wanted).sum(-1)
