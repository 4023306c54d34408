"""The adjoint against the whole system of optimality conditions, solved by a pseudo-inverse."""

from dataclasses import replace

import numpy as np
import pytest

from lpgd.core.params import batched
from lpgd.core.pattern import Pattern
from lpgd.core.solution import Solution
from lpgd.families.qp import saddle
from lpgd.families.quadratic.structure import SIDES
from lpgd.testing import Shape, plant
from tests.support import cotangent, program, solve


def rows(problem, params):
    """All constraints as rows of one matrix (m, n)."""
    parts = [np.zeros((0, problem.n))]
    for name in problem.blocks:
        if name in ("A", "G"):
            pattern, values = problem.patterns.get(name), params[name].values[0]
            parts.append(pattern.matrix(values).toarray() if pattern else values)
        else:
            parts.append(-SIDES[name][1] * np.eye(problem.n))
    return np.concatenate(parts)


def parts(adjoint):
    return adjoint.a, adjoint.v, adjoint.degenerate


def pinv_adjoint(problem, params, active, dx, dy, rho):
    """[[P + rho I, R'], [R, 0]] (a, v) = -(dx, m): least squares of minimum norm."""
    n = problem.n
    R = rows(problem, params)[active]
    H = (params["P"].values[0] if problem.quadratic else 0.0) + rho * np.eye(n)
    K = np.block([[H, R.T], [R, np.zeros((len(R), len(R)))]])
    both = np.linalg.pinv(K, rcond=1e-11) @ -np.concatenate([dx, dy[active]])
    v = np.zeros(problem.m)
    v[active] = both[n:]
    return both[:n], v


def point(x, y):
    return Solution(np.array([x], float), np.array([y], float), np.zeros(1, np.int8))


def assert_matches(problem, params, at, active, rho=0.0, degenerate=False, seed=0):
    """For cotangents that dependent rows do not contradict: then nothing is left to convention."""
    rng = np.random.default_rng(seed)
    dx, dy = rng.normal(size=problem.n), rows(problem, params) @ rng.normal(size=problem.n)
    a, v, flagged = parts(problem.linearize(params, at).adjoint(cotangent(dx, dy), rho))
    expected = pinv_adjoint(problem, params, np.array(active, dtype=bool), dx, dy, rho)
    np.testing.assert_allclose(a[0], expected[0], atol=1e-8)
    np.testing.assert_allclose(v[0], expected[1], atol=1e-8)
    assert flagged.tolist() == [degenerate]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("quadratic", [True, False])
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("rho", [0.0, 0.3])
def test_regular_points(seed, quadratic, sparse, rho):
    shape = Shape(5, 1, 4, ("lb", "ub"), quadratic, sparse=sparse)
    case = plant(shape, np.random.default_rng(seed))
    active = case.solution.y[0] > 0
    active[case.problem.blocks["A"]] = True
    assert_matches(case.problem, case.params, case.solution, active, rho, seed=seed)


