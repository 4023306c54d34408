"""Points that are right, and such that are wrong, in any units."""

from dataclasses import replace

import numpy as np
import pytest

from lpgd.core.params import Param, batched, shared
from lpgd.core.pattern import Pattern
from lpgd.core.solution import Solution
from lpgd.engines.daqp.engine import DaqpEngine
from lpgd.families.conic.cones import Cones
from lpgd.families.conic.conic import Conic
from lpgd.families.qp.qp import QP
from lpgd.families.quadratic import optimality
from lpgd.testing import Program, Shape, plant
from lpgd.testing import cone_programs as cones
from tests.support import program

WRONG = 1e-3


def qp(seed=0, **options):
    shape = Shape(5, 2, 6, ("lb", "ub"), batch=3, distinct=dict.fromkeys("qhb", 3), **options)
    return plant(shape, np.random.default_rng(seed))


def linear(case):
    return Program(
        replace(case.problem, quadratic=False),
        {name: param for name, param in case.params.items() if name != "P"},
        case.solution,
    )


CASES = {
    "QP": qp(),
    "LP": qp(quadratic=False),
    "sparse LP": qp(quadratic=False, sparse=True),
    **{name: cones.plant(kinds, 1, 3) for name, kinds in cones.KINDS.items()},
    "sparse mixed": cones.plant(cones.KINDS["mixed"], 2, 3, sparse=True),
}
EACH = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def residual(case, x=None, y=None):
    point = case.solution
    point = replace(point, x=point.x if x is None else x, y=point.y if y is None else y)
    return case.problem.residual(case.params, point)


def scaled(case, costs=1.0, sides=1.0, rows=None):
    """In other units: objective times costs, x times sides, and row i times rows[i]."""
    problem = case.problem
    rows = np.ones(problem.m) if rows is None else rows
    names = {"A": "b", "G": "h"}
    params = dict(case.params)
    factors = {"P": costs / sides, "q": costs, "lb": sides, "ub": sides}
    for name, factor in factors.items():
        if name in params:
            params[name] = Param(params[name].values * factor, params[name].index)
    for name, rhs in names.items():
        if name in params:
            own = rows[problem.blocks[name]]
            per_entry = (
                own[problem.patterns[name].rows] if name in problem.patterns else own[:, None]
            )
            params[name] = Param(params[name].values * per_entry, params[name].index)
            params[rhs] = Param(params[rhs].values * own * sides, params[rhs].index)
    point = case.solution
    y = point.y * costs / rows
    return Program(problem, params, replace(point, x=point.x * sides, y=y))


def row_factors(problem, seed=0):
    """A power of two for each row of a matrix; one for each cone that is not a half-line."""
    rng, factors = np.random.default_rng(seed), np.ones(problem.m)
    for kind, start, stop in problem.cones.blocks():
        size = stop - start if kind in ("zero", "nonneg") else 1
        factors[start:stop] = 2.0 ** rng.integers(-20, 20, size)
    for name in ("lb", "ub"):
        problem.block(factors, name)[:] = 1
    return factors


@EACH
def test_planted_solutions_are_optimal(case):
    assert residual(case).max() < 1e-12


@EACH
@pytest.mark.parametrize("part", ["x", "y"])
def test_others_are_not(case, part):
    values = getattr(case.solution, part)
    rng = np.random.default_rng(0)
    moved = values + 0.1 * np.abs(values).max() * rng.normal(size=values.shape)
    found = residual(case, **{part: moved})
    assert (found > WRONG).all()
    slightly = residual(case, **{part: values + 1e-9 * (moved - values)})
    assert (slightly < 1e-8).all()
    assert (slightly > 1e-12).all()


@EACH
@pytest.mark.parametrize("costs, sides", [(2.0**40, 1), (2.0**-40, 1), (1, 2.0**-40), (1, 2.0**40)])
def test_units_change_nothing(case, costs, sides):
    other = scaled(case, costs, sides, row_factors(case.problem))
    assert residual(other).max() < 1e-12
    for part in ("x", "y"):
        rng = np.random.default_rng(1)
        way = 1 + 1e-4 * rng.normal(size=getattr(case.solution, part).shape)
        found = residual(case, **{part: getattr(case.solution, part) * way})
        same = residual(other, **{part: getattr(other.solution, part) * way})
        np.testing.assert_allclose(same, found, rtol=1e-6)


