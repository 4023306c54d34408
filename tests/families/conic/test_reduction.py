from dataclasses import replace

import numpy as np
import pytest

from lpgd import Cones
from lpgd.core.params import batched
from lpgd.core.pattern import Pattern
from lpgd.core.solution import Solution
from lpgd.families.conic import equations
from lpgd.families.conic.conic import Conic
from lpgd.families.conic.reduction import Reduction
from lpgd.testing.cone_programs import KINDS, plant

from .defined import residuals, solved


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
    slacks = conic.slacks(params, point.x)
    matrices = plan.balanced(plan.matrices(params), params, point.y, slacks)
    q = params["q"].full()
    if rho:  # with P + rho I and q - rho x* the solution is the same
        more = np.full((3, conic.n), rho)
        matrices = matrices.augmented(more[:, plan.kept], more[:, plan.gone])
        q = q - rho * point.x
    linear = q, params["b"].full()
    start = plan.enter(matrices, point, slacks)
    data = plan.data(matrices, linear)
    _, error, y = equations.residual(plan.cones, data, start)
    assert error.max() < 1e-9
    x, full = plan.leave(matrices, linear, start.x, y)
    np.testing.assert_allclose(x, point.x, atol=1e-9)
    np.testing.assert_allclose(full, point.y, atol=1e-9)


def test_units_bring_multipliers_and_slacks_together():
    case = plant(KINDS["soc"], 0, 2)
    params = {k: batched(p.values * (1e6 if k in "Pq" else 1)) for k, p in case.params.items()}
    point = Solution(case.solution.x, 1e6 * case.solution.y, case.solution.status)
    plan = Reduction.of(case.problem)
    slacks = case.problem.slacks(params, point.x)
    matrices = plan.balanced(plan.matrices(params), params, point.y, slacks)
    assert (np.abs(np.log2(matrices.units) + 20) < 2).all()
    start = plan.enter(matrices, point, slacks)
    data = plan.data(matrices, (params["q"].full(), params["b"].full()))
    _, error, y = equations.residual(plan.cones, data, start)
    assert error.max() < 1e-12
    back = plan.leave(matrices, (params["q"].full(), params["b"].full()), start.x, y)
    np.testing.assert_allclose(back[1], point.y, rtol=1e-9)


def fixed(conic, params, *, but=0):
    """Which entries of A are constant; all but some of those that define variables are 2."""
    values = (params["A"].values == 2).all(axis=0)
    values[np.flatnonzero(values)[:but]] = False
    return values


def test_solvers_get_a_program_where_the_defining_entries_are_constant():
    conic, params = residuals(0)
    assert conic.reduction.program is None
    assert replace(conic, fixed=fixed(conic, params, but=1)).reduction.program is None
    plan = replace(conic, fixed=fixed(conic, params)).reduction
    program = plan.program
    assert (program.n, program.m, program.cones) == (3, 4, Cones(soc=(4,)))
    matrices = plan.matrices(params)
    for name, pattern in program.patterns.items():
        whole = getattr(matrices, name)
        np.testing.assert_array_equal(pattern.dense(whole[:, pattern.rows, pattern.cols]), whole)


def test_solvers_get_no_program_that_has_more_entries():
    conic, params = residuals(0, n=4, k=1)  # one row of four entries against a square of four
    assert replace(conic, fixed=fixed(conic, params)).reduction.program is None


def test_matrices_that_are_shared_are_reduced_once():
    conic, params = residuals(0)
    one = {**params, "A": params["A"].take(np.zeros(3, dtype=int))}
    alone = {name: param.take(np.array([0])) for name, param in params.items()}
    few, many = conic.reduction.matrices(alone), conic.reduction.matrices(one)
    for name in ("P", "A", "back", "pivots", "curve"):
        np.testing.assert_array_equal(getattr(many, name), getattr(few, name)[[0, 0, 0]])
    apart = conic.reduction.matrices(params)
    np.testing.assert_array_equal(apart.P[0], few.P[0])
    assert (apart.P[1] != few.P[0]).any()
