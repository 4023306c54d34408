"""Which rows of a solved program count as active."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from lpgd.core.params import batched
from lpgd.families.qp.active import ACTIVE, Active
from lpgd.testing import Shape, plant
from lpgd.torch import LPLayer, QPLayer, Sparse

SHAPE = Shape(6, 2, 7, ("lb", "ub"), quadratic=True, batch=4)


@pytest.mark.parametrize("seed", range(5))
def test_dense_rows_are_those_that_every_row_by_its_own_terms_gives(seed):
    rng = np.random.default_rng(seed)
    case = plant(SHAPE, rng)
    G, h, x, y = (
        case.params["G"].full(),
        case.params["h"].full(),
        case.solution.x,
        case.solution.y,
    )
    unit = np.exp2(rng.integers(-40, 40, size=(4, 7)))  # neighbours in units far apart
    params = {**case.params, "G": batched(G * unit[..., None]), "h": batched(h * unit)}
    rows = case.problem.blocks["G"]
    y = y.copy()
    y[:, rows] /= unit
    active = Active.of(case.problem, params, replace(case.solution, y=y))
    terms = np.maximum(np.abs(h), np.einsum("bij,bj->bi", np.abs(G), np.abs(x))) * unit
    tight = (h - np.einsum("bij,bj->bi", G, x)) * unit <= ACTIVE * terms
    loaded = y[:, rows] > 0
    np.testing.assert_array_equal(active.held[:, rows], tight | loaded)
    np.testing.assert_array_equal(active.weak[:, rows], tight & ~loaded)


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("linear", [False, True])
def test_a_row_without_a_right_hand_side_is_no_kink(sparse, linear):
    G, h = [[1.0, 0.0], [1.0, 1.0]], tensor([np.inf, 5.0])
    matrix = Sparse(csr_array(G), tensor([1.0, 1.0, 1.0])) if sparse else tensor(G)
    q, one = tensor([1.0, -1.0]).requires_grad_(), torch.ones(2).double()
    layer = LPLayer() if linear else QPLayer()
    data = (q,) if linear else (torch.eye(2).double(), q)
    layer(*data, matrix, h, lb=-3 * one, ub=3 * one)[:1].sum().backward()
    assert layer.stats.unverified == 0
    if not linear:  # of an LP the vertex is degenerate for the costs, rightly
        assert (layer.stats.degenerate, layer.stats.re_solves) == (0, 0)