@pytest.mark.parametrize("power", [-70, 0, 70])
def test_large_costs_make_no_violation_rounding(power):
    """x solves the equations; that costs would put it at 1e20 without these is no excuse."""
    b, lb = np.ldexp([3.0, 3.0], power), np.ldexp([-1e20, -1e20], power)
    q = np.ldexp([1e20, -2e20], power)
    problem, params = program(P=np.eye(2), q=q, A=[[1, 2], [2, 1]], b=b, lb=lb)
    y = np.array([[*np.ldexp([5e20 / 3, -4e20 / 3], power), 0, 0]])
    for x, right in ((1.0, True), (1 + 1e-14, True), (1.001, False), (1e4, False)):
        at = Solution(np.full((1, 2), np.ldexp(x, power)), y, np.zeros(1, np.int8))
        assert (problem.residual(params, at)[0] < 1e-6) == right


def test_rows_that_pass_through_the_origin_are_cheap(monkeypatch):
    """Their terms are rounding at a solution on them; exact sizes of all data are not needed."""
    rng = np.random.default_rng(0)
    P, G = np.eye(4), rng.normal(size=(2, 4))
    lb = np.array([0.0, -1, -np.inf, 0])
    problem, params = program(P=P, q=rng.normal(size=4), G=G, h=np.zeros(2), lb=lb)
    solution = DaqpEngine().solve(problem, params).solution
    x = solution.x + 1e-17 * np.abs(rng.normal(size=4))
    assert np.abs(problem.product(params, x)).min() < 1e-15
    monkeypatch.setattr(optimality, "_fair", None)
    assert problem.residual(params, replace(solution, x=x))[0] < 1e-12


def test_a_row_of_zeros_is_judged_beside_the_others():
    # x_2 is rounding, and so are the terms of its row and its column
    problem, params = program(P=np.eye(2), q=[-1, 0], G=[[0, 1], [1, 0]], h=[0, 1])
    at = Solution(np.array([[1.0, 1e-17]]), np.array([[1e-17, 0.0]]), np.zeros(1, np.int8))
    assert problem.residual(params, at)[0] < 1e-10


@pytest.mark.parametrize("scale", [1.0, 1e-8, 1e8])
def test_a_point_at_zero_has_the_units_of_its_data(scale):
    problem, params = program(q=[1, 1], G=-np.eye(2), h=[0, 0], ub=[scale, 1e9])
    y = np.array([[1.0, 1.0, 0.0, 0.0]])
    for x, right in (([0.0, 0.0], True), ([-1e-16, 1e-16], True), ([-0.1, 0.0], False)):
        at = Solution(scale * np.array([x]), y, np.zeros(1, np.int8))
        assert (problem.residual(params, at)[0] < 1e-9) == right


def regressions(seed, noise=1.0):
    """Least squares with residuals as variables of their own, the others without costs."""
    rng = np.random.default_rng(seed)
    S, y, none = rng.normal(size=(4, 3)), rng.normal(size=4), np.zeros((3, 3))
    y = S @ np.linalg.lstsq(S, y)[0] + noise * y  # all that is left where noise is 0 is rounding
    P = np.block([[none, np.zeros((3, 4))], [np.zeros((4, 3)), np.eye(4)]])
    return program(P=P, q=np.zeros(7), A=np.hstack([S, -np.eye(4)]), b=y)


@pytest.mark.parametrize("noise", [1.0, 0.0])
def test_sums_that_are_rounding_need_no_other_units(noise, monkeypatch):
    monkeypatch.setattr(optimality, "_fair", None)
    for seed in range(20):
        problem, params = regressions(seed, noise)
        assert DaqpEngine().solve(problem, params).accuracy <= optimality.SURE


@pytest.mark.parametrize("seed", range(5))
def test_units_that_are_too_small_are_never_too_large(seed, monkeypatch):
    problem, params = regressions(seed)
    rng, point = np.random.default_rng(seed), DaqpEngine().solve(problem, params).solution
    tries = [point]
    for size in 10.0 ** np.arange(-14, -8):
        for _ in range(20):
            x, y = (part * (1 + size * rng.normal(size=part.shape)) for part in (point.x, point.y))
            tries.append(replace(point, x=x, y=y))
    quick = [problem.residual(params, at)[0] for at in tries]
    monkeypatch.setattr(optimality, "SURE", -1.0)  # none is sure
    fair = [problem.residual(params, at)[0] for at in tries]
    assert (np.array(fair) <= (1 + 1e-9) * np.array(quick)).all()
    assert (np.array(fair) < np.array(quick)).any()


