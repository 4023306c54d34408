"""Powers of two that bring sizes near 1, so that tolerances mean the same in all units."""

import numpy as np

from lpgd.core.solution import BoolArray, FloatArray

FAIR = 64.0  # sizes between 1/64 and 64 are left alone, and so is zero


def fair(sizes: FloatArray) -> BoolArray:
    """Which sizes need no factor."""
    return (sizes == 0) | ((sizes >= 1 / FAIR) & (sizes <= FAIR))


def factors(sizes: FloatArray, step: int = 1) -> FloatArray:
    """Powers of 2^step that bring unfair sizes near 1; 1 for fair ones. Nothing is rounded."""
    unfair = ~fair(sizes)
    return np.exp2(-step * np.round(np.log2(np.where(unfair, sizes, 1.0)) / step))
