"""Images of generated terrain, and what it costs to cross each of their tiles."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

TILE = 8  # pixels each way, as in the Warcraft benchmark
_SMOOTH = 10.0  # pixels over which height and wetness change


class Ground(NamedTuple):
    """A kind of ground: its colour, and what a tile of it costs."""

    colour: tuple[int, int, int]
    cost: float


WATER = Ground((64, 105, 150), 9.0)
SAND = Ground((214, 190, 130), 2.0)
MEADOW = Ground((125, 165, 85), 1.0)
FOREST = Ground((60, 110, 60), 3.0)
ROCK = Ground((130, 125, 120), 6.0)
_GROUNDS = (WATER, SAND, MEADOW, FOREST, ROCK)
_TINT, _GRAIN = 12.0, 14.0  # standard deviations of colours: of a whole image, of each pixel


def landscapes(count: int, side: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Draw images (N, 8 side, 8 side, 3) and the costs of their tiles (N, side, side).

    Height and wetness are smooth random fields; they decide the ground of each pixel. A tile costs
    the mean of its pixels. Light from the north-west, a tint of each image and grain hide some of
    the ground.
    """
    rng = np.random.default_rng(seed)
    size = side * TILE
    height, wetness = (_field(rng, count, size) for _ in range(2))
    kind = np.select(
        [height < -0.9, height < -0.6, height > 1.0, wetness > 0.3], [0, 1, 4, 3], default=2
    )
    costs = np.array([ground.cost for ground in _GROUNDS])[kind]
    tiles = costs.reshape(count, side, TILE, side, TILE).mean(axis=(2, 4))
    light = 120 * (np.gradient(height, axis=1) + np.gradient(height, axis=2))
    pixels = np.array([ground.colour for ground in _GROUNDS], dtype=np.float64)[kind]
    pixels += light[..., None] + rng.normal(0, _TINT, (count, 1, 1, 3))
    pixels += rng.normal(0, _GRAIN, (count, size, size, 1))
    return pixels.clip(0, 255).astype(np.uint8), tiles


def _field(rng: np.random.Generator, count: int, size: int) -> NDArray[np.float64]:
    """Draw smooth fields of mean 0 and variance 1, (N, size, size)."""
    smooth = np.array([
        gaussian_filter(rng.normal(size=(size, size)), _SMOOTH, mode="wrap") for _ in range(count)
    ])  # fmt: skip
    return smooth / smooth.std()
