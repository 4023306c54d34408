"""Program data of a model against the data that CVXPY hands to Clarabel."""

import warnings

import cvxpy as cp
import numpy as np
import pytest

from lpgd.core.params import batched
from lpgd.families.cvxpy.compile import compile_model
from lpgd.families.cvxpy.tensors import Columns
from tests.cvxpy_programs import MAKERS, Case, make, sdp

PLAIN = [maker for maker in MAKERS if maker.__name__ != "geometric"]


def params(model, case: Case):
    values = {}
    for key, given in model.inputs.items():
        value = case.values[given.parameter][None]
        values[key] = batched(np.log(value) if given.log else value)
    return values


@pytest.mark.parametrize("maker", PLAIN, ids=lambda maker: maker.__name__)
def test_data_are_those_that_cvxpy_gives_to_a_solver(maker):
    case = make(maker)
    model = compile_model(case.problem, case.parameters, case.variables)
    found = {name: param.values[0] for name, param in model.data(params(model, case)).items()}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*sparse CVXPY expression", RuntimeWarning)
        for parameter, value in zip(case.parameters, case.values, strict=True):
            parameter.value = value
        want, _, _ = case.problem.get_problem_data("CLARABEL")
    patterns = model.inner.patterns
    np.testing.assert_allclose(patterns["A"].dense(found["A"][None])[0], want["A"].toarray())
    np.testing.assert_allclose(found["b"], want["b"])
    np.testing.assert_allclose(found["q"], want["c"])
    if case.quadratic:
        np.testing.assert_allclose(patterns["P"].dense(found["P"][None])[0], full(want["P"]))


def full(P) -> np.ndarray:
    P = P.toarray()
    return P if np.allclose(P, P.T) else P + P.T - np.diag(np.diag(P))


@pytest.mark.parametrize("maker", PLAIN, ids=lambda maker: maker.__name__)
def test_patterns_are_row_by_row_without_duplicates(maker):
    case = make(maker)
    for pattern in compile_model(case.problem, case.parameters, []).inner.patterns.values():
        keys = pattern.rows * pattern.shape[1] + pattern.cols
        assert (np.diff(keys) > 0).all()


class Program:
    """What ``Columns`` reads of a compiled program."""

    param_id_to_col = {7: 3}  # noqa: RUF012

    def __init__(self, size):
        self.param_id_to_size = {7: size}


def columns(parameter, size):
    found = Columns.of(Program(size), parameter, 7)
    assert found.start == 3
    return np.mean([np.eye(parameter.size)[places] for places in found.entries], axis=0)


def test_columns_count_the_users_entries_row_by_row():
    matrix = cp.Parameter((2, 2))
    np.testing.assert_array_equal(columns(matrix, 4), np.eye(4)[[0, 2, 1, 3]])


def test_diagonal_and_sparse_parameters_are_their_entries():
    diagonal, scattered = cp.Parameter((2, 2), diag=True), cp.Parameter((2, 2), sparsity=([1], [0]))
    np.testing.assert_array_equal(columns(diagonal, 2), np.eye(4)[[0, 3]])
    np.testing.assert_array_equal(columns(scattered, 1), np.eye(4)[[2]])


@pytest.mark.parametrize("attribute", ["symmetric", "PSD", "NSD"])
def test_symmetric_parameters_are_the_mean_of_their_triangles(attribute):
    matrix = cp.Parameter((2, 2), **{attribute: True})
    mean = [[1, 0, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0, 1]]
    np.testing.assert_array_equal(columns(matrix, 3), mean)


def test_gradients_of_symmetric_parameters_are_symmetric():
    case = make(sdp)
    model = compile_model(case.problem, case.parameters, [])
    key = next(k for k, given in model.inputs.items() if given.parameter == 0)
    (part,) = (form.parts[key] for form in model.maps.values() if key in form.parts)
    gradient = part.pull(np.arange(1.0, 1 + part.matrix.shape[0])[None]).reshape(3, 3)
    np.testing.assert_array_equal(gradient, gradient.T)
    assert gradient.all()
