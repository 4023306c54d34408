"""The optimality conditions to first order: systems of no rows or columns."""

import torch
from scipy.sparse import csr_array

from lpgd.torch import LPLayer, Sparse


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
