import networkx as nx
import numpy as np
import pytest
import torch

from lpgd.experiments.runs import ExperimentError
from lpgd.experiments.terrain.experiment import TERRAIN, TerrainConfig
from lpgd.experiments.terrain.figures import in_order
from lpgd.experiments.terrain.files import read_part
from lpgd.experiments.terrain.network import CostReader
from lpgd.experiments.terrain.paths import grid_of

TINY = {"train_size": 6, "test_size": 4, "tiles": 5, "channels": 2}


def cheapest(costs):
    """Cost of the cheapest path over vertices with eight neighbours."""
    rows, columns = costs.shape
    graph = nx.DiGraph()
    for row, column in np.ndindex(rows, columns):
        for r in range(max(row - 1, 0), min(row + 2, rows)):
            for c in range(max(column - 1, 0), min(column + 2, columns)):
                if (r, c) != (row, column):
                    graph.add_edge((row, column), (r, c), weight=costs[r, c])
    end = (rows - 1, columns - 1)
    return costs[0, 0] + nx.dijkstra_path_length(graph, (0, 0), end)


def test_paths_are_the_cheapest():
    split = TERRAIN.split(TerrainConfig(**TINY))
    assert grid_of(split) == (5, 5)
    for costs, best in zip(split.train.costs.double(), split.train.best.double(), strict=True):
        assert (costs * best).sum().item() == pytest.approx(cheapest(costs.numpy().reshape(5, 5)))
        line = in_order(best.numpy().reshape(5, 5))
        assert len(line) == best.sum()
        assert np.abs(np.diff(line, axis=0)).max() == 1
        assert (line[0].tolist(), line[-1].tolist()) == ([0, 0], [4, 4])


def test_costs_read_from_images_are_not_negative():
    costs = CostReader((5, 5), 2)(torch.zeros(3, 40, 40, 3, dtype=torch.uint8))
    assert costs.shape == (3, 25)
    assert (costs >= 0).all()


def write(folder, part, images, costs):
    np.save(folder / f"{part}_maps.npy", images)
    np.save(folder / f"{part}_vertex_weights.npy", costs)


def test_files_of_the_benchmark(tmp_path):
    rng = np.random.default_rng(0)
    for part, size in (("train", 8), ("val", 5), ("test", 4)):
        images = rng.integers(0, 256, (size, 16, 16, 3), dtype=np.uint8)
        write(tmp_path, part, images, rng.uniform(0.8, 9.2, (size, 2, 2)).astype(np.float16))
    config = TerrainConfig(**TINY, data=str(tmp_path))
    split = TERRAIN.split(config)
    images, costs = read_part(tmp_path, "test", 4)
    assert np.array_equal(split.test.inputs.numpy(), images)
    unit = read_part(tmp_path, "train", 6)[1].mean()
    assert np.allclose(split.test.costs.numpy() * unit, costs.reshape(4, 4), rtol=1e-5)
    tuning = TERRAIN.split(TerrainConfig(**TINY, data=str(tmp_path), tuning=True))
    assert np.array_equal(tuning.test.inputs.numpy(), read_part(tmp_path, "val", 4)[0])
    assert torch.isfinite(TERRAIN.task(config).loss(np.arange(3)))


def test_files_that_are_not_the_benchmarks_are_refused(tmp_path):
    with pytest.raises(ExperimentError, match=r"train_maps\.npy is missing"):
        read_part(tmp_path, "train", 1)
    write(tmp_path, "train", np.zeros((3, 16, 16)), np.zeros((3, 2, 2)))
    with pytest.raises(ExperimentError, match="are not"):
        read_part(tmp_path, "train", 1)
    write(tmp_path, "train", np.zeros((3, 16, 16, 3)), np.full((3, 2, 2), -1.0))
    with pytest.raises(ExperimentError, match="finite and >= 0"):
        read_part(tmp_path, "train", 1)
    with pytest.raises(ExperimentError, match="holds 3 train maps, fewer than 4"):
        read_part(tmp_path, "train", 4)
    (tmp_path / "train_maps.npy").write_bytes(b"nothing")
    with pytest.raises(ExperimentError, match="is damaged"):
        read_part(tmp_path, "train", 1)
