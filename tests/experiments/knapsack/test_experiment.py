import itertools

import numpy as np
import pytest
import torch

from lpgd.experiments.knapsack.experiment import KNAPSACK, KnapsackConfig, normals
from lpgd.generators import knapsack
from lpgd.torch.losses import CaVE

TINY = {"train_size": 12, "test_size": 6, "items": 6, "dimensions": 1, "batch": 4}


def test_best_choices_are_worth_the_most():
    split = KNAPSACK.split(KnapsackConfig(**TINY, data_seed=3))
    weights, _, values = knapsack(18, 5, 6, 1, degree=4, noise=0.5, seed=3)
    choices = np.array(list(itertools.product((0, 1), repeat=6)))
    fits = choices[choices @ weights[0] <= 0.3 * weights.sum()]
    unit = values[:12].mean()
    for value, best in zip(values[:12], split.train.best.double().numpy(), strict=True):
        assert value @ best == pytest.approx((fits @ value).max())
    assert np.allclose(-split.train.costs.numpy() * unit, values[:12], rtol=1e-5)


def test_normals_are_those_of_the_constraints_that_bind():
    weights, best = np.array([[2.0, 3.0]]), np.array([[1.0, 0.0], [1.0, 1.0]])
    found = normals(best, weights, np.array([5.0]))
    assert found[0].tolist() == [[1, 0], [0, -1], [0, 0]]
    assert found[1].tolist() == [[1, 0], [0, 1], [2, 3]]


def test_cave_is_trained_without_a_solve_and_reaches_zero_in_the_cone():
    config = KnapsackConfig(**TINY, rule="cave", lr=0.1)
    task = KNAPSACK.task(config)
    cases = task.split.train[np.arange(4)]
    first = task.loss(np.arange(4))
    first.backward()
    assert first > 0
    assert task.model.solved == 0
    inside = -(2 * cases.best - 1)  # costs that make each item as good or bad as it is
    assert CaVE()(inside, cases.normals).item() == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(task.model.predictor.weight.grad).all()
