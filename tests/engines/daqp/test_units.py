"""Programs in odd units have the solutions of the same programs in fair ones."""

import numpy as np
import pytest

from lpgd.core.params import batched
from lpgd.core.solution import Status
from lpgd.engines.daqp.engine import DaqpEngine
from lpgd.engines.daqp.units import Units
from tests.support import cotangent, program


def fair_program(seed, quadratic):
    rng = np.random.default_rng(seed)
    n = 6
    root, start = rng.standard_normal((n, n)), rng.uniform(size=n)
    G, A = rng.standard_normal((8, n)), rng.standard_normal((2, n))
    data = {"q": 3 * rng.standard_normal(n), "G": G, "h": G @ start + rng.uniform(size=8)}
    data |= {"A": A, "b": A @ start, "lb": np.zeros(n), "ub": np.full(n, 5.0)}
    if quadratic:
        data["P"] = {
            "definite": root @ root.T + 0.1 * np.eye(n),
            "singular": root[:, :2] @ root[:, :2].T,
        }[quadratic]
    return data


def in_units(data, cost, x, G, A):
    """The same program with costs, variables and rows in other units; x' = x / ``x``."""
    changed = {"q": data["q"] * cost * x, "G": data["G"] * G[:, None] * x, "h": data["h"] * G}
    changed |= {"A": data["A"] * A[:, None] * x, "b": data["b"] * A}
    changed |= {"lb": data["lb"] / x, "ub": data["ub"] / x}
    if "P" in data:
        changed["P"] = data["P"] * cost * x * np.atleast_1d(x)[:, None]
    return changed


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["definite", "singular", None])
def test_units_do_not_matter(kind, seed):
    rng = np.random.default_rng(seed + 100)
    cost, G, A = (
        10.0 ** rng.integers(-6, 7),
        10.0 ** rng.integers(-6, 7, 8),
        10.0 ** rng.integers(-6, 7, 2),
    )
    x = 10.0 ** (rng.integers(-4, 5, 6) if kind is None else rng.integers(-3, 4))
    data = fair_program(seed, kind)
    expected = DaqpEngine().solve(*program(**data)).solution
    problem, params = program(**in_units(data, cost, x, G, A))
    found = DaqpEngine().solve(problem, params).solution
    assert found.solved.all()
    np.testing.assert_allclose(found.x * x, expected.x, rtol=1e-5, atol=1e-6)
    z = problem.block(found.y, "G") * G / cost
    np.testing.assert_allclose(z, problem.block(expected.y, "G"), rtol=1e-4, atol=1e-5)


def test_small_rows_are_not_dropped():
    problem, params = program(P=np.eye(2), q=[-1, -1], G=[[1e-6, 1e-6]], h=[0.5e-6])
    found = DaqpEngine().solve(problem, params).solution
    np.testing.assert_allclose(found.x, [[0.25, 0.25]])


def test_fair_programs_keep_their_units():
    problem, params = program(**fair_program(0, "definite"))
    assert Units.of(problem, params) is None


@pytest.mark.parametrize("cost", [1e-10, 1.0, 1e6, 1e10])
def test_the_adjoint_knows_no_units(cost):
    problem, params = program(P=cost * np.eye(2), q=[-cost, -0.7 * cost], G=[[1, 1]], h=[0.5])
    point = DaqpEngine().solve(problem, params).solution
    found = problem.linearize(params, point).adjoint(cotangent([1, 0], m=1), 0.0)
    np.testing.assert_allclose(found.a * cost, [[-0.5, 0.5]])
    np.testing.assert_allclose(found.v, [[-0.5]])
    assert not found.degenerate.any()


@pytest.mark.parametrize("quadratic", [False, True])
def test_an_answer_that_breaks_the_optimality_conditions_is_not_believed(monkeypatch, quadratic):
    """It is then solved by other means."""
    import daqp

    curved = {"P": np.zeros((2, 2))} if quadratic else {}
    problem, params = program(q=[1.0, -1.0], lb=[0.0, 0.0], ub=[1.0, 1.0], **curved)
    assert DaqpEngine().solve(problem, params).solution.status.tolist() == [Status.OPTIMAL]
    # x2 is not at its bound
    answer = np.array([0.0, 0.5]), 0.0, 1, {"lam": np.array([-1.0, 0.0])}
    monkeypatch.setattr(daqp, "solve", lambda *_, **__: answer)
    found = DaqpEngine().solve(problem, params).solution
    assert found.status.tolist() == [Status.OPTIMAL]
    np.testing.assert_allclose(found.x, [[0.0, 1.0]], atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["definite", "singular", None])
