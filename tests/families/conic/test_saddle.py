"""Sparse saddle systems against dense ones."""

import numpy as np
import pytest
from scipy import sparse

from lpgd.families.conic.saddle import solved


def system(seed, spread):
    """A singular saddle: a variable in nothing, a row twice, sizes that differ by ``spread``."""
    rng = np.random.default_rng(seed)
    sizes = 10.0 ** -rng.uniform(0, spread, 30)
    H = np.diag(np.where(np.arange(30) < 5, sizes, 0.0))
    B = rng.normal(size=(20, 30)) * (rng.random((20, 30)) < 0.2) * sizes
    B[:, -1], B[1] = 0.0, B[0]
    spare = np.where(np.arange(20) < 15, 0.0, rng.uniform(0, 1, 20))
    K = np.block([[H, B.T], [B, -np.diag(spare)]])
    return H, B, spare, K, rng


@pytest.mark.parametrize("spread", [0, 4])
def test_singular_systems_get_the_solution_of_minimum_norm(spread):
    for seed in range(5):
        H, B, spare, K, rng = system(seed, spread)
        rhs = K @ rng.normal(size=50)
        a, w, sound = solved(
            sparse.csr_matrix(H), sparse.csr_matrix(B), spare, (rhs[:30], rhs[30:])
        )
        both = np.concatenate([a, w])
        assert not sound
        assert np.abs(K @ both - rhs).max() < 1e-9 * np.abs(rhs).max()
        assert abs(a[-1]) < 1e-9  # nothing moves what nothing holds
        assert abs(w[0] - w[1]) < 1e-6 * np.abs(w).max()  # twins share


def test_systems_without_a_solution_get_least_squares():
    H, B, spare, K, rng = system(0, 0)
    rhs = rng.normal(size=50)
    a, w, sound = solved(sparse.csr_matrix(H), sparse.csr_matrix(B), spare, (rhs[:30], rhs[30:]))
    assert not sound
    np.testing.assert_allclose(np.concatenate([a, w]), np.linalg.lstsq(K, rhs)[0], atol=1e-6)
