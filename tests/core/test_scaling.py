"""Factors are powers of two, and only for sizes far from one."""

import numpy as np
import pytest

from lpgd.core.scaling import factors, fair, least, lengths, top


def test_fair_sizes_and_zero_are_left_alone():
    sizes = np.array([0.0, 1 / 64, 1.0, 64.0])
    assert fair(sizes).all()
    np.testing.assert_array_equal(factors(sizes), 1)


def test_unfair_sizes_come_near_one_without_rounding():
    sizes = np.array([1e-12, 3e-4, 65.0, 1e9])
    for step in (1, 2):
        found = factors(sizes, step=step)
        mantissa, exponent = np.frexp(found)
        assert (mantissa == 0.5).all()
        assert ((exponent - 1) % step == 0).all()
        assert ((sizes * found > 1 / 2.1) & (sizes * found < 2.1)).all()


def test_factors_are_finite_for_every_size():
    sizes = np.array([5e-324, 1e-310, 1e-308, 1e308, np.inf, np.nan, 0.0])
    found = factors(sizes)
    assert np.isfinite(found).all()
    assert (found > 0).all()


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (1, 7), (40, 5), (5, 40)])
def test_the_largest_of_each_row(shape):
    values = np.random.default_rng(0).normal(size=shape)
    for part in (values, np.asfortranarray(values), np.broadcast_to(values[:1], shape)):
        np.testing.assert_array_equal(top(part), np.abs(part).max(axis=1, initial=0.0))


@pytest.mark.parametrize("shape", [(3, 4), (0, 4), (3, 0)])
def test_the_least_of_each_row(shape):
    values = np.random.default_rng(0).normal(size=shape)
    np.testing.assert_array_equal(least(values), values.min(axis=1, initial=np.inf))


def test_rows_have_lengths_at_any_size():
    rows = np.array([[[3.0, -4.0], [3e-200, 4e-200], [3e200, 4e200], [0.0, 0.0]]])
    np.testing.assert_allclose(lengths(rows), [[5.0, 5e-200, 5e200, 0.0]], rtol=1e-15)