@pytest.mark.parametrize("length", [2.0**-30, 1.0, 2.0**30])
def test_a_variable_in_small_units_is_judged_like_the_others(length):
    """Whatever the units of x_2, in which its costs are small, and the length of x."""
    for unit in (1.0, 2.0**-12, 2.0**12):
        q, ub = length * np.array([-1, -unit]), length * np.array([0.5, 9 / unit])
        problem, params = program(P=np.diag([1.0, unit**2]), q=q, ub=ub)
        for x, least, most in ((1.0, 0.0, 1e-12), (1.2, 0.09, 0.2)):
            at = length * np.array([[0.5, x / unit]])
            point = Solution(at, length * np.array([[0.5, 0.0]]), np.zeros(1, np.int8))
            assert least <= problem.residual(params, point)[0] <= most


def in_units(case, factors):
    """With variables in other units: those of the user times factors (n,)."""
    problem, params, point = case.problem, dict(case.params), case.solution
    y = point.y.copy()
    for name, power in {"P": -1, "q": -1, "A": -1, "G": -1, "lb": 1, "ub": 1}.items():
        if name in params:
            scale = factors**power
            if name in problem.patterns:
                scale = scale[problem.patterns[name].cols]
            values = params[name].values * scale
            params[name] = Param(values, params[name].index)
    P = params["P"].values
    places = problem.patterns["P"].rows if "P" in problem.patterns else (slice(None), None)
    params["P"] = Param(P / factors[places], params["P"].index)
    for name in problem.blocks.keys() & {"lb", "ub"}:
        y[:, problem.blocks[name]] /= factors
    return Program(problem, params, replace(point, x=point.x * factors, y=y))


UNITS = {
    "QP": CASES["QP"],
    "QP on patterns": qp(sparse=True),
    "cones on patterns": cones.plant(cones.KINDS["mixed"], 2, 3, sparse=True),
    **{name: cones.plant(kinds, 1, 3) for name, kinds in cones.KINDS.items()},
}


@pytest.mark.parametrize("case", UNITS.values(), ids=UNITS)
@pytest.mark.parametrize("seed", range(3))
def test_each_variable_counts_in_its_own_units(case, seed):
    """However far apart these are: one that is wrong is found, and none that is right."""
    rng = np.random.default_rng(seed)
    factors = 2.0 ** rng.integers(-24, 24, case.problem.n)
    other = in_units(case, factors)
    assert residual(other).max() < 1e-10
    for j in range(case.problem.n):
        x = other.solution.x.copy()
        x[:, j] += 0.5 * factors[j]
        assert residual(other, x=x).min() > WRONG


def test_a_broken_equation_is_seen_beside_rows_in_large_units():
    x = np.array([[1.0, 1 - 1e-5]])
    data = {"A": [[1.0, -1.0]], "b": [0.0], "G": [[1e9, 1e9]], "h": [1e12]}
    problem, params = program(P=np.eye(2), q=-x[0], **data)
    point = Solution(x, np.zeros((1, 2)), np.zeros(1, np.int8))
    assert problem.residual(params, point)[0] == pytest.approx(5e-6, rel=0.1)


def test_costs_that_nothing_holds_are_not_excused_by_large_multipliers():
    problem, params = program(P=np.zeros((2, 2)), q=[-1, -1], G=[[0, 1]], h=[1])
    for size in (1.0, 1e20):
        at = Solution(np.array([[size, 1.0]]), np.array([[size]]), np.zeros(1, np.int8))
        moved = {**params, "q": batched(np.array([[-1.0, -size]]))}
        assert problem.residual(moved, at)[0] > WRONG


def test_infinite_bounds_ask_for_nothing_but_no_multiplier():
    problem, params = program(P=[[1.0]], q=[-1.0], lb=[-np.inf], ub=[np.inf])
    for y, right in (([0.0, 0.0], True), ([0.0, 0.1], False)):
        at = Solution(np.array([[1 - sum(y)]]), np.array([y]), np.zeros(1, np.int8))
        assert (problem.residual(params, at)[0] < 1e-12) == right


def test_multipliers_of_the_wrong_sign_and_of_slack_rows():
    problem, params = program(P=[[1.0]], q=[0.0], G=[[1.0], [-1.0]], h=[1.0, 1.0])
    good = Solution(np.zeros((1, 1)), np.zeros((1, 2)), np.zeros(1, np.int8))
    assert problem.residual(params, good)[0] == 0
    for y in ([0.5, 0.5], [-0.5, -0.5]):  # stationary, but neither row is active
        assert problem.residual(params, replace(good, y=np.array([y])))[0] > WRONG


