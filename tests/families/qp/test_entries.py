"""Parts of sparse matrices against those of dense ones."""

import numpy as np
import pytest
from scipy import sparse

from lpgd.families.qp.entries import placed, restricted


@pytest.mark.parametrize("density", [0.0, 0.3, 1.0])
def test_some_rows_and_columns(density):
    draw = np.random.default_rng(0)
    matrix = sparse.random(7, 9, density, format="csr", random_state=draw)
    for rows, columns in (([1, 2, 6], [0, 3, 8]), ([], [2]), ([4], []), (range(7), range(9))):
        rows, columns = np.array(rows, dtype=int), np.array(columns, dtype=int)
        found = restricted(matrix, rows, columns)
        assert found.has_sorted_indices
        np.testing.assert_array_equal(found.toarray(), matrix.toarray()[np.ix_(rows, columns)])


def test_entries_move_where_their_rows_and_columns_go():
    matrix = sparse.csr_matrix(np.array([[1.0, 2.0], [3.0, 4.0]]))
    values, rows, columns = placed(matrix, np.array([-1, 5]), np.array([7, 3]))
    assert (values.tolist(), rows.tolist(), columns.tolist()) == ([3, 4], [5, 5], [7, 3])
