"""Travelling salesman problems."""

from lpgd import generators
from lpgd.generators import Costs, Floats
from lpgd.pyepo.func._checks import nonnegative


def genData(
    num_data: int,
    num_features: int,
    num_nodes: int,
    deg: int = 1,
    noise_width: float = 0,
    seed: int = 135,
) -> tuple[Floats, Costs]:
    """Features and costs; see ``lpgd.generators.tsp``."""
    nonnegative(noise_width, "noise_width")
    how = {"degree": deg, "noise": noise_width, "seed": seed}
    return generators.tsp(num_data, num_features, num_nodes, **how)
