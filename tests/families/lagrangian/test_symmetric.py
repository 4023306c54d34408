"""Large sparse systems: the solutions and the inertia of the dense ones, or none."""

import numpy as np
import pytest

from lpgd.families.lagrangian import symmetric
from lpgd.families.lagrangian.model import Curvature
from lpgd.families.lagrangian.symmetric import Symmetric
from lpgd.families.lagrangian.system import ROUGH, System

N, M = 450, 150


def curved(seed, least=1.0):
    """Second derivatives of a program with sparse rows; ``least`` is the curvature of x_0."""
    rng = np.random.default_rng(seed)
    xx = np.diag(rng.uniform(1.0, 2.0, N))
    off = 0.3 * rng.normal(size=N - 1)
    xx += np.diag(off, 1) + np.diag(off, -1)
    xx[0], xx[:, 0], xx[0, 0] = 0.0, 0.0, least
    yx = np.zeros((M, N))
    for row in range(M):
        yx[row, 1 + rng.choice(N - 1, 3, replace=False)] = rng.normal(size=3)
        yx[row, 1 + row] += 3.0
    return Curvature(xx, yx, np.zeros((M, M)))


@pytest.mark.parametrize("seed", range(4))
def test_solutions_and_inertia_are_those_of_the_dense_matrix(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    f, g, held = rng.normal(size=N), rng.normal(size=M), np.ones(M, dtype=bool)
    for least, sound in ((1.0, True), (-1.0, False)):
        at = curved(seed, least)
        large = System.of(at, held, 0.0)
        assert large.sparse is not None
        assert (large.sound, large.regular) == (sound, True)
        found = large.solve(f, g)
        with monkeypatch.context() as patch:
            patch.setattr(symmetric, "LARGE", 10**6)
            dense = System.of(at, held, 0.0)
            assert dense.sparse is None
            assert large.sparse.rising == (dense.spectrum > 0).sum()
            assert dense.sound == sound
            want = dense.solve(f, g)
        for ours, theirs in zip(found, want, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-11 * np.abs(theirs).max())


@pytest.mark.parametrize("gap", [0.0, 1e-12])
def test_a_matrix_that_is_nearly_singular_is_left_to_the_dense_way(gap):
    at = curved(0)
    at.xx[:2] = at.xx[:, :2] = 0.0
    at.xx[:2, :2] = [[1.0, 1.0], [1.0, 1.0 + gap]]
    system = System.of(at, np.zeros(M, dtype=bool), 0.0)
    assert system.K.shape == (N, N)
    assert (system.sparse, system.sound) == (None, False)
    proximal = System.of(at, np.zeros(M, dtype=bool), 1.0)
    assert proximal.sparse is not None
    assert proximal.sound


def test_dependent_rows_are_left_to_the_dense_way():
    at = curved(1)
    at.yx[1] = at.yx[0]
    system = System.of(at, np.ones(M, dtype=bool), 0.0)
    assert system.sparse is None
    assert system.dependent


def test_small_and_dense_matrices_have_no_sparse_factors():
    rng = np.random.default_rng(0)
    assert Symmetric.of(np.eye(symmetric.LARGE - 1), 10, ROUGH) is None
    full = rng.normal(size=(symmetric.LARGE, symmetric.LARGE))
    assert Symmetric.of(full + full.T, symmetric.LARGE, ROUGH) is None
