"""Shortest paths on the tiles of a map."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lpgd.experiments.decisions.cases import Split
from lpgd.oracles import GridPath


class FlatPath:
    """Shortest paths from the top left to the bottom right, tiles in a row: (B, tiles) to as many.

    A tile has eight neighbours; a path pays for all its tiles.
    """

    def __init__(self, shape: tuple[int, int], negative: Literal["clip", "flow"]) -> None:
        self._path = GridPath(shape, 8, negative=negative)
        self.shape = shape
        # What is clipped need not agree with the tilt: another problem is solved then.
        self.gap = math.inf if negative == "clip" else 0.0

    def __call__(self, costs: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._path(costs.reshape(-1, *self.shape)).reshape(costs.shape)


def grid_of(split: Split) -> tuple[int, int]:
    """Return rows and columns of the tiles."""
    assert isinstance(split.oracle, FlatPath)
    return split.oracle.shape