@pytest.mark.parametrize("size", [1e-150, 1e-20, 1e-10, 1e-8, 1e8, 1e150])
def test_solutions_are_as_large_as_the_data(size, kind, seed):
    """Right-hand sides, and the costs of a QP, times a factor: so is the solution."""
    data = fair_program(seed, kind)
    expected = DaqpEngine().solve(*program(**data)).solution
    moved = {name: data[name] * size for name in ("h", "b", "lb", "ub")}
    moved |= {"q": data["q"] * size} if kind else {}
    found = DaqpEngine().solve(*program(**{**data, **moved})).solution
    assert found.solved.all()
    np.testing.assert_allclose(found.x / size, expected.x, atol=1e-6)


@pytest.mark.parametrize("cost", [1e-300, 1e-150, 1e-20, 1e20, 1e150, 1e300])
@pytest.mark.parametrize("kind", ["definite", "singular", None])
def test_costs_of_any_size(cost, kind):
    data = fair_program(1, kind)
    expected = DaqpEngine().solve(*program(**data)).solution
    moved = {name: cost * data[name] for name in ("P", "q") if name in data}
    problem, params = program(**{**data, **moved})
    found = DaqpEngine().solve(problem, params).solution
    np.testing.assert_allclose(found.x, expected.x, atol=1e-6)
    np.testing.assert_allclose(found.y / cost, expected.y, atol=1e-5)


def test_rows_whose_squares_overflow_are_seen():
    problem, params = program(P=np.eye(2), q=[-3, -2], G=[[1e155, 5e154]], h=[1e155])
    found = DaqpEngine().solve(problem, params).solution
    np.testing.assert_allclose(found.x, [[0.6, 0.8]])


def test_rows_of_zeros_have_the_size_of_their_side():
    for h, status in ((4e-14, Status.OPTIMAL), (-4e-14, Status.INFEASIBLE)):
        problem, params = program(q=[0.0], G=[[0.0]], h=[h])
        assert DaqpEngine().solve(problem, params).solution.status.tolist() == [status]


def test_costs_of_zero_ask_for_no_multipliers():
    A = [[0.7195352183608, 0.3597676091803]]
    problem, params = program(q=[0.0, 0.0], A=A, b=[0.5275505543560246], G=[[1, 1]], h=[2])
    np.testing.assert_array_equal(DaqpEngine().solve(problem, params).solution.y, 0.0)


def test_units_know_no_neighbours():
    """A fair element is solved alike beside one in odd units."""
    data = [fair_program(seed, "definite") for seed in (0, 1)]
    data[1] = in_units(data[1], 1e8, 1e-5, np.full(8, 1e-9), np.ones(2))
    problem, _ = program(**data[0])
    both = {name: batched(np.stack([d[name] for d in data])) for name in data[0]}
    together = DaqpEngine().solve(problem, both).solution
    for row in range(2):
        alone = DaqpEngine().solve(*program(**data[row])).solution
        assert alone.x[0].tobytes() == together.x[row].tobytes()
        assert alone.y[0].tobytes() == together.y[row].tobytes()


def test_variables_without_curvature_know_no_neighbours():
    """Their units are those of their rows, which others measure in variables with curvature."""
    fair = {
        "P": [[0.0, 0.0], [0.0, 1.6511290551011635]], "q": [1.5498217152458658, 7.59],
        "G": [[1.3005, -0.1995], [-1.4659, 0.005167]], "h": [4.829, -3.542],
    }  # fmt: skip
    data = [{k: np.array(v) for k, v in fair.items()} for _ in range(2)]
    data[0]["P"] = np.array([[1e-6, 4e-5], [4e-5, 2e-3]])
    problem, _ = program(**data[0])
    both = {name: batched(np.stack([d[name] for d in data])) for name in data[0]}
    units, alone = Units.of(problem, both), program(**data[1])
    assert units is not None
    assert units.moved.tolist() == [True, False]
    together, alone = (DaqpEngine().solve(*pair).solution for pair in ((problem, both), alone))
    assert alone.x[0].tobytes() == together.x[1].tobytes()
    assert alone.y[0].tobytes() == together.y[1].tobytes()


