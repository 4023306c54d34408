"""The sparse adjoint against the dense one, and against the solution of tilted problems."""

from dataclasses import replace

import numpy as np
import pytest

import lpgd
from lpgd.core.solution import Solution
from lpgd.core.tilt import Cotangent, Tilt
from lpgd.families.qp import linearized, sparse_adjoint
from lpgd.testing import Shape, plant
from tests.support import program

ENGINE = lpgd.PiqpEngine()


def planted(seed, **changes):
    shape = replace(Shape(8, 2, 6, ("lb", "ub"), quadratic=True, sparse=True, batch=3), **changes)
    return plant(shape, np.random.default_rng(seed))


def adjoint(problem, params, solution, given, rho, factors=None):
    return sparse_adjoint.Linearized(problem, params, solution, factors).adjoint(given, rho)


def dense(problem, params, solution, given, rho):
    return linearized.Linearized(problem, params, solution).adjoint(given, rho)


def drawn(problem, rows, seed):
    rng = np.random.default_rng(seed)
    shape = (len(rows), problem.n), (len(rows), problem.m)
    return Cotangent(np.array(rows), rng.normal(size=shape[0]), rng.normal(size=shape[1]))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("rho", [0.0, 0.3])
def test_equals_the_dense_one(seed, rho):
    case = planted(seed)
    given = drawn(case.problem, [0, 2, 1, 2], seed)
    found = adjoint(case.problem, case.params, case.solution, given, rho)
    wanted = dense(case.problem, case.params, case.solution, given, rho)
    np.testing.assert_array_equal(found.degenerate, wanted.degenerate)
    np.testing.assert_allclose(found.a, wanted.a, atol=1e-9)
    np.testing.assert_allclose(found.v, wanted.v, atol=1e-9)
    assert not found.unsure.any()


@pytest.mark.parametrize("seed", range(4))
def test_it_predicts_the_tilted_solution_up_to_the_breakpoint_and_no_further(seed):
    case = planted(seed)
    given = drawn(case.problem, [0, 1, 2], seed)
    found = adjoint(case.problem, case.params, case.solution, given, 0.0)
    assert (found.reach > 0).all()
    zero = np.zeros(3)
    for end, sign in ((0, -1.0), (1, 1.0)):
        for share, agrees in ((0.99, True), (1.01, False)):
            t = sign * share * found.reach[:, end]
            tilt = Tilt(given.rows, t, given.dx, given.dy, zero, case.solution.x)
            moved = Solution(
                case.solution.x + t[:, None] * found.a,
                case.solution.y + t[:, None] * found.v,
                case.solution.status,
            )
            problem, params = case.problem.tilt(case.params, tilt)
            good = problem.residual(params, moved) < 1e-10
            assert (good == agrees)[np.isfinite(t)].all()


def test_a_weak_row_that_matters_is_told_from_one_that_does_not():
    # x_1 >= 0 at its kink: only a loss on x_1 feels it
    problem, params = program(P=np.eye(2), q=[0.0, -1.0], lb=[0.0, -5.0])
    point = Solution(np.array([[0.0, 1.0]]), np.zeros((1, 2)), np.zeros(1, np.int8))
    for dx, degenerate in (([1.0, 0.0], True), ([0.0, 1.0], False)):
        given = Cotangent(np.zeros(1, np.intp), np.array([dx]), np.zeros((1, 2)))
        assert adjoint(problem, params, point, given, 0.0).degenerate.tolist() == [degenerate]


def test_a_kink_next_to_the_solution_counts():
    problem, params = program(P=np.eye(2), q=[0.0, -1.0], lb=[-3e-11, -5.0])
    point = Solution(np.array([[0.0, 1.0]]), np.zeros((1, 2)), np.zeros(1, np.int8))
    for dx, degenerate in (([1.0, 0.0], True), ([0.0, 1.0], False)):
        given = Cotangent(np.zeros(1, np.intp), np.array([dx]), np.zeros((1, 2)))
        found = adjoint(problem, params, point, given, 0.0)
        assert found.degenerate.tolist() == [degenerate]
        np.testing.assert_array_equal(found.a[0], -np.array(dx))


def test_dependent_rows_and_flat_objectives_get_the_shortest_solution():
    twice = {"A": np.array([[1.0, 1.0, 0.0]] * 2), "b": [1.0, 1.0]}
    flat = {"P": np.diag([1.0, 1.0, 0.0]), "q": np.zeros(3), **twice}
    problem, params = program(**flat)
    point = Solution(np.array([[0.5, 0.5, 0.0]]), np.full((1, 2), -0.25), np.zeros(1, np.int8))
    given = Cotangent(np.zeros(1, np.intp), np.array([[1.0, 2.0, 3.0]]), np.zeros((1, 2)))
    found = adjoint(problem, params, point, given, 0.0)
    wanted = dense(problem, params, point, given, 0.0)
    assert found.degenerate.tolist() == [True]
    np.testing.assert_allclose(found.a, wanted.a, atol=1e-9)
    np.testing.assert_allclose(found.v, wanted.v, atol=1e-9)


def test_two_equal_bounds_are_one_equality():
    problem, params = program(P=np.eye(2), q=[0.0, -1.0], lb=[0.0, 1.0], ub=[0.0, 1.0])
    point = Solution(np.array([[0.0, 1.0]]), np.zeros((1, 4)), np.zeros(1, np.int8))
    given = Cotangent(np.zeros(1, np.intp), np.ones((1, 2)), np.zeros((1, 4)))
    found = adjoint(problem, params, point, given, 0.0)
    assert not found.degenerate.any()
    np.testing.assert_allclose(found.v[0], [0.5, 0.5, -0.5, -0.5])


def test_what_the_engine_leaves_is_used(monkeypatch):
    case = planted(0)
    assert ENGINE.solve(case.problem, case.params).factors is None  # nobody will ask
    answer = ENGINE.solve(case.problem, case.params, keep=True)
    assert [len(known) for known in answer.factors] == [1, 1, 1]
    given, at = drawn(case.problem, [0, 1, 2], 0), (case.problem, case.params, answer.solution)
    expected = adjoint(*at, given, 0.0)
    monkeypatch.setattr(sparse_adjoint, "System", None)  # none is made
    found = adjoint(*at, given, 0.0, answer.factors)
    np.testing.assert_array_equal(found.a, expected.a)
    np.testing.assert_array_equal(found.v, expected.v)


def test_only_large_sparse_QPs_take_it():
    small, large = planted(0).problem, planted(0, n=sparse_adjoint.LARGE).problem
    assert not sparse_adjoint.serves(small)
    assert sparse_adjoint.serves(large)
    assert not sparse_adjoint.serves(planted(0, n=sparse_adjoint.LARGE, sparse=False).problem)
