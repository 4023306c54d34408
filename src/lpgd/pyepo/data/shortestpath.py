"""Shortest paths on grids."""

from lpgd import generators
from lpgd.generators import Costs, Floats
from lpgd.pyepo.func._checks import nonnegative


def genData(
    num_data: int,
    num_features: int,
    grid: tuple[int, int],
    deg: int = 1,
    noise_width: float = 0,
    seed: int = 135,
) -> tuple[Floats, Costs]:
    """Features and costs; see ``lpgd.generators.shortest_path``."""
    nonnegative(noise_width, "noise_width")
    how = {"degree": deg, "noise": noise_width, "seed": seed}
    return generators.shortest_path(num_data, num_features, grid, **how)
