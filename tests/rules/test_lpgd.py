"""Worked numbers of the mathematical reference (section 7); retries and fallback."""

from dataclasses import replace

import numpy as np
import pytest

from lpgd import LPGD
from lpgd.core.solution import Status
from lpgd.core.tilt import Term
from tests.rules import worked
from tests.support import (
    cotangent,
    groups,
    optimal_value,
    program,
    pull,
    solve,
    tilt_of,
)

SIDES = ("lower", "upper", "average")


@pytest.mark.parametrize("example", worked.EXAMPLES, ids=lambda e: e.label)
def test_worked_numbers(example):
    found = pull(example.rule, *example.program, example.dx, example.dy)
    for name, expected in example.gradients.items():
        np.testing.assert_allclose(found[name], expected, atol=1e-8, err_msg=name)


@pytest.mark.parametrize("point", worked.POINTS, ids=lambda p: p.label)
def test_worked_points_and_values(point):
    problem, params = point.program
    anchor = solve(problem, params).x[0]
    tilt = tilt_of(problem, point.t, point.dx, np.zeros(problem.m), rho=point.rho, anchor=anchor)
    solution = solve(*problem.tilt(params, tilt))
    np.testing.assert_allclose(solution.x[0], point.x, atol=1e-8)
    for name, expected in point.duals.items():
        np.testing.assert_allclose(problem.block(solution.y[0], name), expected, atol=1e-8)
    np.testing.assert_allclose(optimal_value(problem, params, tilt)[0], point.value, atol=1e-8)


def test_worked_lppm_is_lpgd_with_a_proximal_term():
    """Upper takes rho = -tau beta, which a tilt can say though a rule does not."""
    problem, params = worked.QP_PROGRAM
    start = solve(problem, params)
    np.testing.assert_allclose(start.x[0], [3, 1, 0], atol=1e-12)
    dx = start.x[0] - [2, 2, 0.5]  # of the loss 1/2 ||x - t||^2
    expected = {
        0.5: ([11 / 4, 5 / 4, 0], -17 / 8, 5 / 8, 7 / 8, [-0.5, 0.5, 0], 0.25),
        -0.5: ([7 / 2, 1 / 2, 0], -7 / 4, 3 / 2, 13 / 8, [-1, 1, 0], 0.5),
    }
    for t, (x, nu, mu, envelope_, dq, db) in expected.items():
        tilt = tilt_of(problem, t, dx, np.zeros(problem.m), rho=t, anchor=start.x[0])
        end = solve(*problem.tilt(params, tilt))
        np.testing.assert_allclose(end.x[0], x, atol=1e-9)
        np.testing.assert_allclose(problem.block(end.y[0], "A"), nu, atol=1e-9)
        np.testing.assert_allclose(problem.block(end.y[0], "lb")[2], mu, atol=1e-9)
        change = optimal_value(problem, params, tilt)[0] - 2.5
        offset = 9 / 8 - dx @ start.x[0]  # the linearised loss lacks a constant
        np.testing.assert_allclose(change / t + offset, envelope_, atol=1e-9)
        weight = np.full(1, 1 / t)
        terms = [Term(weight, end, tilt), Term(-weight, start, tilt)]
        gradient = problem.grad(params, terms, groups(params))
        np.testing.assert_allclose(gradient["q"][0], dq, atol=1e-9)
        np.testing.assert_allclose(gradient["b"][0], [db], atol=1e-9)


class Scripted:
    """Answers tilted solves by the size of their step, and notes what was asked."""

    def __init__(self, point, works, failure):
        self.point, self.works, self.failure, self.asked = point, works, failure, []

    def line(self, cotangent, rho, ends=2):
        return None

    def resolve(self, tilt):
        self.asked.append(tilt)
        status = np.where([self.works(t) for t in tilt.t], Status.OPTIMAL, self.failure)
        x = self.point.x[tilt.rows] + tilt.t[:, None]
        return replace(self.point.take(tilt.rows), x=x, status=status.astype(np.int8))


def scripted(rule, works, size=2, failure=Status.UNBOUNDED):
    point = replace(solve(*program(q=[0.0], lb=[0.0])), y=np.zeros((1, 0)))
    point = point.take(np.zeros(size, dtype=np.intp))
    backward = Scripted(point, works, failure)
    return rule.pullback(point, cotangent(np.ones((size, 1))), backward), backward


