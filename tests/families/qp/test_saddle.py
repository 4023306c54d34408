"""Systems [[H, B'], [B, 0]] in units that make regular ones look singular."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from lpgd.families.qp.saddle import Saddle
from lpgd.torch import LPLayer, Sparse

H = np.array([[2.0, 0.3, 0.0], [0.3, 1.0, 0.0], [0.0, 0.0, 0.0]])
B = np.array([[-1.0, 0.0, 3.0], [0.0, -1.0, 2.0]])


@pytest.mark.parametrize("power", [0, 40, -40, 330, -330, 530])
@pytest.mark.parametrize("speck", [0.0, 1e-310])
def test_units_of_a_variable_make_nothing_singular(power, speck):
    """As that of the coefficients of a regression is beside residuals of size 1."""
    unit = np.ldexp(1.0, [0, 0, power])
    K = np.block([[H, B.T], [B, np.zeros((2, 2))]])
    a, v = np.split(np.linalg.solve(K, [1.0, -2.0, 0.5, 0.7, -0.1]), [3])
    f, g = np.array([1.0, -2.0, 0.5]) * unit, np.array([0.7, -0.1])
    system = Saddle.of(H * unit[:, None] * unit + speck * (H == 0), B * unit)
    found, multiplier, off = system.solve(f, g)
    assert system.null is None
    assert off == 0.0
    np.testing.assert_allclose(found * unit, a, rtol=1e-10)
    np.testing.assert_allclose(multiplier, v, rtol=1e-10)


def test_a_sparse_lp_that_only_its_bounds_hold():
    given = ([1.0, -1.0], [1.0] * 3, [7.0, 9.0], [-3.0, -3.0], [3.0, 3.0])
    q, values, h, lb, ub = (torch.tensor(v, dtype=torch.float64).requires_grad_() for v in given)
    G = Sparse(csr_array([[1.0, 0.0], [1.0, 1.0]]), values)
    x = LPLayer()(q, G, h, lb=lb, ub=ub)
    x[0].backward()
    assert x.tolist() == [-3, 3]
    assert lb.grad.tolist() == [1, 0]
    assert not h.grad.any()
    assert not values.grad.any()