def test_values_that_are_not_finite_are_far_from_optimal():
    case = CASES["QP"]
    for value in (np.nan, np.inf):
        x = case.solution.x.copy()
        x[1, 0] = value
        found = residual(case, x=x)
        assert found[1] == np.inf
        assert (found[[0, 2]] < 1e-12).all()


@EACH
def test_a_residual_depends_on_its_element_alone(case):
    x = case.solution.x * (1 + 1e-5 * np.random.default_rng(0).normal(size=case.solution.x.shape))
    found = residual(case, x=x)
    for row in range(3):
        one = np.array([row])
        params = {name: param.take(one) for name, param in case.params.items()}
        alone = case.problem.residual(params, replace(case.solution, x=x).take(one))
        assert alone[0] == found[row]


def on_patterns(problem, params):
    """The same QP with every matrix on a pattern."""
    patterns, sparse = {}, dict(params)
    for name in params.keys() & {"P", "A", "G"}:
        rows, cols = np.nonzero(np.any(params[name].values, axis=0))
        patterns[name] = Pattern(rows, cols, params[name].values.shape[1:])
        sparse[name] = Param(params[name].values[:, rows, cols], params[name].index)
    return replace(problem, patterns=patterns), sparse


def test_a_qp_on_patterns_is_judged_alike():
    case = CASES["QP"]
    problem, params = on_patterns(case.problem, case.params)
    x = case.solution.x + 1e-3
    found = problem.residual(params, replace(case.solution, x=x))
    np.testing.assert_allclose(found, residual(case, x=x), rtol=1e-9)


def test_slacks_that_overflow_are_no_solution():
    problem = Conic(1, Cones(nonneg=2), quadratic=False)
    A, zero = np.array([[1e-160], [1e160]]), np.zeros(1)
    params = {"q": shared(zero, 1), "A": shared(A, 1), "b": shared(np.array([0.0, 1.0]), 1)}
    for x, right in ((-1e140, True), (-1e160, False)):
        at = Solution(np.array([[x]]), np.zeros((1, 2)), np.zeros(1, np.int8))
        assert (problem.residual(params, at)[0] < 1e-12) == right


def test_an_empty_batch():
    problem, params = program(P=[[1.0]], q=[1.0], G=[[1.0]], h=[1.0])
    none = np.zeros(0, dtype=int)
    params = {name: param.take(none) for name, param in params.items()}
    nothing = Solution.blank(0, 1, 1)
    assert problem.residual(params, nothing).shape == (0,)
    assert problem.refuted(params, nothing).shape == (0,)
    assert len(problem.inside(params, nothing)) == 0


@pytest.mark.parametrize("quadratic", [True, False])
def test_programs_without_rows(quadratic):
    problem = QP.of({"P": 2} if quadratic else {}, 2, {})
    params = {"q": batched(np.array([[1.0, 0.0], [0.0, 0.0]]))}
    if quadratic:
        params["P"] = shared(np.diag([1.0, 0.0]), 2)
    at = Solution(np.array([[-1.0, 0], [0, 0]]), np.zeros((2, 0)), np.zeros(2, np.int8))
    assert (problem.residual(params, at) < 1e-12).tolist() == [quadratic, True]


def test_a_row_of_specks_is_no_measure_of_x():
    """1e-310 x <= 1e-7 is met at 1e303, beside which all others would be rounding."""
    problem, params = program(P=np.eye(2), q=[1.0, -1.0], G=[[1e-310, 1e-310]], h=[1e-7])
    far = Solution(np.array([[1e20, 3e20]]), np.array([[1e48]]), np.zeros(1, np.int8))
    assert problem.residual(params, far)[0] > 0.5
    right = Solution(np.array([[-1.0, 1.0]]), np.zeros((1, 1)), np.zeros(1, np.int8))
    assert problem.residual(params, right)[0] < 1e-12


def test_programs_without_right_hand_sides_have_zero_for_a_solution():
    problem, params = program(q=[1.0, 1.0], G=[[-1.0, 0.5], [0.5, -1.0]], h=[0.0, 0.0], lb=[0, 0])
    y = np.array([[2.0, 2.0, 0.0, 0.0]])
    noise = Solution(np.array([[3e-9, -2e-9]]), y, np.zeros(1, np.int8))
    found, residual = problem.judged(params, noise)
    assert not found.x.any()
    assert residual[0] < 1e-15
    wrong = replace(noise, y=np.array([[1.0, 2.0, 0.0, 0.0]]))
    assert problem.judged(params, wrong)[1][0] > 0.1