def test_rows_that_contradict_each_other_by_rounding_know_no_neighbours():
    """x_2 = -1.74996237 and x_2 >= -1.74996234: what becomes of it must not be up to others."""
    data = {
        "P": np.eye(2), "q": np.array([2.2171733379364014, 2.0375959873199463]),
        "A": np.array([[0.0, -1.0]]), "b": np.array([1.749962365910551]),
        "G": np.array([[0.0, -0.4430113136768341], [0.0, 1.5901384353637695]]),
        "h": np.array([0.7752531170845032, -2.782682418823242]),
        "lb": np.array([-1.7439882018915953, -1.749962365910551]),
    }  # fmt: skip
    alone = DaqpEngine().solve(*program(**data)).solution
    problem, _ = program(**data)
    both = {name: batched(np.stack([value, value])) for name, value in data.items()}
    both["q"].values[1] *= 1e9
    both["P"].values[1] *= 1e9
    together = DaqpEngine().solve(problem, both).solution
    assert alone.solved.all()
    assert alone.x[0].tobytes() == together.x[0].tobytes()


def test_multipliers_that_are_no_numbers_are_no_solution():
    """-1e-310 x_2 = 0 holds x_2 by a force of one."""
    problem, params = program(P=np.eye(2), q=[0, -1], A=[[0, -1e-310]], b=[0])
    found = DaqpEngine().solve(problem, params).solution
    assert np.isfinite(found.y).all()
    assert not found.solved.any()


def test_columns_of_next_to_nothing_have_no_unit():
    problem, params = program(q=[-1, 0, -1], G=[[1e-310, 1e-310, 1]], h=[2], ub=[0, -1.5, 5])
    found = DaqpEngine().solve(problem, params).solution
    assert found.solved.all()
    assert found.x[0, [0, 2]].tolist() == [0, 2]
    assert problem.residual(params, found)[0] < 1e-12


@pytest.mark.parametrize("power", [0, 40, -40, -400, -721, 500])
def test_residuals_that_are_variables(power):
    """CVXPY's least squares, min r'r with r = 2^power Fx - g: x has no curvature, and its unit."""
    rng = np.random.default_rng(0)
    F, g = rng.normal(size=(5, 2)), rng.normal(size=5)
    problem, params = program(
        P=np.diag([2.0] * 5 + [0, 0]), q=np.zeros(7), b=g,
        A=np.hstack([-np.eye(5), np.ldexp(F, power)]),
    )  # fmt: skip
    found = DaqpEngine().solve(problem, params).solution
    assert found.solved.all()
    x = np.ldexp(found.x[0, 5:], power)
    np.testing.assert_allclose(x, np.linalg.lstsq(F, g)[0], rtol=1e-9)


def test_multipliers_are_solutions_in_the_users_units_or_none():
    """x_0 has no curvature and a unit of 1e-226: its force is y_0 alone, 2e-227."""
    problem, params = program(
        P=[[0, 0, 0], [0, 1.5, 0.128], [0, 0.128, 0.97]], q=[-0.51, 0.29, -0.3],
        G=1e-12 * np.array([[0, -0.9, 0], [1.8, -1.8, 1.8], [1.8, -1.8, -0.9]]),
        h=[5e-13, 1.8e-12, 4e-13], A=[[2.4e226, -3.4e-13, 3.4e-13]], b=[0],
    )  # fmt: skip
    found = DaqpEngine().solve(problem, params).solution
    wrong = problem.residual(params, found)[0] > 1e-6
    assert found.status[0] == (Status.INACCURATE if wrong else Status.OPTIMAL)


@pytest.mark.parametrize("P", [np.eye(2), None])
def test_bounds_next_to_zero_are_bounds_at_zero(P):
    data = {"q": [-1, -2], "G": [[1, 1]], "h": [3], "ub": [1e-310, 0.5]}
    problem, params = program(**(data if P is None else {"P": P, **data}))
    found = DaqpEngine().solve(problem, params).solution
    assert found.solved.all()
    np.testing.assert_allclose(found.x, [[0, 0.5]], atol=1e-12)


