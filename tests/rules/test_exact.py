import numpy as np
import pytest

from lpgd import LPGD, Exact
from lpgd.core.rule import Pullback
from lpgd.map.solution_map import SolutionMap
from tests.support import (
    ALL_DATA,
    assert_close,
    cotangent,
    groups,
    program,
    pull,
    random_case,
    slopes,
    solve,
)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("duals", [False, True])
def test_equals_differences_of_the_solve(seed, duals):
    """In all eight data, for losses on the point and on all multipliers."""
    case, dx, dy = random_case(seed)
    dy = dy * duals

    def loss(params):
        solution = solve(case.problem, params)
        return solution.x @ dx + solution.y @ dy

    found = pull(Exact(), case.problem, case.params, dx, dy)
    assert set(found) == {"P", "q", "G", "h", "A", "b", "lb", "ub"}
    assert_close(found, slopes(loss, case.params))


@pytest.mark.parametrize("seed", range(6))
def test_of_an_lp_equals_differences_of_the_solve(seed):
    shape = type(ALL_DATA)(4, 1, 3, ("lb", "ub"), quadratic=False)
    case, dx, dy = random_case(seed, shape)

    def loss(params):
        solution = solve(case.problem, params)
        return solution.x @ dx + solution.y @ dy

    assert_close(pull(Exact(), case.problem, case.params, dx, dy), slopes(loss, case.params))


@pytest.mark.parametrize("rule", [Exact(), LPGD()])
@pytest.mark.parametrize("variables, costs", [(0, 90), (90, 0), (-90, 0), (40, -300), (-140, 315)])
@pytest.mark.parametrize("side", [0.5, 0.0])
def test_units_of_variables_and_costs_change_no_digit(rule, variables, costs, side):
    """A step as long as x may be lost beside y, and a step as long as y may be far beyond x."""
    q = [-0.7, -2.1 - 0.5 * (side > 0)]  # x = 0 without a side
    data = {"P": [[2, 0.5], [0.5, 1]], "q": q, "A": [[1, 3]], "b": [side]}
    power = {"P": costs - 2 * variables, "q": costs - variables, "A": -variables, "b": 0}
    fair = pull(rule, *program(**data), [0.3, -1], [0.7])
    moved = {name: np.ldexp(value, power[name]) for name, value in data.items()}
    cotangents = np.ldexp([0.3, -1], -variables), np.ldexp([0.7], -costs)
    found = pull(rule, *program(**moved), *cotangents)
    found = {name: np.ldexp(gradient, power[name]) for name, gradient in found.items()}
    assert_close(found, fair, 1e-11)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("rho", [0.0, 0.7])
def test_is_the_limit_of_lpgd(seed, rho):
    case, dx, dy = random_case(seed)
    exact = pull(Exact(rho), case.problem, case.params, dx, dy)
    near = pull(LPGD(1e-5, rho), case.problem, case.params, dx, dy)
    assert_close(near, exact)


def test_rho_changes_nothing_at_a_nondegenerate_vertex():
    problem, params = program(q=[-3, -2], G=[[1, 1]], h=[1], lb=[0, 0])
    plain, augmented = (pull(Exact(rho), problem, params, [1, -1]) for rho in (0.0, 4.0))
    assert_close(plain, {"q": [0, 0], "G": [[-1, 0]], "h": [1], "lb": [0, -2]})
    assert_close(augmented, plain)


class ClosedForm:
    """The adjoint of a QP; nothing is solved."""

    def __init__(self, problem, params, point):
        self.adjoint = problem.linearize(params, point).adjoint
        self.accuracy = np.zeros(len(point))


def test_zero_cotangents_give_zero():
    problem, params = program(P=np.eye(2), q=[1, 2], lb=[0, -9])
    point = solve(problem, params)
    silent = cotangent([0, 0], m=2)
    pulled = Exact().pullback(point, silent, ClosedForm(problem, params, point))
    assert isinstance(pulled, Pullback)
    high, low = pulled.terms
    np.testing.assert_array_equal(high.point.x, low.point.x)
    np.testing.assert_array_equal(high.weight, -low.weight)