def test_x_that_runs_off_where_nothing_holds_it_does_not_hide_that():
    """x_1 = 1e30 falls without end: beside it, everything else would be rounding."""
    A = [[1.0, 0.0, 2.0], [-2.0, 0.0, -4.0]]
    problem, params = program(
        P=np.diag([1.0, 0, 1]), q=[1.0, -0.01, 1.0], A=A, b=[1.0, 5.0], G=[[0.0, -1, 1]], h=[0.0]
    )
    points = [([1e13, 3e30, -2e13], [0.0, 0, y]) for y in (0.0, 1e-300, 1e-12)]
    for x, y in (*points, ([0.2, 3e30, 0.4], [2e14, 1e14, 0])):
        far = Solution(np.array([x]), np.array([y]), np.zeros(1, np.int8))
        assert problem.residual(params, far)[0] > 0.1


def least_squares(unit, far):
    """min |z|^2 with z = A x - b, and x <= far as rows; points at a given x."""
    A, b = (
        np.array([[1.0, -0.5], [-1.3, 0.8], [0.03, 0.7]]) * unit,
        np.array([1.0, -1.0, 0.4]) * unit,
    )
    problem, params = program(
        P=np.diag([2.0] * 3 + [0.0] * 2),
        q=np.zeros(5),
        A=np.hstack([-np.eye(3), A]),
        b=b,
        G=np.eye(5)[3:],
        h=[far] * 2,
    )
    x = np.linalg.lstsq(A / unit, b / unit)[0]

    def at(x):
        z = A @ x - b
        y = np.concatenate([2 * z, np.zeros(2)])[None]
        return Solution(np.concatenate([z, x])[None], y, np.zeros(1, np.int8))

    return problem, params, x, at


@pytest.mark.parametrize("patterned", [False, True])
@pytest.mark.parametrize("far", [1e3, 1e30])
@pytest.mark.parametrize("unit", [1e-16, 1e-12, 1e-8, 1.0, 1e8])
def test_variables_that_equations_define_have_the_size_of_their_terms(unit, far, patterned):
    problem, params, x, at = least_squares(unit, far)
    if patterned:
        problem, params = on_patterns(problem, params)
    assert problem.residual(params, at(x))[0] < 1e-9
    for wrong in (0 * x, x * 1e-20, 1.1 * x, [far, far]):
        assert problem.residual(params, at(np.array(wrong)))[0] > 1e-5


def test_rows_of_one_cone_are_in_one_unit():
    """min c'x, |F x| <= t = 1 with F of size 1e10: t says how long x is, and zero is too short."""
    c, F = np.array([-0.4, -0.35, 0.08]), 1e10 * (np.eye(3) + 0.1)
    A = np.zeros((5, 4))
    A[0, 3] = 1.0
    A[1, 3], A[2:, :3] = -1.0, -F
    problem = Conic(4, Cones(zero=1, soc=(4,)), quadratic=False)
    values = {"q": [*c, 0.0], "A": A, "b": [1.0, 0.0, 0.0, 0.0, 0.0]}
    params = {name: batched(np.array([value])) for name, value in values.items()}
    force = np.linalg.solve(F.T, c)
    right = -np.linalg.solve(F, force / np.linalg.norm(force))
    y = np.array([[np.linalg.norm(force), np.linalg.norm(force), *force]])
    for x, wrong in ((right, False), (0 * right, True), (0.5 * right, True), (1e-12 * right, True)):
        at = Solution(np.array([[*x, 1.0]]), y, np.zeros(1, np.int8))
        assert (problem.residual(params, at)[0] > 1e-5) == wrong


@pytest.mark.parametrize("y", [0.0, 1e-30])
def test_a_row_that_is_far_away_hides_nothing(y):
    """The right x is (1, 2); 1e20 is no length that it comes from."""
    problem, params = program(P=np.eye(2), q=[-1.0, -2.0], G=[[1.0, 0.0]], h=[1e20])
    for x, wrong in (([1.0, 2.0], 0.0), ([0.5, 2.0], 0.5), ([1.0, -30.0], 0.9)):
        at = Solution(np.array([x]), np.array([[y]]), np.zeros(1, np.int8))
        found = problem.residual(params, at)[0]
        assert wrong * 0.9 <= found <= wrong + 0.2
        assert (found < 1e-12) == (wrong == 0)


