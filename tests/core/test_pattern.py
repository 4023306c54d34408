import numpy as np
import pytest
from scipy import sparse

from lpgd.core.pattern import Pattern, Totals

PATTERN = Pattern(np.array([0, 0, 2]), np.array([3, 1, 0]), (3, 4))


def test_values_go_to_their_places():
    dense = np.zeros((3, 4))
    dense[0, 3], dense[0, 1], dense[2, 0] = 5, 6, 7
    np.testing.assert_array_equal(PATTERN.matrix(np.array([5.0, 6, 7])).toarray(), dense)


def test_stored_zeros_are_kept():
    assert PATTERN.matrix(np.zeros(3)).nnz == 3


def test_duplicates_are_added_up():
    pattern = Pattern(np.array([0, 2, 0]), np.array([3, 0, 3]), (3, 4))
    dense = np.zeros((3, 4))
    dense[0, 3], dense[2, 0] = 12, 6
    np.testing.assert_array_equal(pattern.matrix(np.array([5.0, 6, 7])).toarray(), dense)


def test_matrices_of_a_pattern_share_no_values_and_no_place_can_be_changed():
    one, two = PATTERN.matrix(np.ones(3)), PATTERN.matrix(np.full(3, 2.0))
    one.data[:] = 7.0
    assert two.sum() == 6.0
    with pytest.raises(ValueError, match="read-only"):
        one.indices[:] = 0
    assert PATTERN.matrix(np.ones(3)).has_sorted_indices


SPARSE = Pattern(np.array([0, 2]), np.array([3, 0]), (3, 4))
WHOLE = Pattern(*np.divmod(np.arange(12), 4), (3, 4))
BACKWARDS = Pattern(WHOLE.rows[::-1], WHOLE.cols[::-1], (3, 4))


@pytest.mark.parametrize("pattern", [SPARSE, PATTERN, WHOLE, BACKWARDS])
@pytest.mark.parametrize("block", [1, 7, 10**6])
def test_outer_products_are_summed_on_the_pattern(pattern, block, monkeypatch):
    monkeypatch.setattr("lpgd.core.pattern.BLOCK", block)
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(6, 5, 3)), rng.normal(size=(6, 5, 4))
    expected = (left.swapaxes(1, 2) @ right)[:, pattern.rows, pattern.cols]
    np.testing.assert_allclose(pattern.outer(left, right), expected, atol=1e-14)


@pytest.mark.parametrize("pattern", [SPARSE, WHOLE])
def test_no_products_sum_to_zero(pattern):
    none = pattern.outer(np.zeros((2, 0, 3)), np.zeros((2, 0, 4)))
    np.testing.assert_array_equal(none, np.zeros((2, len(pattern.rows))))


def test_dense_fills_the_places():
    pattern = Pattern(np.array([0, 1]), np.array([1, 0]), (2, 3))
    full = pattern.dense(np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert full.tolist() == [[[0, 1, 0], [2, 0, 0]], [[0, 3, 0], [4, 0, 0]]]


def test_symmetry_is_that_of_the_places():
    assert Pattern(np.array([0, 1, 1]), np.array([1, 0, 1]), (2, 2)).symmetric
    assert not Pattern(np.array([0]), np.array([1]), (2, 2)).symmetric
    assert not Pattern(np.array([0]), np.array([0]), (2, 3)).symmetric
    assert Pattern.empty(3).symmetric


def test_a_sparse_matrix_has_a_pattern():
    pattern = Pattern.of(sparse.csr_matrix(np.array([[0.0, 3.0], [2.0, 0.0]])))
    assert (pattern.rows.tolist(), pattern.cols.tolist()) == ([0, 1], [1, 0])
    np.testing.assert_array_equal(pattern.ones.toarray(), [[0, 1], [1, 0]])


def test_products_lie_row_by_row():
    x, y = np.ones((5, 4)), np.ones((5, 3))
    assert PATTERN.product(np.ones((5, 3)), x).flags.c_contiguous
    assert PATTERN.transposed_product(np.ones((5, 3)), y).flags.c_contiguous


@pytest.mark.parametrize("count", [0, 1, 7])
def test_totals_of_one_row_are_those_of_many(count):
    draw = np.random.default_rng(0)
    places, values = draw.integers(3, size=count), draw.normal(size=(5, count)) * 10.0**8
    sums = Totals(places, 4)
    found = sums(values)
    assert found.dtype == np.float64
    assert found.flags.c_contiguous
    for row, total in zip(values, found, strict=True):
        np.testing.assert_array_equal(sums(row[None])[0], total)
        expected = [row[places == place].sum() for place in range(4)]
        np.testing.assert_allclose(total, expected)


@pytest.mark.parametrize("least", [0.0, -np.inf])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_tops_are_the_largest_of_each_place(count, least):
    draw = np.random.default_rng(count)
    places, values = draw.integers(3, size=count), draw.normal(size=(5, count))
    found = Totals(places, 4).largest(values, least)
    assert found.shape == (5, 4)
    for row, tops in zip(values, found, strict=True):
        expected = [row[places == place].max(initial=least) for place in range(4)]
        np.testing.assert_array_equal(tops, expected)


def test_entries_in_order_make_the_same_matrix_as_others():
    draw, dense = np.random.default_rng(0), np.zeros((6, 5))
    places = np.sort(draw.choice(30, size=12, replace=False))
    rows, cols = np.divmod(places, 5)
    values = draw.normal(size=12)
    dense[rows, cols] = values
    for order in (np.arange(12), draw.permutation(12)):
        matrix = Pattern(rows[order], cols[order], (6, 5)).matrix(values[order])
        assert matrix.has_canonical_format
        np.testing.assert_array_equal(matrix.toarray(), dense)
