import numpy as np
import torch

from lpgd.experiments.shortest_path.experiment import SHORTEST_PATH, ShortestPathConfig
from lpgd.experiments.shortest_path.figures import ends
from lpgd.generators import shortest_path


def test_costs_are_the_generators_in_units_of_their_mean():
    config = ShortestPathConfig(grid=3, train_size=30, test_size=10, data_seed=5)
    split = SHORTEST_PATH.split(config)
    inputs, costs = shortest_path(40, 5, (3, 3), degree=4, noise=0.5, seed=5)
    assert (len(split.train), len(split.test)) == (30, 10)
    assert np.allclose(split.test.inputs.numpy(), inputs[30:], atol=1e-6)
    assert np.allclose(split.train.costs.numpy() * costs[:30].mean(), costs[:30], rtol=1e-5)
    assert (
        split.train.costs.mean().item() == np.float32(1)
        or abs(split.train.costs.mean().item() - 1) < 1e-5
    )


def test_best_paths_lead_from_corner_to_corner():
    split = SHORTEST_PATH.split(ShortestPathConfig(grid=4, train_size=5, test_size=5))
    assert split.test.regrets(split.test.best.double().numpy()) == (0.0, 1.0)
    lines = ends(4)
    assert len(lines) == split.train.costs.shape[1]
    for path in split.train.best.numpy():
        used = [line for line, edge in zip(lines, path, strict=True) if edge]
        at = (0, 0)
        for start, end in sorted(used, key=lambda line: sum(line[0])):
            assert start == at
            at = end
        assert at == (3, 3)


def test_a_seed_decides_the_first_weights_and_leaves_torchs_own_alone():
    before = torch.random.get_rng_state()
    models = [
        SHORTEST_PATH.task(ShortestPathConfig(grid=2, train_size=4, test_size=4, seed=seed)).model
        for seed in (0, 0, 1)
    ]
    weights = [model.predictor.weight for model in models]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(torch.random.get_rng_state(), before)