def test_costs_that_have_lost_their_digits_are_no_data():
    """What is left over of 1e-305 is rounding; 1e-323 is two of the smallest steps."""
    for speck, told in ((1e-323, 0.0), (7e-305, 0.0), (7e-20, 5e-5)):
        problem, params = program(P=np.diag([1.0, speck]), q=[-1.0, -speck], lb=[-9.0, -9.0])
        at = Solution(np.array([[1.0, 0.5]]), np.zeros((1, 2)), np.zeros(1, np.int8))
        assert problem.residual(params, at)[0] == pytest.approx(told, abs=1e-12)


NOISY = [
    {"P": np.diag([1.0, 0.0]), "q": [1.0, 1e-17], "lb": [-3.0, 0.5], "ub": [1.0, 5.0]},
    {"P": np.diag([1.0, 0.0]), "q": [0.0, -1e-17], "lb": [-1.0, 0.5], "ub": [1.0, 5.0]},
    {"P": np.diag([900.0, 0]), "q": [0.0, 1e-16], "lb": [-1e-3, -7e-3], "ub": [-2e-4, 8e-3]},
]


@pytest.mark.parametrize("data", NOISY)
def test_costs_that_are_rounding_are_none_where_nothing_holds_x(data):
    problem, params = program(**data)
    answer = DaqpEngine().solve(problem, params)
    assert answer.solution.solved.all()
    x = answer.solution.x.copy()
    x[0, 1] = 0.5 * (data["lb"][1] + data["ub"][1])
    y = answer.solution.y * [[1.0, 0.0, 1.0, 0.0]]
    at = Solution(x, y, answer.solution.status)
    for noise in (0.0, 1e-300):  # multipliers of interior points are not exactly zero
        y[0, 3] = noise
        assert problem.residual(params, at)[0] < 1e-8
    bent = {**params, "q": shared(np.array([data["q"][0], data["P"][0, 0]]), 1)}
    assert problem.residual(bent, at)[0] > 0.1


@pytest.mark.parametrize("rounding", [0.0, -8e-186])
def test_curvature_that_is_negative_by_rounding_has_no_unit(rounding):
    P = np.diag([rounding, 0.0, 1e25])
    problem, params = program(
        P=P, q=[1.7, 0.4, -0.9], G=[[1.2, -1.2, 0.3]], h=[0.2], lb=[-2.6, -1.1, -0.9]
    )
    x, y = [15.9, 33.5, 2e-14], [1e10, 1.2e10, 7.5e9, 6.3e11]  # "optimal", with rows that are slack
    point = Solution(np.array([x]), np.array([y]), np.zeros(1, dtype=np.int8))
    assert problem.residual(params, point)[0] > 0.1


@pytest.mark.parametrize("excess", [1.0, 1e6, 1e9])
def test_multipliers_of_rows_that_depend_on_each_other_excuse_nothing(excess):
    """Any multiple of (1, 1) may be added to them: what cancels is no force."""
    problem, params = program(P=np.eye(2), q=[-1, -1], A=[[1, 1], [-1, -1]], b=[1, -1])
    for x, wrong in (([0.5, 0.5], False), ([0.6, 0.4], True), ([0.5001, 0.4999], True)):
        at = Solution(np.array([x]), np.array([[excess + 0.5, excess]]), np.zeros(1, np.int8))
        assert (problem.residual(params, at)[0] > 1e-5) == wrong


@pytest.mark.parametrize("tiny", [0.0, 1e-20, 1e-15, 1e-13, 1e-9])
def test_costs_that_are_rounding_are_no_size_of_forces(tiny):
    """Multipliers cancel in columns z of x = D z, which have no costs of their own."""
    rng = np.random.default_rng(0)
    for _ in range(10):
        D, G = rng.uniform(0.5, 2, (2, 3, 3))
        data = {"A": np.hstack([np.eye(3), -D]), "b": np.zeros(3), "h": np.ones(3)}
        costs = np.append(-rng.uniform(0.5, 2, 3), tiny * rng.normal(size=3))
        problem, params = program(
            q=costs, G=np.hstack([np.zeros((3, 3)), G]), lb=np.zeros(6), **data
        )
        answer = DaqpEngine().solve(problem, params)
        assert answer.solution.solved.all()
        assert problem.residual(params, answer.solution)[0] < 1e-9
