"""A layer remembers what the structure of its arguments says, and nothing of their values."""

import copy
import pickle

import numpy as np
import pytest
import torch
from scipy import sparse

import lpgd
from lpgd.torch import ConicLayer, LPLayer, QPLayer, Sparse


def eye(n, dtype=torch.float64):
    return torch.eye(n, dtype=dtype)


def test_a_structure_is_looked_at_once():
    layer = QPLayer(lpgd.LPGD(0.1))
    for scale in (1.0, 2.0):
        assert torch.equal(layer(eye(2), scale * eye(2)[0]), -scale * eye(2)[0])
    assert len(layer._known) == 1
    layer(eye(2), torch.nn.Parameter(eye(2)))
    assert len(layer._known) == 2


def test_dtypes_devices_and_names_are_structure():
    layer = QPLayer(lpgd.LPGD(0.1))
    assert layer(eye(2), eye(2)[0]).dtype == torch.float64
    assert layer(eye(2).float(), eye(2)[0].float()).dtype == torch.float32
    with pytest.raises(lpgd.StructureError, match="q is on the meta device"):
        layer(eye(2), eye(2)[0].to("meta"))
    low = layer(eye(2), eye(2)[0], lb=torch.zeros(2, dtype=torch.float64))
    high = layer(eye(2), -eye(2)[0], ub=torch.zeros(2, dtype=torch.float64))
    assert torch.equal(low, high)


def test_what_is_wrong_stays_wrong():
    layer = QPLayer(lpgd.LPGD(0.1))
    layer(eye(2), eye(2)[0])
    for _ in range(2):
        with pytest.raises(lpgd.StructureError, match="P must have shape"):
            layer(torch.ones(2, 3, dtype=torch.float64), eye(2)[0])


def test_patterns_are_told_apart():
    layer = LPLayer(lpgd.LPGD(0.1))
    c, h, one = -eye(2).sum(0), eye(2)[0] + 1, torch.ones(2, dtype=torch.float64)
    straight = sparse.csr_matrix(np.eye(2))
    crossed = sparse.csr_matrix(np.eye(2)[::-1])
    for pattern, x in ((straight, [2, 1]), (crossed, [1, 2]), (straight, [2, 1])):
        assert layer(c, Sparse(pattern, one), h).tolist() == x
    A = torch.tensor([[1.0, 0], [0, 0]], dtype=torch.float64).to_sparse()
    B = torch.tensor([[0, 0], [0, 1.0]], dtype=torch.float64).to_sparse()
    for matrix, x in ((A, [2, 5]), (B, [5, 1])):
        assert layer(c, matrix, h, ub=5 * one).tolist() == x


def test_ever_new_structures_do_not_pile_up():
    layer = LPLayer(lpgd.LPGD(0.1))
    for n in range(1, 101):
        layer(torch.ones(n), lb=torch.zeros(n))
    assert len(layer._known) == 64


@pytest.mark.parametrize("way", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies_start_without(way):
    cones = lpgd.Cones(nonneg=2)
    layer = ConicLayer(cones, lpgd.LPGD(0.1))
    data = eye(2), eye(2)[0], eye(2), eye(2)[1]
    x = layer(*data)
    twin = way(layer)
    assert not twin._known
    assert torch.equal(twin(*data), x)
    assert (layer.stats.solves, twin.stats.solves) == (1, 2)
