"""Portfolios."""

from lpgd import generators
from lpgd.generators import Costs, Floats
from lpgd.pyepo.func._checks import nonnegative


def genData(
    num_data: int,
    num_features: int,
    num_assets: int,
    deg: int = 1,
    noise_level: float = 1,
    seed: int = 135,
) -> tuple[Floats, Floats, Costs]:
    """Covariance, features and returns; see ``lpgd.generators.portfolio``."""
    nonnegative(noise_level, "noise_level")
    how = {"degree": deg, "noise": noise_level, "seed": seed}
    return generators.portfolio(num_data, num_features, num_assets, **how)
