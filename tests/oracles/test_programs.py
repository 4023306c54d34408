"""Programs as oracles: from matrices, from CVXPY, of CP-SAT."""

import itertools
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.optimize import linprog

import lpgd
from lpgd.core.solution import Flag, Status
from lpgd.oracles import (
    MILP,
    CpSat,
    Each,
    Knapsack,
    Polytope,
    PyEPOGrid,
    each,
    from_cvxpy,
)
from tests.oracles.sets import balance, binary, hold, some_costs


def test_integer_programs_are_exact():
    draw, met = np.random.default_rng(0), set()
    for _ in range(60):
        n, rows = map(int, draw.integers(1, 6, 2))
        G, h = draw.integers(-3, 4, (rows, n)), draw.integers(-2, 4, rows)
        points = np.array(list(itertools.product(range(3), repeat=n)), dtype=float)
        points = points[(points @ G.T <= h).all(axis=1)]
        met.add(len(points) > 0)
        costs = some_costs(draw, 2, n)
        hold(MILP(G, h, ub=2).reply(costs), costs, points)
    assert met == {True, False}


def test_costs_of_any_size_are_fair():
    points = binary(6)
    points = points[points.sum(axis=1) == 3]
    for size in (1e-12, 1.0, 1e12):
        costs = size * np.random.default_rng(1).normal(size=(4, 6))
        hold(MILP(A=np.ones((1, 6)), b=[3], ub=1).reply(costs), costs, points, atol=1e-9 * size)


def test_mixed_programs_have_continuous_entries():
    x = MILP([[1.0, 1.0]], [2.5], ub=[9, 9], integer=[True, False])(np.array([[-2.0, -1.0]]))
    np.testing.assert_allclose(x, [[2.0, 0.5]], atol=1e-9)


