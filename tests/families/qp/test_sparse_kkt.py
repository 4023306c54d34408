"""K of a sparse QP and its factor, against dense matrices."""

import numpy as np
import pytest

from lpgd.families.qp.sparse_kkt import Active, Element, System
from lpgd.testing import Shape, plant


def element(seed):
    shape = Shape(8, 2, 6, ("lb", "ub"), quadratic=True, sparse=True)
    case = plant(shape, np.random.default_rng(seed))
    return Element.of(case.problem, case.params, 0)


@pytest.mark.parametrize("rho", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(5))
def test_k_is_made_of_free_variables_and_held_rows(seed, rho):
    one, rng = element(seed), np.random.default_rng(seed)
    flags = [rng.random(size) < 0.3 for size in (len(one.r), len(one.q), len(one.q))]
    flags[0][: one.equalities] = True
    system = System(one, Active(*flags), rho)
    free, rows = ~(flags[1] | flags[2]), flags[0]
    H = one.P.toarray()[np.ix_(free, free)] + rho * np.eye(free.sum())
    B = one.C.toarray()[np.ix_(rows, free)]
    K = np.block([[H, B.T], [B, np.zeros((len(B), len(B)))]])
    np.testing.assert_array_equal(system.K.toarray(), K)
    top, bottom = rng.normal(size=free.sum()), rng.normal(size=len(B))
    if np.linalg.matrix_rank(K) == len(K):
        a, v, error = system.solve(top, bottom)
        expected = np.linalg.solve(K, np.concatenate([top, bottom]))
        np.testing.assert_allclose(np.concatenate([a, v]), expected, rtol=1e-9, atol=1e-11)
        assert error < 1e-12


def test_nothing_is_free_and_nothing_held():
    one = element(0)
    every, none = np.ones(len(one.q), dtype=bool), np.zeros(len(one.q), dtype=bool)
    system = System(one, Active(np.zeros(len(one.r), dtype=bool), every, none))
    assert system.K.shape == (0, 0)
    assert system.factor is None