@pytest.mark.parametrize("rho", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_dependent_equalities(seed, rho):
    """A row twice: minimum norm shares the multiplier."""
    problem, params = program(
        P=np.diag([1, 2, 3]), q=[1, 1, 1], A=[[1, 1, 0], [1, 1, 0], [0, 1, 1]], b=[1, 1, 1]
    )
    at = point([0.3, 0.7, 0.3], [1, 2, 3])
    assert_matches(problem, params, at, [1, 1, 1], rho, degenerate=True, seed=seed)


def test_contradicting_cotangents_of_dependent_equalities_meet_in_the_middle():
    problem, params = program(P=np.eye(2), q=[0, 0], A=[[1, 0], [1, 0]], b=[1, 1])
    a, v, _ = parts(
        problem.linearize(params, point([1, 0], [1, 1])).adjoint(cotangent([0, 1], [1, 3]), 0.0)
    )
    np.testing.assert_allclose(a, [[-2, -1]], atol=1e-9)
    np.testing.assert_allclose(v, [[1, 1]], atol=1e-9)


@pytest.mark.parametrize("rho", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_rows_that_depend_on_bounds(seed, rho):
    """More active rows than variables: x_0 + x_1 <= 0 with x_0 = x_1 = 0, and x_2 free."""
    problem, params = program(
        P=np.diag([1, 2, 3]),
        q=[0, 0, 0],
        G=[[1, 1, 0], [1, 2, 0]],
        h=[0, 0],
        lb=[0, 0, -9],
        ub=[9, 9, 9],
    )
    at = point([0, 0, 0.5], [1, 1, 1, 1, 0, 0, 0, 0])
    assert_matches(problem, params, at, [1, 1, 1, 1, 0, 0, 0, 0], rho, degenerate=True, seed=seed)


def test_equal_bounds_are_both_held():
    problem, params = program(
        P=np.eye(3), q=[1, 1, 1], G=[[1, 1, 1]], h=[3], lb=[1, -9, 0], ub=[1, 9, 9]
    )
    at = point([1, -1, 0], [0, 1, 0, 2, 1, 0, 0])
    found = parts(problem.linearize(params, at).adjoint(cotangent(np.ones(3), np.arange(7.0)), 0.0))
    active = np.array([0, 1, 0, 1, 1, 0, 0], dtype=bool)
    expected = pinv_adjoint(problem, params, active, np.ones(3), np.arange(7.0), 0.0)
    np.testing.assert_allclose(found[0][0], expected[0], atol=1e-9)
    np.testing.assert_allclose(found[1][0], expected[1], atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_equal_bounds_with_dependent_rows(seed):
    problem, params = program(
        P=np.eye(3), q=[1, 1, 1], A=[[1, 0, 0], [0, 1, 1]], b=[1, 0], lb=[1, -9, 0], ub=[1, 9, 9]
    )
    at = point([1, 0, 0], [1, 1, 1, 0, 2, 1, 0, 0])
    active = [1, 1, 1, 0, 1, 1, 0, 0]
    assert_matches(problem, params, at, active, degenerate=True, seed=seed)


@pytest.mark.parametrize("seed", range(4))
def test_a_flat_objective_gets_least_squares(seed):
    """Fewer active rows than an LP's vertex has: the system is singular, yet not by its rows."""
    problem, params = program(q=[1, 1, 0], A=[[1, 1, 1]], b=[1], lb=[0, 0, 0])
    at = point([0.0, 0.4, 0.6], [0, 1, 0, 0])
    assert_matches(problem, params, at, [1, 1, 0, 0], degenerate=True, seed=seed)


def test_weak_activity_is_held_and_reported():
    problem, params = program(P=np.eye(2), q=[0, 1], lb=[0, -5], G=[[0, 1]], h=[7])
    at = solve(problem, params)
    a, v, degenerate = parts(problem.linearize(params, at).adjoint(cotangent([1, 1], m=3), 0.0))
    np.testing.assert_allclose(a[0], [0, -1], atol=1e-12)
    np.testing.assert_allclose(v[0], [0, 1, 0], atol=1e-12)
    assert degenerate.tolist() == [True]


def test_an_equality_with_multiplier_zero_is_not_weak():
    problem, params = program(P=np.eye(2), q=[0, 0], A=[[1, 1]], b=[0])
    at = solve(problem, params)
    assert problem.linearize(params, at).adjoint(
        cotangent([1, 1], m=1), 0.0
    ).degenerate.tolist() == [False]


def test_no_constraints_at_all():
    problem, params = program(P=np.diag([1, 2]), q=[1, 1])
    a, v, degenerate = parts(
        problem.linearize(params, point([-1, -0.5], [])).adjoint(cotangent([1, 1]), 0.0)
    )
    np.testing.assert_allclose(a, [[-1, -0.5]])
    assert v.shape == (1, 0)
    assert not degenerate.any()


def test_everything_at_bounds():
    problem, params = program(q=[1, -1], lb=[0, 0], ub=[1, 1])
    assert_matches(problem, params, point([0, 1], [1, 0, 0, 1]), [1, 0, 0, 1])


def test_several_cotangents_of_one_element():
    case = plant(Shape(3, 1, 2, batch=2, distinct={"q": 2}), np.random.default_rng(0))
    rows = np.array([1, 0, 1])
    dx = np.random.default_rng(1).normal(size=(3, 3))
    several = cotangent(dx, m=case.problem.m)
    several = type(several)(rows, several.dx, several.dy)
    linear = case.problem.linearize(case.params, case.solution)
    a = linear.adjoint(several, 0.0).a
    for k, _ in enumerate(rows):
        single = type(several)(rows[k : k + 1], dx[k : k + 1], several.dy[:1])
        np.testing.assert_array_equal(linear.adjoint(single, 0.0).a[0], a[k])


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_a_vertex_is_two_square_systems(seed, sparse, monkeypatch):
    case = plant(Shape(6, 2, 5, ("lb", "ub"), quadratic=False, sparse=sparse),
                 np.random.default_rng(seed))  # fmt: skip
    rng = np.random.default_rng(seed)
    loss = cotangent(rng.normal(size=6), rng.normal(size=case.problem.m))
    halves = case.problem.linearize(case.params, case.solution).adjoint(loss, 0.0)
    monkeypatch.setattr(saddle.Vertex, "of", lambda B: None)
    whole = case.problem.linearize(case.params, case.solution).adjoint(loss, 0.0)
    np.testing.assert_allclose(halves.a, whole.a, atol=1e-10)
    np.testing.assert_allclose(halves.v, whole.v, atol=1e-10)


def test_the_line_of_an_lp_ends_where_its_basis_does():
    """min x_0 + 2 x_1 over x >= 0 and x_0 + x_1 >= 1: a pull at x_1 changes the basis at 1."""
    problem, params = program(q=[1.0, 2.0], G=[[-1.0, -1.0]], h=[-1.0], lb=[0.0, 0.0])
    line = problem.linearize(params, solve(problem, params)).line(cotangent([0, -1], m=3), 0.0)
    np.testing.assert_allclose(line.reach, [[np.inf, 1.0]], rtol=1e-6)


@pytest.mark.parametrize("quadratic", [True, False])
def test_units_of_variables_do_not_make_a_system_singular(quadratic):
    rng = np.random.default_rng(0)
    n, m = 4, 2 if quadratic else 4
    units = 2.0 ** np.array([25, -20, 3, -13])
    half, A, x, dx = (rng.normal(size=size) for size in ((n, n), (m, n), n, n))
    found = []
    for unit in (np.ones(n), units):
        data = {"P": (half.T @ half + np.eye(n)) * unit * unit[:, None]} if quadratic else {}
        problem, params = program(q=np.zeros(n), A=A * unit, b=A @ x, **data)
        system = problem.linearize(params, point(x / unit, np.ones(m)))
        dy = np.arange(1.0, m + 1)
        a, v, degenerate = parts(system.adjoint(cotangent(dx * unit, dy), 0.0))
        assert not degenerate.any()
        found.append(np.concatenate([a[0] * unit, v[0]]))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-9)


@pytest.mark.parametrize("size", [1.0, 1e12])
def test_costs_move_no_solution_of_an_lp(size):
    """Not even on a face, where rounding of large cotangents would look like a move."""
    rng = np.random.default_rng(0)
    A, x = rng.normal(size=(2, 4)), rng.normal(size=4)
    problem, params = program(q=np.zeros(4), A=A, b=A @ x)
    found = problem.linearize(params, point(x, np.zeros(2))).adjoint(
        cotangent(size * rng.normal(size=4), m=2), 0.0
    )
    assert not found.a.any()
    assert found.degenerate.all()


@pytest.mark.parametrize("unit", [1.0, 2.0**17, 2.0**38, 2.0**-38])
def test_residuals_in_other_units_than_what_they_are_of_make_no_system_singular(unit):
    """Least squares by residuals r = Ax - b: x = A^+ b."""
    rng = np.random.default_rng(1)
    A, b = rng.normal(size=(5, 2)), rng.normal(size=5)
    x = np.linalg.lstsq(A, b)[0]
    r = unit * (A @ x - b)
    rows = np.concatenate([-np.eye(5), unit * A], axis=1)
    P, q = np.diag([2.0, 2, 2, 2, 2, 0, 0]), np.zeros(7)
    problem, params = program(P=P, q=q, A=rows, b=b * unit)
    system = problem.linearize(params, point(np.concatenate([r, x]), 2 * r))
    found = system.adjoint(cotangent([0, 0, 0, 0, 0, 1, -2], m=5), 0.0)
    assert not (found.degenerate | found.unsure).any()
    np.testing.assert_allclose(-unit * found.v[0], np.linalg.pinv(A).T @ [1, -2], rtol=1e-6)


@pytest.mark.parametrize("sparse", [True, False])
def test_units_of_a_row_do_not_make_other_rows_weak(sparse):
    """A multiplier of 1e9, of a row of length 1e-9, is no larger than one of 1 of a bound."""
    problem, params = program(q=[-1, 1], G=[[1e-9, 0]], h=[1e-9], lb=[-9, 0])
    if sparse:
        pattern = Pattern(np.array([0]), np.array([0]), (1, 2))
        problem = replace(problem, patterns={"G": pattern})
        params["G"] = batched(np.array([[1e-9]]))
    system = problem.linearize(params, point([1, 0], [1e9, 0, 1]))
    assert not system.adjoint(cotangent([1.0, 1.0], m=3), 0.0).degenerate.any()