def test_limits_are_told():
    draw = np.random.default_rng(2)
    weights = draw.integers(1, 1000, (5, 60))
    costs = -draw.random((1, 60)) - weights.mean(axis=0) / 100
    limited = MILP(weights, weights.sum(axis=1) // 2, ub=1, node_limit=1)
    reply = limited.reply(costs)
    assert reply.flags.tolist() == [Flag.INCUMBENT]
    assert (limited.reply(costs).x == reply.x).all()  # nodes are deterministic
    assert (weights @ reply.x[0] <= weights.sum(axis=1) // 2).all()
    loose = MILP(weights, weights.sum(axis=1) // 2, ub=1, relative_gap=0.2)
    assert loose.reply(costs).flags is None
    assert (loose.gap, limited.gap) == (0.2, np.inf)


def test_linear_programs_are_those_of_scipy():
    draw, met = np.random.default_rng(3), set()
    for _ in range(60):
        n, rows = map(int, draw.integers(1, 7, 2))
        G, h, costs = (
            draw.normal(size=(rows, n)),
            draw.normal(size=rows) + 0.5,
            draw.normal(size=(3, n)),
        )
        box = float(draw.choice([1.0, np.inf]))
        reply = Polytope(G, h, ub=box).reply(costs)
        status = np.zeros(3, dtype=int) if reply.status is None else reply.status
        for row, cost in enumerate(costs):
            best = linprog(cost, G, h, bounds=(0, box))
            met.add(best.status)
            assert status[row] == {0: 0, 2: 2, 3: 3}[best.status]
            if best.status == 0:
                assert reply.x[row] @ cost == pytest.approx(best.fun, abs=1e-7)
                assert (G @ reply.x[row] <= h + 1e-7).all()
    assert met == {0, 2, 3}


def test_polytopes_do_not_answer_by_history():
    draw = np.random.default_rng(11)
    for trial in range(12):
        n, rows = map(int, draw.integers(2, 12, 2))
        G = draw.integers(-2, 3, (rows, n)) if trial % 2 else draw.normal(size=(rows, n))
        oracle = Polytope(G, draw.uniform(-0.3, 2, rows), ub=draw.choice([1.0, np.inf]))
        costs = np.concatenate([draw.normal(size=(8, n)), draw.integers(-2, 3, (16, n))])
        first, order = oracle.reply(costs), draw.permutation(len(costs))
        again = oracle.reply(costs[order])
        np.testing.assert_array_equal(again.x, first.x[order])
        if first.status is not None:
            np.testing.assert_array_equal(again.status, first.status[order])
        alone = pickle.loads(pickle.dumps(oracle)).reply(costs[-1:])  # a solver of its own
        np.testing.assert_array_equal(alone.x[0], first.x[-1])


def test_a_grid_as_a_polytope():
    grid, ends = PyEPOGrid(4, 4), np.zeros(16)
    ends[0], ends[-1] = 1, -1
    oracle = Polytope(A=balance(grid.edges, 16), b=ends, ub=1.0)
    costs = np.random.default_rng(4).normal(size=(20, len(grid.edges)))
    x = oracle(costs)
    np.testing.assert_allclose(x, grid(costs), atol=1e-9)
    copy = pickle.loads(pickle.dumps(oracle))
    assert (copy(costs[7:8]) == x[7]).all()  # alone, and without what was built


@pytest.mark.parametrize("make", [
    lambda: MILP(), lambda: MILP([[1.0]]), lambda: MILP([[1.0]], [1.0], [[1.0, 2.0]], [1.0]),
])  # fmt: skip
def test_incomplete_programs_are_refused(make):
    with pytest.raises(ValueError, match="G"):
        make()


def test_a_function_of_one_cost():
    def first(cost, bound=9.0):
        if cost[0] > bound:
            raise KeyError("too dear")
        return np.sign(cost)

    oracle = each(first)
    costs = np.array([[1.0, -2.0], [10.0, 1.0]])
    reply = oracle.reply(costs)
    assert reply.status.tolist() == [0, lpgd.Status.CRASHED]
    assert reply.notes == {1: "crashed: KeyError: 'too dear'"}
    with pytest.raises(KeyError):
        oracle(costs)
    assert oracle(costs, [9, 11])[1].tolist() == [1, 1]
    assert pickle.loads(pickle.dumps(Each(np.sign)))(costs)[0].tolist() == [1, -1]
    with pytest.raises(TypeError, match="callable"):
        each(3)


class TestCvxpy:
    @pytest.fixture
    def cp(self):
        return pytest.importorskip("cvxpy")

    def test_binary_programs(self, cp):
        y, c = cp.Variable(5, boolean=True), cp.Parameter(5)
        f = np.array([0.3, 0.1, -0.2, 0.0, 0.4])
        problem = cp.Problem(cp.Minimize(c @ y + f @ y + c[0] + 3), [cp.sum(y) >= 2])
        oracle = from_cvxpy(problem, c)
        costs = np.random.default_rng(0).normal(size=(30, 5))
        points = binary(5)
        points = points[points.sum(axis=1) >= 2]
        for x, cost in zip(oracle(costs), costs, strict=True):
            best = points[(points @ (cost + f)).argmin()].copy()
            best[0] += 1  # the objective multiplies c[0] by y[0] + 1
            assert x.tolist() == best.tolist()
        assert (pickle.loads(pickle.dumps(oracle))(costs) == oracle(costs)).all()

    def test_maximising_problems_get_negated_costs(self, cp):
        y, c = cp.Variable((2, 3), nonneg=True), cp.Parameter((2, 3))
        objective = cp.Maximize(cp.sum(cp.multiply(c, y)))
        oracle = from_cvxpy(cp.Problem(objective, [cp.sum(y, axis=1) == 1]), c)
        values = np.random.default_rng(1).normal(size=(5, 2, 3))
        assert (oracle(-values).argmax(axis=2) == values.argmax(axis=2)).all()

    def test_other_problems_are_cvxpys(self, cp):
        y, c = cp.Variable(3), cp.Parameter(3)
        oracle = from_cvxpy(cp.Problem(cp.Minimize(c @ y), [cp.norm(y) <= 2]), c)
        costs = np.random.default_rng(2).normal(size=(3, 3))
        expected = -2 * costs / np.linalg.norm(costs, axis=1, keepdims=True)
        np.testing.assert_allclose(oracle(costs), expected, atol=1e-4)
        copy = pickle.loads(pickle.dumps(oracle))
        np.testing.assert_allclose(copy(costs), expected, atol=1e-4)

    def test_solvers_do_not_start_from_the_last_solution(self, cp):
        y, c = cp.Variable(3), cp.Parameter(3)
        problem = cp.Problem(cp.Minimize(c @ y), [cp.norm(y) <= 2])
        oracle = from_cvxpy(problem, c, solver=cp.SCS)
        costs = np.random.default_rng(3).normal(size=(6, 3))
        np.testing.assert_array_equal(oracle(costs[::-1])[::-1], oracle(costs))

    def test_what_is_no_fixed_set_is_refused(self, cp):
        y, c, k = cp.Variable(3), cp.Parameter(3), cp.Parameter()
        fits = [cp.sum(y) == 1, y >= 0]
        for objective, rows, parameter, why in [
            (c @ y, [y <= c], c, "constraints depend"),
            (c @ y, fits, cp.Parameter(3), "no parameter of the problem"),
            (c @ y, fits, None, "None is no parameter of the problem"),
            (c @ y + k, fits, c, "without a value"),
        ]:
            with pytest.raises(lpgd.StructureError, match=why):
                from_cvxpy(cp.Problem(cp.Minimize(objective), rows), parameter)
        signed = cp.Parameter(3, nonneg=True)
        with pytest.raises(lpgd.StructureError, match="has a sign"):
            from_cvxpy(cp.Problem(cp.Minimize(signed @ y), fits), signed)


class TestCpSat:
    @pytest.fixture
    def cp_model(self):
        return pytest.importorskip("ortools.sat.python.cp_model")

    def model(self, cp_model):
        model = cp_model.CpModel()
        x = [model.new_int_var(0, 3, f"x{i}") for i in range(4)]
        model.add(sum(x) == 5)
        return model, x

    def test_models_are_exact_to_their_resolution(self, cp_model):
        points = np.array(list(itertools.product(range(4), repeat=4)), dtype=float)
        points = points[points.sum(axis=1) == 5]
        oracle = CpSat(*self.model(cp_model))
        costs = some_costs(np.random.default_rng(0), 10, 4)
        hold(oracle.reply(costs), costs, points, atol=5e-6 * np.abs(costs).max())
        assert (pickle.loads(pickle.dumps(oracle))(costs) == oracle(costs)).all()

    def test_empty_sets_and_wrong_options(self, cp_model):
        model, x = self.model(cp_model)
        kept = CpSat(model, x)
        model.add(x[0] >= 4)
        assert CpSat(model, x).reply(np.ones((1, 4))).status.tolist() == [lpgd.Status.INFEASIBLE]
        assert kept(np.ones((1, 4))).sum() == 5  # a copy of its own
        with pytest.raises(ValueError, match="resolution"):
            CpSat(model, x, resolution=0.0)


def test_pyepo_models_are_oracles():
    pytest.importorskip("gurobipy")
    grb = pytest.importorskip("pyepo.model.grb")
    from pyepo.model.utils import _get_grid_arcs

    from lpgd.oracles import PyEPOModel

    draw, grid = np.random.default_rng(5), PyEPOGrid(5, 5)
    assert grid.edges == _get_grid_arcs((5, 5))
    costs = draw.random((6, 40))
    np.testing.assert_allclose(PyEPOModel(grb.shortestPathModel((5, 5)))(costs), grid(costs))
    weights = draw.integers(3, 8, (2, 10))
    values, knapsack = draw.random((6, 10)), grb.knapsackModel(weights, [20, 20])
    expected = Knapsack(weights, [20, 20])(-values)
    np.testing.assert_allclose(PyEPOModel(knapsack)(-values), expected)
    more = PyEPOModel(knapsack.addConstr(np.ones(10), 2))
    x = more(-values)
    assert x.sum(axis=1).max() == 2
    np.testing.assert_allclose(pickle.loads(pickle.dumps(more))(-values), x)


def test_pyepos_gurobi_models_do_not_answer_by_history():
    pytest.importorskip("gurobipy")
    grb = pytest.importorskip("pyepo.model.grb")
    from lpgd.oracles import PyEPOModel

    draw = np.random.default_rng(6)
    knapsack = grb.knapsackModel(draw.integers(1, 9, (2, 6)), [12, 15])
    for oracle in map(PyEPOModel, (grb.shortestPathModel((3, 3)), knapsack)):
        costs = np.rint(draw.normal(size=(40, *oracle.shape)))  # ties
        together = oracle(costs)
        np.testing.assert_array_equal(oracle(costs[::-1])[::-1], together)
        np.testing.assert_array_equal(oracle(costs[20:21]), together[20:21])


class TestThreads:
    """Oracles that hold a solver are shared by the threads that ``n_jobs`` may bring."""

    @pytest.fixture(autouse=True)
    def restless(self):
        kept = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        yield
        sys.setswitchinterval(kept)

    def compared(self, oracle, costs):
        alone = oracle(costs)
        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(oracle, [costs] * 4):
                np.testing.assert_array_equal(found, alone)

    @pytest.mark.parametrize("solver", ["ortools", "highs", "table"])
    def test_knapsacks(self, solver):
        if solver == "ortools":
            pytest.importorskip("ortools")
        draw = np.random.default_rng(7)
        weights = draw.integers(1, 100, (1 if solver == "table" else 3, 20))
        oracle = Knapsack(weights, weights.sum(axis=1) // 2, solver)
        self.compared(oracle, -draw.random((3 if solver == "highs" else 40, 20)))

    def test_gurobi_models(self):
        pytest.importorskip("gurobipy")
        grb = pytest.importorskip("pyepo.model.grb")
        from lpgd.oracles import PyEPOModel

        weights = np.random.default_rng(7).integers(1, 100, (3, 12))
        model = PyEPOModel(grb.knapsackModel(weights, (weights.sum(axis=1) // 2).tolist()))
        self.compared(model, -np.random.default_rng(8).random((6, 12)))

    def test_cvxpy_problems(self):
        cp = pytest.importorskip("cvxpy")
        y, c = cp.Variable(3), cp.Parameter(3)
        oracle = from_cvxpy(cp.Problem(cp.Minimize(c @ y), [cp.norm(y) <= 2]), c)
        self.compared(oracle, np.random.default_rng(9).normal(size=(4, 3)))

    @pytest.mark.parametrize("integer", [False, True])
    def test_programs(self, integer):
        draw = np.random.default_rng(10)
        G, costs = draw.integers(0, 9, (4, 8)), -draw.random((5, 8))
        make = MILP if integer else Polytope
        self.compared(make(G, G.sum(axis=1) // 3, ub=1), costs)


@pytest.mark.parametrize("integer", [True, False])
def test_unbounded_and_infeasible_sets_are_told_apart(integer):
    endless = MILP(-np.ones((1, 2)), [0.0], integer=integer)
    assert endless.reply(-np.ones((2, 2))).status.tolist() == [Status.UNBOUNDED] * 2
    empty = MILP(np.ones((1, 2)), [-1.0], integer=integer)
    assert empty.reply(-np.ones((1, 2))).status.tolist() == [Status.INFEASIBLE]


def test_matrices_of_more_dimensions_are_named():
    with pytest.raises(ValueError, match=r"G must have two dimensions, got shape \(1, 2, 2\)"):
        Polytope(np.ones((1, 2, 2)), [1.0])
