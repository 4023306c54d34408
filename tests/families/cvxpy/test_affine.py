"""Linear and affine maps of parameters against dense matrices."""

import warnings

import numpy as np
import pytest
from scipy import sparse

from lpgd.core.params import Param, batched, shared
from lpgd.families.cvxpy.affine import Affine, Linear, flat

DRAW = np.random.default_rng(0)
MATRICES = {
    "identity": np.eye(3),
    "permutation": np.eye(4)[[2, 0, 3, 1]],
    "signs": np.diag([1.0, -1.0, 2.0]),
    "part": np.eye(5)[1:4],
    "padding": np.eye(5)[:, 1:4],
    "spread": np.eye(3)[[0, 1, 1, 2, 2, 2]],
    "sums": DRAW.normal(size=(4, 3)) * (DRAW.random((4, 3)) < 0.7),
    "zero": np.zeros((2, 3)),
    "no rows": np.zeros((0, 3)),
    "no columns": np.zeros((3, 0)),
}


@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
@pytest.mark.parametrize("rows", [0, 1, 4])
def test_linear_maps_and_their_transposes(matrix, rows):
    linear = Linear(sparse.csr_array(matrix))
    values, gradient = (DRAW.normal(size=(rows, size)) for size in matrix.shape[::-1])
    np.testing.assert_allclose(linear(values), values @ matrix.T, atol=1e-15)
    np.testing.assert_allclose(linear.pull(gradient), gradient @ matrix, atol=1e-15)


def test_duplicate_entries_are_summed():
    linear = Linear(sparse.coo_array(([1.0, 2.0], ([0, 0], [1, 1])), shape=(1, 2)))
    np.testing.assert_array_equal(linear(np.array([[5.0, 7.0]])), [[21.0]])


def test_what_stays_in_its_order_is_not_copied():
    values = DRAW.normal(size=(2, 3))
    assert np.shares_memory(Linear(sparse.eye_array(3))(values), values)
    assert np.shares_memory(Linear(sparse.csr_array(np.eye(3)[1:]))(values), values)


def affine(constant, **parts):
    linears = {name: Linear(sparse.csr_array(part)) for name, part in parts.items()}
    return Affine(np.array(constant, dtype=np.float64), linears)


A, B = DRAW.normal(size=(2, 3)), np.eye(2)


@pytest.mark.parametrize("constant", [[0.0, 0.0], [1.0, -2.0]])
@pytest.mark.parametrize("a", ["shared", "batched", "two values"])
@pytest.mark.parametrize("b", ["shared", "batched", "two values"])
def test_a_batch_is_the_map_of_each_element(constant, a, b):
    def param(kind, size):
        if kind == "shared":
            return shared(DRAW.normal(size=size), 4)
        if kind == "batched":
            return batched(DRAW.normal(size=(4, size)))
        return Param(DRAW.normal(size=(2, size)), np.array([0, 1, 1, 0]))

    params = {"a": param(a, 3), "b": param(b, 2)}
    found = affine(constant, a=A, b=B)(params, 4)
    want = constant + params["a"].full() @ A.T + params["b"].full() @ B.T
    np.testing.assert_allclose(found.full(), want, atol=1e-14)
    distinct = {("shared", "shared"): 1, ("shared", "two values"): 2, ("two values", "shared"): 2}
    assert len(found.values) <= distinct.get((a, b), 4)


def test_rounding_does_not_depend_on_what_is_shared():
    form = affine([0.1, np.pi], a=B, b=B, c=B)
    a, b, c = DRAW.normal(size=(3, 50, 2))
    together = form({"a": batched(a), "b": shared(b[0], 50), "c": batched(c)}, 50).full()
    for i in range(50):
        alone = {"a": shared(a[i], 1), "b": shared(b[0], 1), "c": shared(c[i], 1)}
        np.testing.assert_array_equal(form(alone, 1).full()[0], together[i])


def test_what_depends_on_no_parameter_is_shared():
    found = affine([1.0, 2.0])({}, 3)
    assert found.values.tolist() == [[1.0, 2.0]]
    assert found.index.tolist() == [0, 0, 0]


def test_parameters_that_do_not_enter_do_not_count():
    params = {"a": shared(np.ones(3), 4), "other": batched(DRAW.normal(size=(4, 1)))}
    assert len(affine([0.0, 0.0], a=A)(params, 4).values) == 1


def test_infinite_values_of_some_elements_warn_of_nothing():
    values = batched(np.array([[np.inf, 1.0], [1.0, 2.0]]))
    params = {"a": values, "b": batched(-values.values)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = affine([0.0, 0.0], a=np.eye(2), b=np.eye(2))(params, 2)
    np.testing.assert_array_equal(found.full(), [[np.nan, 0.0], [0.0, 0.0]])


def test_entries_are_taken_row_by_row():
    assert flat(np.arange(6.0).reshape(1, 2, 3)).tolist() == [[0, 1, 2, 3, 4, 5]]
    assert flat(np.zeros((0, 2, 3))).shape == (0, 6)
    assert flat(np.zeros(4)).shape == (4, 1)


def test_entries_are_fixed_where_no_parameter_enters_and_none_is_zero():
    one = Linear(sparse.csr_array(np.array([[0.0], [0.0], [2.0]])))
    assert Affine(np.array([1.0, 0.0, 1.0]), {"a": one}).fixed.tolist() == [True, False, False]