@pytest.mark.parametrize("unit", [2.0**-35, 2.0**-60, 2.0**38, 2.0**60])
def test_variables_without_curvature_have_units_of_their_own(unit):
    """Least squares by residuals r = Ax - b: min |r|^2, where only r is curved."""
    rng = np.random.default_rng(1)
    A, b = rng.normal(size=(5, 2)), rng.normal(size=5)
    rows = np.concatenate([A * unit, -np.eye(5)], axis=1)
    problem, params = program(P=np.diag([0, 0, 2, 2, 2, 2, 2]), q=np.zeros(7), A=rows, b=b * unit)
    found = DaqpEngine().solve(problem, params).solution
    assert found.solved.all()
    np.testing.assert_allclose(found.x[0, :2], np.linalg.lstsq(A, b)[0], rtol=1e-6)


@pytest.mark.parametrize("size", [1.0, 1e-10, 1e-15, 1e-100, 1e-310])
def test_flat_hessians_with_costs_far_beyond_their_constraints(size):
    """x is the corner Gx = h, however near zero that is beside what the costs ask for."""
    P = np.outer([1.0, -0.25], [1.0, -0.25])
    G, y = np.array([[-5.0, -3.0], [-8.0, 9.0]]), np.array([1.0, 2.0])
    corner = size * np.ones(2)
    problem, params = program(P=P, q=-P @ corner - G.T @ y, G=G, h=G @ corner)
    found = DaqpEngine().solve(problem, params).solution
    assert found.solved.all()
    np.testing.assert_allclose(found.y[0], y, rtol=1e-6)
    np.testing.assert_allclose(found.x[0], corner, rtol=1e-6, atol=1e-20)


def test_bounds_that_units_round_hold():
    lb, ub = np.array([1e-310, -1.0, -1.0]), np.array([1.0, 3e-310, 1e9])
    G = 1e-5 * np.array([[1.0, 1.0, 1.0]])
    problem, params = program(q=[1.0, -1.0, 1.0], G=G, h=[1e4], lb=lb, ub=ub)
    x = DaqpEngine().solve(problem, params).solution.x[0]
    assert (x >= lb).all()
    assert (x <= ub).all()


@pytest.mark.parametrize("speck", [1e-17, -1e-18, 1e-30, -1e-120, 1e-310])
def test_right_hand_sides_that_are_rounding_say_nothing_of_x(speck):
    """All of them: units in which they were 1 would make x too large for DAQP."""
    rng = np.random.default_rng(0)
    root, G = rng.normal(size=(10, 10)), rng.normal(size=(6, 10))
    data = {"P": root @ root.T / 10 + 0.1 * np.eye(10), "q": rng.normal(size=10), "G": G}
    sides = speck * rng.uniform(0.5, 2, 6)
    answers = [DaqpEngine().solve(*program(**data, h=h)) for h in (sides, np.zeros(6))]
    found, right = (answer.solution for answer in answers)
    assert found.solved.all()
    np.testing.assert_allclose(found.x, right.x, atol=1e-13)
    np.testing.assert_allclose(found.y, right.y, atol=1e-12)


def test_costs_beyond_all_bounds_leave_x_within_these():
    """Curvature is less than rounding there: x = (ub, lb, ub), wherever costs would put it."""
    data = {
        "P": np.diag([16384.0, 65536.0, 17179869184.0]),
        "q": [-8.451126719991341e19, 3.7609484250878955e20, -2.1425228541857166e23],
        "G": [
            [1.944991084203489e-05, 1.455301841433014e-05, 0.01869683895542405],
            [2.6313865830115537, -5.533846725085319, 2395.046910614111],
        ],
        "h": [-8.563294198674545e-09, -0.000429963766774618],
        "lb": [-np.inf, 0.0010055837343574481, -np.inf],
        "ub": [-0.006229452511057115, 0.004101454952018288, 1.1223977518739218e-06],
    }
    answer = DaqpEngine().solve(*program(**data))
    assert answer.solution.solved.all()
    right = [data["ub"][0], data["lb"][1], data["ub"][2]]
    np.testing.assert_array_equal(answer.solution.x[0], right)
    assert not answer.solution.y[0, :2].any()
