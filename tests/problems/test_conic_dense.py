import numpy as np
import pytest

from lpgd import Cones
from lpgd.params import batched, shared
from lpgd.problems import conic_newton as newton
from lpgd.problems.conic import Conic
from lpgd.problems.conic_dense import Reduction, adjoint
from lpgd.problems.pattern import Pattern
from lpgd.solution import Solution, Status
from lpgd.testing.cone_programs import KINDS, plant
from lpgd.tilt import Cotangent


def residuals(seed, batch=3, n=3, k=4):
    """minimise 1/2 ||r||^2 + 1/2 ||x||^2 + q'x  with  r = Fx - g, ||x|| <= 1: r is defined."""
    rng = np.random.default_rng(seed)
    A = np.zeros((batch, k + 1 + n, n + k))
    A[:, :k, :n], A[:, :k, n:] = -rng.normal(size=(batch, k, n)), 2 * np.eye(k)
    A[:, k + 1 :, :n] = -np.eye(n)
    b = np.concatenate([rng.normal(size=(batch, k)), np.ones((batch, 1)), np.zeros((batch, n))], 1)
    q = np.concatenate([3 * rng.normal(size=(batch, n)), np.zeros((batch, k))], 1)
    rows, cols = np.nonzero(A[0])
    order = rng.permutation(len(rows))
    pattern = Pattern(rows[order], cols[order], A.shape[1:])
    every = np.arange(n + k)
    params = {
        "P": shared(np.ones(n + k), batch),
        "q": batched(q),
        "A": batched(A[:, pattern.rows, pattern.cols]),
        "b": batched(b),
    }
    patterns = {"P": Pattern(every, every, (n + k, n + k)), "A": pattern}
    return Conic(n + k, Cones(zero=k, soc=(n + 1,)), patterns), params


def solved(conic, params):
    """By Newton's method on the whole program, from the centre."""
    plan = Reduction.of(Conic(conic.n, conic.cones))
    dense = {k: p.full() for k, p in params.items()}
    for name, pattern in conic.patterns.items():
        dense[name] = pattern.dense(dense[name])
    size = len(dense["q"])
    blank = Solution.blank(size, conic.n, conic.m)
    whole = plan.matrices({k: batched(v) for k, v in dense.items()}, blank)
    linear = dense["q"], dense["b"]
    data = plan.data(whole, linear)
    first = plan.enter(whole, blank, dense["b"])
    found = newton.solve(plan.cones, data, first, None, 50)
    assert found.error.max() < newton.FINE
    y = newton.project(plan.cones, found.v, found.s)
    status = np.full(size, Status.OPTIMAL, dtype=np.int8)
    return Solution(*plan.leave(whole, linear, found, y), status)


def test_defined_variables_go_with_their_rows():
    conic, _ = residuals(0)
    plan = Reduction.of(conic)
    assert plan.gone.tolist() == [3, 4, 5, 6]
    assert plan.used.tolist() == [0, 1, 2, 3]
    assert plan.cones == Cones(soc=(4,))
    assert plan.usual == 4
    assert not len(Reduction.of(Conic(3, Cones(zero=2))).gone)


@pytest.mark.parametrize(
    "P, gone",
    [
        ([], [1, 2]),
        ([(1, 1), (2, 2), (1, 2), (2, 1)], [1, 2]),
        ([(0, 1), (1, 0)], [2]),
        ([(0, 1), (1, 0), (1, 2), (2, 1)], []),
    ],
)
def test_variables_that_meet_others_in_the_objective_stay(P, gone):
    def pattern(places, shape):
        rows, cols = (np.array([p[i] for p in places], dtype=np.intp) for i in (0, 1))
        return Pattern(rows, cols, shape)

    A = pattern([(0, 0), (0, 1), (1, 0), (1, 2)], (2, 3))
    conic = Conic(3, Cones(zero=2), {"A": A, "P": pattern(P, (3, 3))})
    assert Reduction.of(conic).gone.tolist() == gone


def test_a_row_defines_one_variable_and_one_variable_stays():
    rows, cols = np.array([0, 0]), np.array([0, 1])
    conic = Conic(2, Cones(zero=1), {"A": Pattern(rows, cols, (1, 2))}, quadratic=False)
    assert len(Reduction.of(conic).gone) == 1
    one = Pattern(rows[:1], cols[:1], (1, 1))
    assert not len(Reduction.of(Conic(1, Cones(zero=1), {"A": one}, quadratic=False)).gone)


