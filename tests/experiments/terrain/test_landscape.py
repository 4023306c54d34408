import numpy as np

from lpgd.experiments.terrain.landscape import MEADOW, TILE, WATER, landscapes


def test_images_and_costs_of_tiles():
    images, costs = landscapes(3, 5, seed=1)
    assert (images.shape, images.dtype) == ((3, 5 * TILE, 5 * TILE, 3), np.uint8)
    assert costs.shape == (3, 5, 5)
    assert costs.min() >= MEADOW.cost
    assert costs.max() <= WATER.cost
    assert len(np.unique(costs)) > 20
    again, _ = landscapes(3, 5, seed=1)
    other, _ = landscapes(3, 5, seed=2)
    assert np.array_equal(images, again)
    assert not np.array_equal(images, other)


def test_colours_tell_of_costs():
    images, costs = landscapes(40, 6, seed=0)
    tiles = images.reshape(40, 6, TILE, 6, TILE, 3).mean(axis=(2, 4)).reshape(-1, 3)
    design = np.column_stack([tiles, np.ones(len(tiles))])
    weights = np.linalg.lstsq(design, costs.ravel(), rcond=None)[0]
    rest = costs.ravel() - design @ weights
    assert 0.1 < rest.var() / costs.var() < 0.9  # some of it, but no linear function all of it
