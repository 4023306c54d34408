"""Entries next to the least that float64 holds, beside others and among themselves."""

import numpy as np
import pytest
import torch

import lpgd
from lpgd.core.params import batched
from lpgd.core.pattern import Pattern
from lpgd.families.quadratic.specks import without
from lpgd.torch import QPLayer

SPECK = 1e-310
MIXED = np.array([[[1.0, SPECK], [-2e-305, -3.0]]])
ROWS = np.array([[[1.0, 2.0], [SPECK, SPECK]]])
COLUMNS = np.array([[[1.0, SPECK], [2.0, SPECK]]])


def places(matrix):
    return Pattern(*np.nonzero(matrix), matrix.shape)


def test_beside_large_entries_they_are_zero():
    given = batched(MIXED.copy())
    np.testing.assert_array_equal(without(given, None).values, [[[1.0, 0.0], [0.0, -3.0]]])
    np.testing.assert_array_equal(given.values, MIXED)  # the caller's own


@pytest.mark.parametrize("values", [ROWS, COLUMNS, SPECK * MIXED, 1e-140 * np.sign(MIXED)])
def test_rows_and_columns_in_other_units_stay(values):
    given = batched(values)
    assert without(given, None) is given or (without(given, None).values == values).all()


@pytest.mark.parametrize("values", [MIXED, ROWS, COLUMNS])
def test_sparse_matrices_like_dense_ones(values):
    pattern = places(values[0])
    stored = values[:, pattern.rows, pattern.cols]
    found = without(batched(stored), pattern).values
    np.testing.assert_array_equal(pattern.dense(found), without(batched(values), None).values)


def test_elements_are_judged_alone():
    both = np.concatenate([MIXED, ROWS])
    found = without(batched(both), None).values
    for row, value in zip(found, (MIXED, ROWS), strict=True):
        np.testing.assert_array_equal(row, without(batched(value), None).values[0])


@pytest.mark.parametrize("speck", [SPECK, -1e-305])
def test_solutions_and_gradients_are_those_without_them(speck):
    def solved(least):
        data = {
            "P": np.array([[2.0, least], [least, 1.0]]), "q": np.array([-1.0, -2.0]),
            "G": np.array([[1.0, least], [least, 1.0]]), "h": np.array([0.2, 0.7]),
            "A": np.zeros((0, 2)), "b": np.zeros(0),
        }  # fmt: skip
        leaves = {k: torch.tensor(v, requires_grad=True) for k, v in data.items()}
        x = QPLayer(lpgd.Exact())(**leaves)
        (x @ torch.tensor([1.0, -3.0], dtype=torch.float64)).backward()
        return [x.detach().numpy(), *(leaves[k].grad.numpy() for k in "PqGh")]

    for found, expected in zip(solved(speck), solved(0.0), strict=True):
        np.testing.assert_array_equal(found, expected)
