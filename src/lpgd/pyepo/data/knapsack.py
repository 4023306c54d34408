"""Knapsacks."""

from lpgd import generators
from lpgd.generators import Costs, Floats
from lpgd.pyepo.func._checks import nonnegative


def genData(
    num_data: int,
    num_features: int,
    num_items: int,
    dim: int = 1,
    deg: int = 1,
    noise_width: float = 0,
    seed: int = 135,
) -> tuple[Floats, Floats, Costs]:
    """Weights, features and values; see ``lpgd.generators.knapsack``."""
    nonnegative(noise_width, "noise_width")
    how = {"degree": deg, "noise": noise_width, "seed": seed}
    return generators.knapsack(num_data, num_features, num_items, dim, **how)
