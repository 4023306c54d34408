import numpy as np

from lpgd.core.params import batched
from lpgd.core.pattern import Pattern
from lpgd.engines.convert import Compressed


def test_patterns_and_dense_matrices_are_compressed_alike():
    rows, cols = np.array([1, 0, 1]), np.array([2, 1, 0])
    values = np.array([[5.0, 6.0, 7.0]])
    full = np.zeros((1, 2, 3))
    full[:, rows, cols] = values
    sparse = Compressed.of(Pattern(rows, cols, (2, 3)), (2, 3))
    dense = Compressed.of(None, (2, 3))
    assert sparse.starts.tolist() == [0, 1, 3]
    assert sparse.places.tolist() == [1, 0, 2]
    for form, param in ((sparse, batched(values)), (dense, batched(full))):
        matrix = form.matrix(form.values(param)[0], (2, 3))
        np.testing.assert_array_equal(matrix.toarray(), full[0])


def test_an_empty_pattern_has_no_entries():
    form = Compressed.of(Pattern.empty(2), (2, 2))
    assert form.starts.tolist() == [0, 0, 0]
