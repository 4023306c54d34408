"""The files of the Warcraft benchmark (Pogančić et al., 2020), for users who have them."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lpgd.experiments.runs import ExperimentError, reading

Part = Literal["train", "val", "test"]


def read_part(folder: Path, part: Part, most: int) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Read the first images (N, H, W, 3) and costs (N, h, w) of a part, ``most`` of them.

    They are PART_maps.npy and PART_vertex_weights.npy; the benchmark's paths are not needed.
    """
    images, costs = (_read(folder / f"{part}_{name}.npy") for name in ("maps", "vertex_weights"))
    fits = images.ndim == 4 and images.shape[3] == 3 and costs.ndim == 3
    if not fits or len(images) != len(costs):
        raise ExperimentError(
            f"{folder}: {part} maps of shape {images.shape} and weights of shape {costs.shape} "
            "are not (N, H, W, 3) and (N, h, w)"
        )
    if len(costs) < most:
        raise ExperimentError(f"{folder} holds {len(costs)} {part} maps, fewer than {most}")
    chosen = np.array(costs[:most], dtype=np.float64)
    if not (np.isfinite(chosen) & (chosen >= 0)).all():
        raise ExperimentError(f"{folder}: {part} weights must be finite and >= 0")
    return np.array(images[:most]), chosen


def _read(path: Path) -> NDArray[Any]:
    if not path.exists():
        raise ExperimentError(f"{path} is missing; --data names a folder of the Warcraft benchmark")
    with reading(path):
        return np.load(path, mmap_mode="r", allow_pickle=False)
