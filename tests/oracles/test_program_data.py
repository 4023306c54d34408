"""What programs as oracles are made of: any units, bad data, CVXPY's own problems and state."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.sparse import csr_array

import lpgd
from lpgd.oracles import (
    CVRP,
    MILP,
    CpSat,
    GraphPath,
    GridPath,
    Knapsack,
    Matching,
    Polytope,
    from_cvxpy,
)  # fmt: skip


@pytest.mark.parametrize("size", [1e-12, 1e-6, 1.0, 1e8])
def test_rows_may_have_any_unit(size):
    draw = np.random.default_rng(0)
    for _ in range(10):
        G, c = draw.integers(1, 9, (2, 4)).astype(float), -draw.random((3, 4))
        h = draw.integers(4, 20, 2).astype(float)
        one = MILP(G, h, ub=3.0)(c)
        np.testing.assert_array_equal(MILP(size * G, size * h, ub=3.0)(c), one)
        np.testing.assert_array_equal(MILP(G * [[1.0], [size]], h * [1.0, size], ub=3.0)(c), one)
        knapsack = Knapsack(size * G, size * h, "highs")(c)
        np.testing.assert_array_equal(knapsack, Knapsack(G, h, "highs")(c))
        x = Polytope(G, h, ub=3.0)(c)  # x itself has a unit too
        np.testing.assert_allclose(Polytope(size * G, size * h, ub=3.0)(c), x, rtol=1e-9, atol=1e-9)
        scaled = Polytope(G, size * h, ub=3.0 * size)(c)
        np.testing.assert_allclose(scaled, size * x, rtol=1e-9, atol=1e-9 * size)


@pytest.mark.parametrize("make, named", [
    (lambda G: Polytope(G, [np.nan]), "h has a NaN"),
    (lambda G: Polytope(G, [1.0, 2.0]), r"h must be a number or have shape \(1,\)"),
    (lambda G: Polytope(G * np.inf, [1.0]), "G must be finite"),
    (lambda G: Polytope(A=G, b=[np.inf]), "b must be finite"),
    (lambda G: Polytope(G, [1.0], lb=np.nan), "lb has a NaN"),
    (lambda G: Polytope(G, [1.0], ub=[1.0, 2.0]), r"ub must be .* shape \(3,\)"),
    (lambda G: MILP(G, [1.0], integer=[True, False]), "integer must be a bool or 3"),
    (lambda G: MILP(G, [1.0], integer="no"), "integer must be a bool"),
    (lambda G: MILP(G, [1.0], relative_gap=-1), "relative_gap must be a finite number >= 0"),
    (lambda G: MILP(G, [1.0], relative_gap=np.nan), "relative_gap"),
    (lambda G: MILP(G, [1.0], node_limit=2.5), "node_limit must be a whole number"),
    (lambda G: MILP(G, [1.0], time_limit=-1.0), "time_limit"),
    (lambda _: MILP([["a"]], [1.0]), "G must be numbers"),
    (lambda _: MILP([[1.0], [1.0, 2.0]], [1.0]), "G must be an array of numbers"),
    (lambda G: MILP(csr_array(G * 1j), [1.0]), "G must be numbers"),
    (lambda G: Polytope(G, "a"), "h must be numbers"),
    (lambda G: Polytope(G, [1.0], lb={}), "lb must be numbers"),
    (lambda _: Knapsack("no", 1.0), "weights must be numbers"),
    (lambda G: Knapsack(G, "no"), "capacities must be numbers"),
    (lambda G: Knapsack(G, 1.0, np.ones(2)), "solver must be one of"),
    (lambda _: CVRP("no", 1.0, 1), "demands must be numbers"),
    (lambda _: CVRP([1.0], [1.0], 1), "capacity must be a number > 0"),
    (lambda _: CVRP([1.0], np.nan, 1), "capacity must be a number > 0"),
    (lambda _: CVRP([1.0], 1.0, 1, round_trips="no"), "round_trips must be True or False"),
    (lambda _: Matching([(0, 1)], perfect=1), "perfect must be True or False"),
    (lambda _: GraphPath([(0, 1)], 0, 1, directed="no"), "directed must be True or False"),
    (lambda _: GraphPath([(0, 1)], 0, 1, negative=[]), "negative must be one of"),
    (lambda _: GraphPath(None, 0, 1), "edges must be pairs"),
    (lambda _: GridPath((2, 2), np.ones(2)), "neighbours must be one of 4, 8"),
    (lambda _: GridPath((2, 2), costs="nodes"), "costs must be one of"),
    (lambda _: GridPath((3,)), "shape must be a pair"),
    (lambda _: GridPath(3), "shape must be a pair"),
    (lambda _: Knapsack([1e9, 2e9], 3e9, "table"), "use another solver"),
])  # fmt: skip
def test_bad_data_are_named(make, named):
    with pytest.raises(ValueError, match=named):
        make(np.ones((1, 3)))


@pytest.mark.parametrize("limit", ["time_limit", "work_limit"])
def test_limits_of_cp_sat_are_checked(limit):
    module = pytest.importorskip("ortools.sat.python.cp_model")
    model = module.CpModel()
    chosen = [model.new_bool_var(f"x{i}") for i in range(2)]
    for value in (-1, np.nan, "1"):
        with pytest.raises(ValueError, match=limit):
            CpSat(model, chosen, **{limit: value})
    with pytest.raises(TypeError, match="CpModel"):
        CpSat(None, chosen)
    for wrong in (None, "ab", [1, 2]):
        with pytest.raises(TypeError, match="variables must be variables of a CpModel"):
            CpSat(model, wrong)


class TestConesByCvxpy:
    @pytest.fixture
    def made(self):
        cp = pytest.importorskip("cvxpy")
        pytest.importorskip("clarabel")
        y, c = cp.Variable(4), cp.Parameter(4)
        c.value = np.arange(4.0)
        return cp, y, c

    def test_objectives_that_are_not_linear_are_refused(self, made):
        cp, y, c = made
        for objective in (
            cp.square(c @ y), cp.norm1(c) + c @ y, cp.norm(c) + c @ y, c @ y + cp.sum_squares(c)
        ):  # fmt: skip
            with pytest.raises(lpgd.StructureError, match="not linear in the parameter"):
                from_cvxpy(cp.Problem(cp.Minimize(objective), [cp.norm(y) <= 1]), c)

    def test_the_users_parameter_keeps_its_value(self, made):
        cp, y, c = made
        for rows in ([cp.norm(y) <= 1], [y >= 0, y <= 1]):
            y.value = None
            oracle = from_cvxpy(cp.Problem(cp.Minimize(c @ y), rows), c)
            assert y.value is None
            oracle(np.ones((1, 4)))
            assert c.value.tolist() == [0, 1, 2, 3]

    @pytest.mark.parametrize("size", [1e-300, 1e-30, 1e30, 1e300])
    def test_costs_have_no_unit_but_beside_other_terms(self, made, size):
        cp, y, c = made
        draw = np.random.default_rng(0).normal(size=(2, 4))
        ball = from_cvxpy(cp.Problem(cp.Minimize(c @ y), [cp.norm(y) <= 1]), c, solver="CLARABEL")
        unit = draw / np.linalg.norm(draw, axis=1, keepdims=True)
        np.testing.assert_allclose(ball(size * draw), -unit, atol=1e-6)
        smooth = cp.Problem(cp.Minimize(c @ y + 0.5 * cp.sum_squares(y)))
        found = from_cvxpy(smooth, c, solver="CLARABEL")(1e-3 * draw)
        np.testing.assert_allclose(found, -1e-3 * draw, atol=1e-7)

    def test_what_cvxpy_says_is_passed_on(self, made):
        cp, y, c = made
        oracle = from_cvxpy(cp.Problem(cp.Minimize(c @ y), [cp.norm(y) <= 1]), c, solver="NOPE")
        with pytest.raises(lpgd.SolverError, match=r"CVXPY: .*NOPE"):
            oracle(np.ones((1, 4)))

    def test_threads_wait_for_each_other(self, made):
        cp, y, c = made
        oracle = from_cvxpy(cp.Problem(cp.Minimize(c @ y), [cp.norm(y) <= 1]), c, solver="CLARABEL")
        costs = np.random.default_rng(0).normal(size=(4, 4))
        x, often = oracle(costs), sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            with ThreadPoolExecutor(3) as pool:
                found = list(pool.map(oracle, [costs] * 3))
        finally:
            sys.setswitchinterval(often)
        for each_one in found:
            np.testing.assert_array_equal(each_one, x)