def test_reports_elements_without_a_unique_derivative():
    for h, degenerate in ((1.0, False), (0.0, True)):  # the bound touches the free minimum
        problem, params = program(P=np.eye(1), q=[0], G=[[1]], h=[h])
        point = solve(problem, params)
        pulled = Exact().pullback(point, cotangent([1], m=1), ClosedForm(problem, params, point))
        assert pulled.degenerate.tolist() == [degenerate]


def test_requires_no_engine():
    assert Exact().requires(program(q=[1])[0]) is None


@pytest.mark.parametrize("rho", [-1.0, np.nan, np.inf])
def test_bad_rho_is_refused(rho):
    with pytest.raises(ValueError, match="rho must be"):
        Exact(rho)


@pytest.mark.parametrize("unit", [2.0**-45, 2.0**45])
def test_units_of_a_small_program_cost_no_digits(unit):
    """x and multipliers of length ``unit``, which is that of the costs and right-hand sides."""
    found = []
    for size in (1.0, unit):
        q, A, b = size * np.array([1.0, 2.0]), [[3.0, 4.0]], [5.0 * size]
        problem, params = program(P=np.diag([1.0, 7.0]), q=q, A=A, b=b)
        pulled = pull(Exact(), problem, params, np.array([0.3, -0.8]))
        found.append({k: v / (size if k in "PA" else 1.0) for k, v in pulled.items()})
    for name, values in found[0].items():
        np.testing.assert_allclose(found[1][name], values, rtol=1e-12, err_msg=name)


def test_multipliers_that_outgrow_their_derivative_drown_nothing():
    """y is 1e436 times as long as v: no step makes them alike."""
    data = {"q": [1.0, 2.0], "A": [[3.0, 4.0]], "b": [5.0], "lb": [0.0, 0.1]}
    power = {"q": 757, "A": -110, "b": -420, "lb": -310}
    fair = pull(Exact(), *program(**data), [0.3, -1.0], [0, 0, 0])
    far = {name: np.ldexp(value, power[name]) for name, value in data.items()}
    found = pull(Exact(), *program(**far), np.ldexp([0.3, -1.0], -692), [0, 0, 0])
    found = {name: np.ldexp(value, power[name] + 692 + 310) for name, value in found.items()}
    assert_close(found, fair, 1e-12)


def pulled_back(rule, power, dx):
    """Statistics and gradients of programs with P = 2^power I, or q too, at one cotangent."""
    P, q = np.ldexp(np.eye(2), power[0]), np.ldexp([1.0, -2.0], power[1])
    problem, params = program(P=P, q=q, A=[[1.0, 3.0]], b=[0.0])
    found = SolutionMap(rule, "daqp")
    forward = found.solve(problem, params, (1,), keep=True)
    return found.stats, found.pullback(forward, cotangent(dx, None, problem.m), groups(params))


@pytest.mark.parametrize("rule", [Exact(), LPGD()])
def test_derivatives_that_drown_in_every_step_are_told(rule):
    """x is 1e301 times as long as its move: no number is so long a step."""
    stats, _ = pulled_back(rule, (340, 1020), [0.3, -1.0])
    assert stats.unverified == 1.0


@pytest.mark.parametrize("rule", [Exact(), LPGD()])
@pytest.mark.parametrize("power", [300, 500, 620, 900, 1000])
def test_small_cotangents_of_long_solutions(power, rule):
    """x is up to 1e602 times as long as its move."""
    _, fair = pulled_back(rule, (0, 0), [0.3, -1.0])
    stats, found = pulled_back(rule, (0, power), np.ldexp([0.3, -1.0], -power))
    found |= {name: np.ldexp(found[name], power) for name in "qb"}
    assert_close(found, fair, 1e-12)
    assert stats.unverified == 0.0


@pytest.mark.parametrize("bound", [0.0, 1e-310])
def test_solutions_that_have_lost_their_digits_are_zero(bound):
    """A step as long as 1e-310 would have no inverse."""
    data = {"P": np.eye(2), "q": [7e8, -0.5], "lb": [bound, -1.0]}
    found = pull(Exact(), *program(**data), [0.3, -0.7], [0.4, 0.0])
    np.testing.assert_allclose(found["lb"], [0.7, 0.0])  # x_1 = lb_1 and z_1 = q_1 + lb_1
    np.testing.assert_allclose(found["q"], [0.4, 0.7])
