"""How rows are measured for tau="auto"."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from lpgd.core.solution import Status
from lpgd.core.tilt import Adjoint, Tilt
from lpgd.rules.ends import Ends
from lpgd.rules.sizes import AGREE, FLOOR, LEAP, STILL, Sizes, norm
from tests.support import program, solve

ACCURACY = 1e-12


def sizes_of(problem, params, dx, dy=None, rho=0.0, accuracy=ACCURACY):
    point = solve(problem, params)
    dx = np.atleast_2d(np.array(dx, dtype=float))
    dy = np.zeros((1, problem.m)) if dy is None else np.atleast_2d(np.array(dy, dtype=float))
    tilt = Tilt(np.zeros(1, np.intp), np.zeros(1), dx, dy, np.full(1, rho), point.x)
    accuracy = np.full(len(params["q"].index), accuracy)
    backward = SimpleNamespace(problem=problem, params=params, accuracy=accuracy)
    return Sizes.of(point, tilt, backward)


def qp(scale=1.0, unit=1.0):
    """min 1/2 (x_0^2 + x_1^2) - 3 x_0 - 4 x_1, in other units of the objective and of x_1."""
    units = np.array([1.0, unit])
    return program(P=scale * np.diag(units**-2), q=scale * np.array([-3.0, -4.0]) / units)


def test_a_large_tilt_is_as_large_as_the_costs():
    found = sizes_of(*qp(), dx=[0.0, 2.0])
    np.testing.assert_allclose(found.large, 5 / 2)
    np.testing.assert_allclose(found.costs, 5)


def test_the_costs_count_the_curvature_and_rho():
    problem, params = program(P=np.eye(2), q=[0.0, 0.0], A=[[1.0, 0.0]], b=[7.0])
    np.testing.assert_allclose(sizes_of(problem, params, [1.0, 0.0]).costs, 7)
    np.testing.assert_allclose(sizes_of(problem, params, [1.0, 0.0], rho=2.0).costs, 14)


@pytest.mark.parametrize("mask", [1e9, 1e30])
def test_costs_that_forbid_are_no_size(mask):
    """Nor are the multipliers that take them; of a vertex they are what comes last."""
    data = {"q": [mask, 1.0, -2.0], "lb": [0.0] * 3, "ub": [1.0] * 3}
    found = sizes_of(*program(P=np.eye(3), **data), dx=[0.0, 0.0, 1.0])
    np.testing.assert_allclose(found.costs, 3.0)
    np.testing.assert_allclose(found.y, [[2.0, 1.0, 0.0, 0.0, 0.0, 1.0]], atol=1e-12)
    found = sizes_of(*program(**data), dx=[0.0, 0.0, 1.0])
    np.testing.assert_allclose(found.costs, mask)
    np.testing.assert_allclose(found.less, np.sqrt(2**2 + 1 + 2**2))
    tried = [step[0] for step in found.ladder]
    np.testing.assert_allclose(tried[0], 3 * found.less[0])
    np.testing.assert_allclose(tried[3:], [3 * mask, 24 * mask, 192 * mask])


def test_without_any_costs_there_is_still_a_tau():
    found = sizes_of(*program(q=[0.0], lb=[0.0], ub=[1.0]), dx=[4.0])
    np.testing.assert_allclose(found.large, 1 / 4)
    np.testing.assert_allclose(found.small, 1e-6 / 4)


def test_a_large_variable_without_costs_does_not_make_the_first_tilt_vanish():
    found = sizes_of(*program(q=[1.0, 0.0], lb=[1.0, 1e6], ub=[2.0, 1e6]), dx=[0.0, 1.0])
    np.testing.assert_allclose(found.large, 1.0)
    np.testing.assert_allclose(found.small, 1e-6 * FLOOR)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_tilts_follow_the_scale_of_the_objective_and_of_the_loss(scale):
    one = sizes_of(*qp(), dx=[1.0, 1.0])
    np.testing.assert_allclose(sizes_of(*qp(scale), [1.0, 1.0]).small, scale * one.small)
    np.testing.assert_allclose(sizes_of(*qp(), [scale, scale]).small, one.small / scale)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_first_tilt_is_small_in_the_units_of_the_variable_that_is_pulled(sign):
    """With x_1 in millimetres its cost is 0.004: a tilt of 1e-6 times 3 would be large for it."""
    found = sizes_of(*qp(unit=1e3), dx=[0.0, sign])
    np.testing.assert_allclose(found.small, 1e-6 * 50 / 4000)  # |q|'|x| + |Px|'|x| over |dx|'|x|


def test_cotangents_of_multipliers_are_measured_by_the_right_hand_sides():
    problem, params = program(P=np.eye(2), q=[-9.0, 0.0], A=[[1.0, 0.0]], b=[4.0], ub=[5.0, np.inf])
    found = sizes_of(problem, params, [0.0, 0.0], [8.0, 0.0, 0.0])
    np.testing.assert_allclose(found.small, 1e-6 * 4 / 8)
    assert not found.primal[0]
    both = sizes_of(problem, params, [1.0, 0.0], [8.0, 0.0, 0.0])
    np.testing.assert_allclose(both.small, found.small)


def test_rows_of_zero_right_hand_sides_are_measured_by_what_stands_beside_them():
    problem, params = program(P=np.eye(2), q=[-1.0, -3.0], A=[[1.0, -1.0]], b=[0.0])
    found = sizes_of(problem, params, [0.0, 0.0], [1.0])
    assert 0 < found.small[0] < 1e-5


@pytest.mark.parametrize("accuracy, step", [(1e-16, 1e-6), (1e-8, 1e-4)])
def test_a_step_is_long_beside_what_is_not_known_of_x(accuracy, step):
    assert sizes_of(*qp(), dx=[1.0, 1.0], accuracy=accuracy).step == step


@pytest.mark.parametrize("speed", [1e-4, 1.0, 1e4])
def test_a_gentle_tilt_moves_x_by_a_step_of_its_length(speed):
    found = sizes_of(*qp(), dx=[1.0, 1.0])
    np.testing.assert_allclose(found.gentle(np.array([[0.0, speed]])) * speed, 4 * found.step)
    for unknown in (0.0, np.nan):
        assert found.gentle(np.full((1, 2), unknown)) == found.small


def test_sizes_are_those_of_the_users_entries():
    problem, params = program(P=np.eye(2), q=[-3.0, -400.0])
    found = sizes_of(
        replace(problem, own=(np.array([True, False]), np.ones(0, bool))), params, [1, 0]
    )
    assert (found.costs, found.reach) == (3, 3)
    end = solve(problem, params)
    end.x[0, 1] = 0.0
    assert not found.moved(end)[0]
    problem, params = program(q=[0.0, 4.0], lb=[0.0, 0.0])
    own = np.array([True, False]), np.ones(2, bool)
    assert sizes_of(replace(problem, own=own), params, [1, 0]).costs == 4  # theirs are none


def test_moves_are_relative_to_x():
    found = sizes_of(*qp(), dx=[1.0, 1.0])
    limit = STILL * ACCURACY * 4
    for step, moved in ((0.5 * limit, False), (2 * limit, True)):
        end = solve(*qp())
        end.x[0, 0] += step
        assert found.moved(end)[0] == moved
    origin = sizes_of(*program(q=[1.0], lb=[0.0]), dx=[1.0])
    assert not origin.moved(origin.point)[0]


def test_curvature_along_a_way():
    problem, params = program(P=np.diag([1.0, 0.0]), q=[1.0, 1.0], lb=[0.0, 0.0])
    found = sizes_of(problem, params, [-1.0, -1.0])
    assert found.bent(np.array([[0.5, 0.0]]), np.ones(1))[0]
    assert not found.bent(np.array([[0.0, 0.5]]), np.ones(1))[0]
    assert not found.bent(np.zeros((1, 2)), np.ones(1))[0]


WAY = Adjoint(np.array([[0.0, 1.0]]), np.array([[2.0]]), *np.zeros((3, 1), dtype=bool))


@pytest.mark.parametrize(
    ("moves", "agree", "alike"),
    [
        ((1, 1), True, True),
        ((1 + AGREE / 2, 1), True, True),
        ((1 + 4 * AGREE, 1), False, False),
        ((1, 1 + 4 * AGREE), False, False),
        ((2, 2), False, True),  # no kink, but another derivative
        ((0, 0), False, True),
        ((-1, -1), False, True),
    ],
)
@pytest.mark.parametrize("loss", [([1.0, 1.0], [0.0]), ([0.0, 0.0], [1.0]), ([0.3, -2.0], [0.5])])
def test_ends_that_move_as_the_adjoint_says_and_such_that_move_alike(moves, agree, alike, loss):
    problem, params = program(P=np.eye(2), q=[-9.0, -3.0], A=[[1.0, 0.0]], b=[4.0])
    found, tau = sizes_of(problem, params, *loss), np.array([1e-3])
    point = found.point
    hi, lo = (
        replace(point, x=point.x + t * tau * WAY.a, y=point.y + t * tau * WAY.v)
        for t in (moves[0], -moves[1])
    )
    ends = Ends(hi, lo, tau)
    assert found.agree(WAY, ends, "average")[0] == agree
    assert found.alike(ends, "average")[0] == alike
    for side, move in (("lower", moves[0]), ("upper", moves[1])):  # of one end nothing is alike
        assert found.agree(WAY, ends, side)[0] == (abs(move - 1) <= AGREE)
        assert not found.alike(ends, side)[0]
    failed = replace(hi, status=np.array([Status.NUMERICAL]))
    for none in (replace(ends, hi=failed), replace(ends, tau=np.zeros(1))):
        assert not found.agree(WAY, none, "average")[0]
        assert not found.alike(none, "average")[0]


def test_moves_within_rounding_verify_nothing_but_that_x_stays():
    found, tau = sizes_of(*qp(), dx=[1.0, 1.0]), np.array([1e-11])
    point, none = found.point, np.zeros((1, 0))
    way, rest = (replace(WAY, a=np.array([[0.0, speed]]), v=none) for speed in (1.0, 0.0))
    ends = Ends(*(replace(point, x=point.x + t * tau * way.a) for t in (1, -1)), tau)
    assert not found.agree(way, ends, "average")[0]
    assert found.agree(rest, Ends(point, point, tau), "average")[0]
    assert not found.agree(rest, Ends(point, point, 0 * tau), "average")[0]  # nothing was tilted


def test_leaping_multipliers():
    found = sizes_of(*program(q=[1.0, 1.0], A=[[1.0, 1.0]], b=[1.0], lb=[0.0, 0.0]), dx=[1.0, 0.0])
    none, no = np.zeros_like(found.point.y), np.zeros(1, dtype=bool)
    adjoint = Adjoint(np.zeros_like(found.point.x), none, no, no, no)
    most = np.abs(found.point.y).max()
    for change, steady in ((0.5, True), (2.0, False)):
        end = solve(*program(q=[1.0, 1.0], A=[[1.0, 1.0]], b=[1.0], lb=[0.0, 0.0]))
        end.y[0, 0] += change * LEAP * found.step[0] * most
        ends = Ends(end, found.point, found.small)
        assert found.steady(adjoint, ends, "average")[0] == steady


def test_multipliers_of_zero_follow_the_adjoint_or_leap():
    """x = 1 in exactly one way and without costs: any move of its multiplier is large beside it."""
    data = {"q": [0.0], "A": [[1.0]], "b": [1.0]}
    found = sizes_of(*program(**data), dx=[1.0])
    no = np.zeros(1, dtype=bool)
    adjoint = Adjoint(np.zeros_like(found.point.x), np.full((1, 1), -1.0), no, no, no)
    for rate, steady in ((-1.0, True), (-2.0, False)):
        hi, lo = solve(*program(**data)), solve(*program(**data))
        hi.y[0, 0], lo.y[0, 0] = rate * found.small[0], -rate * found.small[0]
        assert found.steady(adjoint, Ends(hi, lo, found.small), "average")[0] == steady


@pytest.mark.parametrize("quadratic, rho, smoothed", [(0, 0, 0), (0, 1, 1), (1, 1, 0)])
def test_only_lps_are_smoothed_by_rho(quadratic, rho, smoothed):
    data = {"q": [1.0], "lb": [0.0]} | ({"P": [[1.0]]} if quadratic else {})
    assert sizes_of(*program(**data), dx=[1.0], rho=float(rho)).smoothed[0] == smoothed


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1e300])
def test_extreme_cotangents_neither_overflow_nor_vanish(size):
    np.testing.assert_allclose(norm(np.array([[3 * size, 4 * size]])), 5 * size)
    found = sizes_of(*qp(), dx=[size, size])
    assert np.isfinite(found.large).all()
    assert (found.small > 0).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("pull_by", [5e-324, 1e-200, 1e200, 1.7e308])
@pytest.mark.parametrize("unit", [1e-150, 1.0, 1e150])
def test_losses_and_costs_of_any_size_are_measured_in_silence(pull_by, unit):
    problem, params = program(q=[unit, -unit], G=[[1.0, 1.0]], h=[1.0], lb=[0.0, 0.0])
    for dx, dy in (([pull_by, -pull_by], [0.0, 0.0, 0.0]), ([0.0, 0.0], [pull_by, 0.0, 0.0])):
        found = sizes_of(problem, params, dx, dy)
        a = np.array([[pull_by, 0.0]])
        taus = np.concatenate([found.large, found.small, found.gentle(a)])
        assert np.isfinite(taus).all()
        ends = Ends(found.point, found.point, found.large)
        adjoint = Adjoint(a, np.zeros((1, 3)), *np.zeros((3, 1), dtype=bool))
        found.agree(adjoint, ends, "average"), found.alike(ends, "average")
        found.bent(a, found.large), found.still(a), found.moved(found.point)
