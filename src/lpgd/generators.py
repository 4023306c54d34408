"""Data sets of predict-then-optimise problems: features, and costs that depend on them.

The problems of Elmachtoub and Grigas (2022) and of PyEPO (Tang and Khalil, 2024), drawn in the same
order, so that the same seed gives the same numbers. Costs are float32, all else is float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpgd.core.options import number, whole

Floats = NDArray[np.float64]
Costs = NDArray[np.float32]


def shortest_path(
    size: int,
    features: int,
    grid: tuple[int, int],
    *,
    degree: int = 1,
    noise: float = 0.0,
    seed: int = 135,
) -> tuple[Floats, Costs]:
    """Costs of the edges of a grid that leads right and down; see ``lpgd.oracles.PyEPOGrid``.

    c = ((s + 3)^degree + 1) / 3.5^degree, s = B x / sqrt(p), times U(1 - noise, 1 + noise).

    Parameters
    ----------
    size, features : int
        Number of instances B, and p of features.
    grid : (int, int)
        Rows and columns of nodes.
    degree : int
        >= 1.
    noise : float
        Half-width of the noise, >= 0.
    seed : int

    Returns
    -------
    x : (B, p)
    c : (B, edges)
    """
    rows, columns = _grid(grid)
    rng = _begin(size, features, degree, noise, seed)
    edges = (rows - 1) * columns + (columns - 1) * rows
    weights = rng.binomial(1, 0.5, (edges, features))
    x = rng.normal(0, 1, (size, features))
    c = ((x @ weights.T / np.sqrt(features) + 3) ** degree + 1) / 3.5**degree
    c *= rng.uniform(1 - noise, 1 + noise, (size, edges))
    return x, c.astype(np.float32)


def knapsack(  # noqa: PLR0913
    size: int,
    features: int,
    items: int,
    dimensions: int = 1,
    *,
    degree: int = 1,
    noise: float = 0.0,
    seed: int = 135,
) -> tuple[Floats, Floats, Costs]:
    """Values of items, whole numbers, whose weights are the same in all instances.

    c = ceil(5 ((s + 3)^degree + 1) / 3.5^degree U(1 - noise, 1 + noise)); weights from 3 to 7.99.

    Parameters
    ----------
    size, features, items, dimensions : int
    degree, noise, seed
        See ``shortest_path``.

    Returns
    -------
    weights : (dimensions, items)
    x : (B, p)
    c : (B, items)
    """
    whole("items", items)
    whole("dimensions", dimensions)
    rng = _begin(size, features, degree, noise, seed)
    weights = rng.choice(range(300, 800), size=(dimensions, items)) / 100
    of = rng.binomial(1, 0.5, (items, features))
    x = rng.normal(0, 1, (size, features))
    c = (x @ of.T / np.sqrt(features) + 3) ** degree + 1
    c *= 5
    c /= 3.5**degree
    c *= rng.uniform(1 - noise, 1 + noise, (size, items))
    return weights, x, np.ceil(c).astype(np.float32)


def tsp(
    size: int,
    features: int,
    cities: int,
    *,
    degree: int = 1,
    noise: float = 0.0,
    seed: int = 135,
) -> tuple[Floats, Costs]:
    """Costs of the edges between cities: their distance, and a part that depends on features.

    Parameters
    ----------
    size, features, cities : int
    degree, noise, seed
        See ``shortest_path``.

    Returns
    -------
    x : (B, p)
    c : (B, cities (cities - 1) / 2)
        In the order of ``itertools.combinations``, to four decimals.
    """
    whole("cities", cities, least=2)
    rng = _begin(size, features, degree, noise, seed)
    edges = cities * (cities - 1) // 2
    spread = rng.uniform(-2, 2, (cities // 2, 2))
    places = np.concatenate([spread, rng.normal(0, 1, (cities - cities // 2, 2))])
    weights = rng.binomial(1, 0.5, (edges, features)) * rng.uniform(-2, 2, (edges, features))
    x = rng.normal(0, 1, (size, features))
    own = (x @ weights.T / np.sqrt(features) + 3) ** degree / 3 ** (degree - 1)
    away = places[:, None] - places
    distance = np.sqrt((away**2).sum(axis=2))[np.triu_indices(cities, 1)]
    c: Floats = distance + own * rng.uniform(1 - noise, 1 + noise, (size, edges))
    return x, np.around(c, decimals=4).astype(np.float32)


def portfolio(
    size: int,
    features: int,
    assets: int,
    *,
    degree: int = 1,
    noise: float = 1.0,
    seed: int = 135,
) -> tuple[Floats, Floats, Costs]:
    """Mean returns of assets in a factor model, and their covariance.

    Parameters
    ----------
    size, features, assets : int
    degree : int
    noise : float
        Scale of factor loadings and residuals, >= 0.
    seed : int

    Returns
    -------
    covariance : (assets, assets)
    x : (B, p)
    returns : (B, assets)
    """
    whole("assets", assets)
    rng = _begin(size, features, degree, noise, seed)
    weights = rng.binomial(1, 0.5, (assets, features))
    loading = rng.uniform(-2.5e-3 * noise, 2.5e-3 * noise, (assets, features))
    x = rng.normal(0, 1, (size, features))
    returns = (0.05 * (x @ weights.T) / np.sqrt(features) + 0.1 ** (1 / degree)) ** degree
    drawn = rng.randn(size, features + assets)
    returns += drawn[:, :features] @ loading.T + 0.01 * noise * drawn[:, features:]
    covariance = loading @ loading.T + (1e-2 * noise) ** 2 * np.eye(assets)
    return covariance, x, returns.astype(np.float32)


def _begin(size: Any, features: Any, degree: Any, noise: Any, seed: Any) -> np.random.RandomState:
    whole("size", size, least=0)
    whole("features", features)
    whole("degree", degree)
    number("noise", noise)
    if seed is not None:
        whole("seed", seed, least=0, most=2**32 - 1)
    return np.random.RandomState(seed)


def _grid(grid: Any) -> tuple[int, int]:
    try:
        rows, columns = grid
    except (TypeError, ValueError):
        raise ValueError(f"grid must be a pair of numbers of nodes, got {grid!r}") from None
    for side in (rows, columns):
        whole("grid", side)
    return rows, columns
