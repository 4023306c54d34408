"""Variables and multipliers of the user against CVXPY's own recovery of a known solution."""

import cvxpy as cp
import numpy as np
import pytest

from lpgd.core.errors import StructureError
from lpgd.families.cvxpy.compile import compile_model


def output(variable, constraints=()):
    problem = cp.Problem(cp.Minimize(0), [variable == variable, *constraints])
    (found,) = compile_model(problem, [], [variable]).outputs
    assert found.shape == variable.shape
    return found


def entries(variable):
    """Which numbers of the solution each entry shows, and how many numbers there are."""
    found = output(variable)
    matrix = found.entries.matrix.toarray()
    assert set(np.unique(matrix)) <= {0.0, 1.0}
    places = np.where(matrix.any(axis=1), matrix.argmax(axis=1), -1)
    return places.reshape(variable.shape).tolist(), matrix.any(axis=0).sum()


def test_scalars_vectors_and_matrices():
    assert entries(cp.Variable()) == (0, 1)
    assert entries(cp.Variable(3)) == ([0, 1, 2], 3)
    assert entries(cp.Variable((2, 3))) == ([[0, 2, 4], [1, 3, 5]], 6)  # column by column


@pytest.mark.parametrize("attribute", ["symmetric", "PSD", "NSD"])
def test_symmetric_variables_show_each_off_diagonal_number_twice(attribute):
    found = entries(cp.Variable((3, 3), **{attribute: True}))
    assert found == ([[0, 1, 2], [1, 3, 4], [2, 4, 5]], 6)


def test_diagonal_and_sparse_variables_have_zeros():
    assert entries(cp.Variable((2, 2), diag=True)) == ([[0, -1], [-1, 1]], 2)
    assert entries(cp.Variable((2, 3), sparsity=([0, 1], [2, 0]))) == (
        [[-1, -1, 0], [1, -1, -1]],
        2,
    )


def test_variables_have_their_places_among_others():
    x, y = cp.Variable(2), cp.Variable(3)
    problem = cp.Problem(cp.Minimize(cp.sum(x) + cp.sum(y)), [x >= 0, y >= 0])
    model = compile_model(problem, [], [y, x])
    shown = [output.entries(np.arange(5.0)[None])[0].tolist() for output in model.outputs]
    assert sorted(shown[0] + shown[1]) == [0, 1, 2, 3, 4]
    assert [len(part) for part in shown] == [3, 2]


def test_duals_that_do_not_survive_are_refused():
    X = cp.Variable((2, 2, 2))
    stacked = X >> 0
    with pytest.raises(StructureError, match="batched PSD"):
        compile_model(
            cp.Problem(cp.Minimize(cp.sum(X)), [stacked]), [], [stacked.dual_variables[0]]
        )


def test_duals_of_rows_that_vanish_or_change_are_refused():
    x = cp.Variable(2)
    nothing, nd = x[:0] >= 0, cp.PowConeND(cp.vstack([x, x]), x, np.full((2, 2), 0.5))
    problem = cp.Problem(cp.Minimize(cp.sum(x)), [nothing, nd, x <= 1, x >= 0])
    for constraint, why in ((nothing, "does not survive"), (nd, "PowConeND constraints are not")):
        with pytest.raises(StructureError, match=why):
            compile_model(problem, [], [constraint.dual_variables[0]])