def slope(pulled):
    """Weighted sum of the ends: one, where the ends are x = t."""
    return sum(term.weight * term.point.x[:, 0] for term in pulled.terms)


def test_both_ends_are_one_call():
    pulled, resolve = scripted(LPGD(0.5), lambda t: True)
    assert len(resolve.asked) == 1
    np.testing.assert_array_equal(resolve.asked[0].t, [0.5, 0.5, -0.5, -0.5])
    np.testing.assert_allclose(slope(pulled), 1)


def test_failed_elements_retry_both_sides_with_a_quarter():
    pulled, resolve = scripted(LPGD(1.0, 0.25), lambda t: t < 0.1)
    assert [tilt.t.max() for tilt in resolve.asked] == [1, 1 / 4, 1 / 16]
    assert all((tilt.rho == 0.25).all() for tilt in resolve.asked)
    np.testing.assert_array_equal(pulled.tau, 1 / 16)
    assert pulled.retries == 4
    assert not pulled.failed.any()
    np.testing.assert_allclose(slope(pulled), 1)


def test_only_the_failed_elements_retry():
    seen = []

    def works(t):
        seen.append(t)
        return len(seen) != 2  # the second element's upper end fails once

    pulled, resolve = scripted(LPGD(1.0), works)
    assert [len(tilt) for tilt in resolve.asked] == [4, 2]
    np.testing.assert_array_equal(pulled.tau, [1, 0.25])
    np.testing.assert_allclose(slope(pulled), 1)


def test_what_never_works_has_weight_zero_and_its_status():
    pulled, resolve = scripted(LPGD(1.0, retries=1), lambda t: t < 0)
    assert len(resolve.asked) == 2
    assert (pulled.failed == Status.UNBOUNDED).all()
    assert all((term.weight == 0).all() for term in pulled.terms)


@pytest.mark.parametrize("late", [1, -1])
@pytest.mark.parametrize("side", SIDES)
def test_a_time_limit_is_not_spent_twice(side, late):
    """Whichever end ran into it; an end that is solved needs no other either."""
    pulled, resolve = scripted(
        LPGD(1.0, 0.0, side), lambda t: t * late < 0, failure=Status.TIME_LIMIT
    )
    assert len(resolve.asked) == 1
    assert pulled.retries == 0
    met = side in ("average", "lower" if late > 0 else "upper")
    assert (pulled.failed == (Status.TIME_LIMIT if met else Status.OPTIMAL)).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_fallback_takes_the_side_that_works(sign):
    pulled, _ = scripted(LPGD(1.0, fallback=True), lambda t: t * sign > 0)
    assert not pulled.failed.any()
    np.testing.assert_allclose(slope(pulled), 1)
    np.testing.assert_allclose(pulled.terms[0].weight, 64)  # one side of tau/64


@pytest.mark.parametrize("side", SIDES)
def test_fallback_has_nothing_to_take_where_all_fails(side):
    pulled, _ = scripted(LPGD(1.0, 0.0, side, fallback=True), lambda t: False)
    assert (pulled.failed == Status.UNBOUNDED).all()
    assert all((term.weight == 0).all() for term in pulled.terms)


@pytest.mark.parametrize(
    "quadratic, rho, family", [(False, 0, "LP"), (False, 1, "QP"), (True, 0, "QP"), (True, 1, "QP")]
)
def test_requires_a_qp_engine_for_augmented_lps(quadratic, rho, family):
    problem, _ = program(q=[1], **({"P": [[1]]} if quadratic else {}))
    assert LPGD(1.0, rho).requires(problem) == family


@pytest.mark.parametrize(
    "options, message",
    [
        ({"tau": 0.0}, "tau must be"),
        ({"tau": -1.0}, "tau must be"),
        ({"tau": np.nan}, "tau must be"),
        ({"tau": np.inf}, "tau must be"),
        ({"tau": 1.0, "rho": -1.0}, "rho must be"),
        ({"tau": 1.0, "side": "both"}, "side must be one of"),
        ({"tau": 1.0, "side": [3]}, "side must be one of"),
        ({"tau": 1.0, "retries": -1}, "retries must be"),
        ({"fallback": 1}, "fallback must be True or False, got 1"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        LPGD(**options)


def test_options_that_are_whole_numbers():
    pulled, resolve = scripted(LPGD(tau=2, rho=1), lambda t: t < 1)
    np.testing.assert_array_equal(pulled.tau, 0.5)
    assert resolve.asked[0].rho.dtype == np.float64
