"""Batch bookkeeping against plain loops."""

from itertools import product

import numpy as np
import pytest

from lpgd.frontend.batches import groups, owners, params

CASES = [((), (2, 3)), ((3,), (2, 3)), ((2, 1), (2, 3)), ((2, 3), (2, 3)), ((1,), (4,)), ((), ())]
EMPTY = [((), (0,)), ((0,), (0,)), ((1,), (0,)), ((3, 1), (3, 0)), ((), (2, 0))]


def param(values, core, shape):
    return params(("a",), (values,), (core,), shape)["a"]


@pytest.mark.parametrize("batch, shape", CASES + EMPTY)
def test_each_element_uses_the_value_that_broadcasting_gives_it(batch, shape):
    values = np.random.default_rng(0).normal(size=(*batch, 2, 3))
    found = param(values, 2, shape)
    expected = np.broadcast_to(values, (*shape, 2, 3)).reshape(-1, 2, 3)
    np.testing.assert_array_equal(found.values[found.index], expected)
    assert len(found.values) == np.prod(batch, dtype=int)


def test_values_have_one_layout():
    values = np.asfortranarray(np.arange(24.0).reshape(4, 2, 3)[::-1])
    assert param(values, 2, (4,)).values.flags.c_contiguous


def test_opaque_values_are_not_touched():
    graphs = np.array([{"a": 1}, {"b": 2}], dtype=object)
    found = param(graphs[:, None], 0, (2, 3))
    assert found.values.dtype == object
    assert [found.values[i] for i in found.index] == [graphs[0]] * 3 + [graphs[1]] * 3


@pytest.mark.parametrize("several", [1, 2])
@pytest.mark.parametrize("batch, shape", CASES + EMPTY)
def test_gradients_sum_the_rows_of_the_elements_that_use_a_value(batch, shape, several):
    rows = np.random.default_rng(0).normal(size=several * np.prod(shape, dtype=int))
    found = rows[groups(batch, shape, several)].sum(axis=1)
    expected = np.zeros((several, np.prod(batch, dtype=int)))
    owner = owners(batch, shape).ravel()
    for copy, element in product(range(several), range(len(owner))):
        expected[copy, owner[element]] += rows[copy * len(owner) + element]
    np.testing.assert_allclose(found, expected.ravel())