@pytest.mark.parametrize("rho", [0.0, 0.7])
def test_the_reduced_program_has_the_solution(rho):
    conic, params = residuals(1)
    point, plan = solved(conic, params), Reduction.of(conic)
    matrices = plan.matrices(params, point)
    q = params["q"].full()
    if rho:  # with P + rho I and q - rho x* the solution is the same
        matrices, q = matrices.augmented(np.full(3, rho)), q - rho * point.x
    linear = q, params["b"].full()
    start = plan.enter(matrices, point, conic.slacks(params, point.x))
    data = plan.data(matrices, linear)
    _, error, y = newton.residual(plan.cones, data, start)
    assert error.max() < 1e-9
    x, full = plan.leave(matrices, linear, start, y)
    np.testing.assert_allclose(x, point.x, atol=1e-9)
    np.testing.assert_allclose(full, point.y, atol=1e-9)


def test_units_bring_multipliers_and_slacks_together():
    case = plant(KINDS["soc"], 0, 2)
    params = {k: batched(p.values * (1e6 if k in "Pq" else 1)) for k, p in case.params.items()}
    point = Solution(case.solution.x, 1e6 * case.solution.y, case.solution.status)
    plan = Reduction.of(case.problem)
    matrices = plan.matrices(params, point)
    assert (np.abs(np.log2(matrices.units) + 20) < 2).all()
    start = plan.enter(matrices, point, case.problem.slacks(params, point.x))
    data = plan.data(matrices, (params["q"].full(), params["b"].full()))
    _, error, y = newton.residual(plan.cones, data, start)
    assert error.max() < 1e-12
    back = plan.leave(matrices, (params["q"].full(), params["b"].full()), start, y)
    np.testing.assert_allclose(back[1], point.y, rtol=1e-9)


def test_the_adjoint_is_the_limit_of_tilted_solutions():
    conic, params = residuals(2)
    point, rng, t = solved(conic, params), np.random.default_rng(0), 1e-5
    n, m = conic.n, conic.m
    dx, dy = rng.normal(size=(3, n)), rng.normal(size=(3, m))
    found = adjoint(conic, params, point, Cotangent(np.arange(3), dx, dy), 0.0)
    ends = []
    for sign in (t, -t):
        moved = dict(params)
        moved["q"] = batched(params["q"].full() + sign * dx)
        moved["b"] = batched(params["b"].full() - sign * dy)
        ends.append(solved(conic, moved))
    np.testing.assert_allclose(found.a, (ends[0].x - ends[1].x) / (2 * t), atol=1e-7)
    np.testing.assert_allclose(found.v, (ends[0].y - ends[1].y) / (2 * t), atol=1e-7)
    assert not found.degenerate.any()


def test_weakly_active_rows_are_held_and_reported():
    # min 1/2 x^2 s.t. x >= 0: the row holds with multiplier zero
    conic = Conic(1, Cones(nonneg=1))
    params = {k: batched(np.array([v])) for k, v in
              {"P": [[1.0]], "q": [0.0], "A": [[-1.0]], "b": [0.0]}.items()}  # fmt: skip
    nothing, one = np.zeros((1, 1)), np.ones((1, 1))
    point = Solution(nothing, nothing, np.zeros(1, dtype=np.int8))
    found = adjoint(conic, params, point, Cotangent(np.array([0]), one, nothing), 0.0)
    assert found.degenerate.all()
    np.testing.assert_allclose(found.a, 0, atol=1e-12)


def test_a_definition_that_a_value_undoes_is_none():
    conic, params = residuals(4)
    A = params["A"].full().copy()
    pattern = conic.patterns["A"]
    A[1, (pattern.rows == 0) & (pattern.cols == 3)] = 0.0  # 0 r_0 = F x - g: a row for x alone
    params["A"] = batched(A)
    point = solved(conic, params)
    rng = np.random.default_rng(0)
    dx, dy = rng.normal(size=point.x.shape), rng.normal(size=point.y.shape)
    rows = np.arange(len(point))
    found = adjoint(conic, params, point, Cotangent(rows, dx, dy), 0.0)
    values = {"P": conic.patterns["P"].dense(params["P"].values), "A": pattern.dense(A)}
    dense = {**params, "P": shared(values["P"][0], len(point)), "A": batched(values["A"])}
    whole = Conic(conic.n, conic.cones)
    expected = adjoint(whole, dense, point, Cotangent(rows, dx, dy), 0.0)
    np.testing.assert_allclose(found.a, expected.a, atol=1e-8)
    np.testing.assert_allclose(found.v, expected.v, atol=1e-8)
