"""Costs that stand for "never", brought nearer, and the multipliers that take them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lpgd.core.params import batched
from lpgd.core.pattern import Pattern
from lpgd.core.solution import Solution
from lpgd.engines.daqp.engine import DaqpEngine
from lpgd.families.conic.cones import Cones
from lpgd.families.conic.conic import Conic
from lpgd.families.quadratic import alike, priced
from lpgd.map.eased import Ask
from tests.support import program

BIG = 1e12


def qp(q, **data):
    n = len(q)
    return program(q=q, **{"P": np.eye(n), "lb": np.zeros(n), "ub": np.ones(n), **data})


def conic(q, A, b, cones):
    problem = Conic(len(q), cones, quadratic=False)
    values = {"q": q, "A": A, "b": b}
    return problem, {k: batched(np.array([v], dtype=np.float64)) for k, v in values.items()}


def moved(problem, params, firm=None):
    costs, where = priced.eased(problem, params, firm)
    assert where is None or (where == (costs["q"].full() != params["q"].full())).all()
    return costs["q"].full()[0], None if where is None else where[0]


@pytest.mark.parametrize("size", [1e6, 1e9, 1e30, 1e300])
def test_costs_that_push_at_a_bound_are_brought_nearer(size):
    costs, where = moved(*qp([size, -size, 1.0, -2.0]))
    np.testing.assert_array_equal(where, [True, True, False, False])
    np.testing.assert_allclose(costs, [2000.0, -2000.0, 1.0, -2.0])


@pytest.mark.parametrize(
    "data",
    [
        {"lb": [-np.inf, 0.0, 0.0]},  # nothing holds it
        {"lb": [-np.inf, 0.0, 0.0], "G": [[-1.0, -1.0, 0.0]], "h": [0.0]},  # nor a sum
        {"q": [1e4, 1.0, 1.0]},  # not that large
        {"q": [BIG, 1.0, 1e9], "lb": [0.0, 0.0, -np.inf]},  # another that nothing holds
        {"q": [1e6, 1.0, 1.0], "P": 1e4 * np.eye(3)},  # curvature is nearly as large
        {"q": [np.nan, 1.0, 1.0]},
        {"q": [1.0, 1e-305, 0.0]},  # beside numbers that have lost their digits
    ],
)
def test_other_costs_stay(data):
    problem, params = qp(**{"q": [BIG, 1.0, 1.0], **data})
    assert priced.eased(problem, params) == (params, None)


def test_curvature_counts_where_other_costs_are_zero():
    for bend in (1.0, 1e9):
        problem, params = program(P=bend * np.eye(2), q=[BIG, 0.0], lb=[0.0, -1.0], ub=[1.0, 1.0])
        costs, where = moved(problem, params)
        assert (where is None) == (bend > 1)
        assert where is None or costs[0] == 1e3


def test_firm_costs_stay_and_count():
    problem, params = qp([BIG, 1e20, 1.0])
    costs, where = moved(problem, params, np.array([[True, False, False]]))
    np.testing.assert_array_equal(where, [False, True, False])
    np.testing.assert_allclose(costs, [BIG, 1e15, 1.0])


HOLDS = {
    "nonneg": (Cones(nonneg=1), 0),
    "soc": (Cones(soc=(3,)), 0),
    "psd": (Cones(psd=(2,)), 0),
    "psd, last": (Cones(psd=(2,)), 2),
    "exp, second": (Cones(exp=1), 1),
    "exp, third": (Cones(exp=1), 2),
    "power": (Cones(power=(0.3,)), 1),
}
OTHERS = {
    "soc": (Cones(soc=(3,)), 1),
    "psd": (Cones(psd=(2,)), 1),
    "exp": (Cones(exp=1), 0),
    "power": (Cones(power=(0.3,)), 2),
}


@pytest.mark.parametrize("factor", [-1.0, 4.0])
def test_equalities_hold_whatever_costs_push_at(factor):
    problem, given = program(P=np.eye(2), q=[BIG, 1.0], A=[[factor, 0.0]], b=[factor], lb=[-1, -9])
    for sign in (1.0, -1.0):
        params = {**given, "q": batched(np.array([[sign * BIG, 1.0]]))}
        eased, where = priced.eased(problem, params)
        assert where.tolist() == [[True, False]]
        y = np.array([[-(eased["q"].full()[0, 0] + 1.0) / factor, 0.0, 0.0]])
        point = Solution(np.array([[1.0, -1.0]]), y, np.zeros(1, np.int8))
        assert problem.residual(eased, point)[0] < 1e-12
        paid = problem.paid(params, eased, point)
        assert problem.residual(params, paid)[0] < 1e-12
        assert paid.y[0, 0] == pytest.approx(-(sign * BIG + 1.0) / factor, rel=1e-15)
        np.testing.assert_allclose(problem.unpaid(params, eased, paid).y, y)
        settled, at = problem.settled(params, paid)
        np.testing.assert_allclose(at.y[0, 0] * factor, -sign)
        assert problem.residual(settled, at)[0] < 1e-12


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("factor", [-1.0, 4.0])
@pytest.mark.parametrize(
    ("cones", "row", "holds"),
    [(*case, True) for case in HOLDS.values()] + [(*case, False) for case in OTHERS.values()],
)
def test_rows_whose_slacks_cannot_be_negative(cones, row, holds, factor, sparse):
    A = np.zeros((cones.m, 2))
    A[row, 0] = factor
    A[:, 1] = np.where(np.arange(cones.m) == row, 0.0, 1.0)
    problem, params = conic([-np.sign(factor) * BIG, 1.0], A, np.ones(cones.m), cones)
    if sparse:
        rows, cols = np.nonzero(A)
        problem = Conic(2, cones, {"A": Pattern(rows, cols, A.shape)}, quadratic=False)
        params["A"] = batched(A[rows, cols][None])
    _, where = moved(problem, params)
    assert (where is not None) == holds
    _, away = moved(problem, {**params, "q": batched(-params["q"].values)})
    assert away is None


def test_zeros_of_an_element_are_no_entries():
    """The row is alone with x_1 in the second element only."""
    problem, params = program(P=np.eye(2), q=[BIG, 1.0], G=[[-1.0, 1.0]], h=[0.0])
    G = np.array([[[-1.0, 1.0]], [[-1.0, 0.0]]])
    params = {k: p.take(np.zeros(2, np.intp)) for k, p in params.items()} | {"G": batched(G)}
    _, where = priced.eased(problem, params)
    np.testing.assert_array_equal(where, [[False, False], [True, False]])


@given(
    st.lists(st.sampled_from([1.0, -2.0, 0.5, 1e7, -1e9, 1e15, 1e-7]), min_size=3, max_size=6),
    st.integers(-300, 300),
)
def test_units_change_nothing(q, unit):
    scale = 2.0**unit
    for power, factors in ((1, {}), (0, {"lb": 1 / scale, "ub": 1 / scale})):
        problem, params = qp(q)
        costs, where = moved(problem, params)
        other = {"q": scale, "P": scale if power else scale**2, **factors}
        with np.errstate(over="ignore"):
            there = {k: batched(p.values * other.get(k, 1.0)) for k, p in params.items()}
        found, here = moved(problem, there)
        assert (where is None) == (here is None)
        np.testing.assert_array_equal(found, costs * scale)


@given(st.lists(st.integers(-10, 10), min_size=4, max_size=4))
def test_units_far_apart_of_variables_change_nothing(powers):
    assume(2 * np.ptp(powers) > alike.APART)
    units = 4.0 ** np.array(powers)
    data = {"q": np.array([1e30, -2e30, 1.0, -0.5]), "G": np.ones((1, 4)), "h": [3.0]}
    costs, where = moved(*qp(**data))
    bounds = {"lb": np.zeros(4), "ub": 1 / units}
    of_x = {"P": np.diag(units**2), "q": data["q"] * units, "G": data["G"] * units}
    found, here = moved(*qp(**{**data, **of_x, **bounds}))
    np.testing.assert_array_equal(here, where)
    np.testing.assert_array_equal(found, costs * units)


def test_what_is_paid_back_solves_the_program():
    """x_1 = 0 and x_2 = 1: the multipliers of their bounds take what the costs are more."""
    problem, given = qp([BIG, -1e9, -0.25], lb=[0.0, 0.0, 0.0])
    eased, where = priced.eased(problem, given)
    x, q = np.array([[0.0, 1.0, 0.25]]), eased["q"].full()[0]
    assert where.tolist() == [[True, True, False]]
    y = np.zeros((1, 6))
    y[0, 0], y[0, 4] = q[0], -q[1] - 1.0
    point = Solution(x, y, np.zeros(1, np.int8))
    assert problem.residual(eased, point)[0] < 1e-12
    np.testing.assert_array_equal(problem.held(given, eased, point), where)
    paid = problem.paid(given, eased, point)
    np.testing.assert_allclose(paid.y[0], [BIG, 0, 0, 0, 1e9 - 1.0, 0], rtol=1e-12)
    np.testing.assert_array_equal(problem.held(given, given, paid), where)
    np.testing.assert_allclose(problem.unpaid(given, eased, paid).y, y, rtol=1e-12)
    settled, at = problem.settled(given, paid)
    np.testing.assert_allclose(settled["q"].full(), [[1.0, -2.0, -0.25]], rtol=1e-12)
    np.testing.assert_allclose(at.y, [[1.0, 0, 0, 0, 1.0, 0]], rtol=1e-12)


def test_of_rows_that_hold_together_the_strongest_pays():
    """x_1 >= 0 twice, and 2 x_1 >= 0."""
    problem, given = qp([BIG, 1.0], G=[[-2.0, 0.0], [-1.0, 0.0]], h=[0.0, 0.0])
    eased, _ = priced.eased(problem, given)
    y = np.array([[125.0, 250.0, 500.0, 1.0, 0.0, 0.0]])
    point = Solution(np.zeros((1, 2)), y, np.zeros(1, np.int8))
    assert problem.residual(eased, point)[0] < 1e-12
    paid = problem.paid(given, eased, point)
    np.testing.assert_allclose(paid.y[0], [125.0, 250.0, BIG - 500.0, 1.0, 0.0, 0.0])
    settled, at = problem.settled(given, paid)
    assert settled["q"].full()[0, 0] == 1.0
    assert problem.residual(settled, at)[0] < 1e-12
    assert problem.residual(eased, problem.unpaid(given, eased, paid))[0] < 1e-12


@pytest.mark.parametrize("share", [0.51, 0.6, 0.9])
def test_costs_that_curvature_shares_stay(share):
    """At a far bound the multiplier takes a part, and the length of x the rest."""
    U = 2e5
    problem, params = qp([-U, -0.2, 0.1], P=(1 - share) * np.eye(3), ub=[U, 1.0, 1.0])
    y = np.array([[0.0, 0.0, 0.1, share * U, 0.0, 0.0]])
    x = np.array([[U, 0.2 / (1 - share), 0.0]])
    point = Solution(x, y, np.zeros(1, np.int8))
    if x[0, 1] < 1:
        assert problem.residual(params, point)[0] < 1e-12
    assert (problem.settled(params, point)[1].y >= 0).all()


def test_a_bound_that_is_met_pays_though_others_took_the_eased_costs():
    """The sum of x is zero, and holds x_1 as well as its bound does."""
    problem, given = qp([BIG, 1.0], A=[[1.0, 1.0]], b=[0.0])
    eased, _ = priced.eased(problem, given)
    y = np.array([[-1000.0, 0.0, 0.0, 0.0, 999.0]])
    point = Solution(np.zeros((1, 2)), y, np.zeros(1, np.int8))
    assert problem.held(given, eased, point)[0, 0]
    paid = problem.paid(given, eased, point)
    np.testing.assert_allclose(paid.y[0], [-1000.0, BIG - 1000.0, 0.0, 0.0, 999.0])
    assert not problem.held(given, eased, replace(point, x=point.x + 0.1)).any()


def test_nothing_comes_back_from_rows_to_which_nothing_was_paid():
    """x_1 is needed after all: its bound has no multiplier, and gets none."""
    problem, given = qp([BIG, 1.0])
    eased, _ = priced.eased(problem, given)
    y = np.array([[0.0, 1.0, 0.0, 0.0]])
    point = Solution(np.array([[0.5, 0.0]]), y, np.zeros(1, np.int8))
    np.testing.assert_array_equal(problem.unpaid(given, eased, point).y, y)
    small = replace(point, y=np.array([[10.0, 1.0, 0.0, 0.0]]))
    assert (problem.unpaid(given, eased, small).y >= 0).all()


def test_a_tilt_that_turns_costs_around_leaves_nothing_held():
    problem, given = qp([BIG, 1.0])
    eased, _ = priced.eased(problem, given)
    turned = {**eased, "q": batched(eased["q"].full() - [[2000.0, 0.0]])}
    point = Solution(np.array([[1.0, 0.0]]), np.array([[0.0, 1, 999, 0]]), np.zeros(1, np.int8))
    assert problem.residual(turned, point)[0] < 1e-12
    np.testing.assert_array_equal(problem.held(given, turned, point), [[False, True]])


def test_what_another_constraint_holds_against_turned_costs_is_not_held_by_costs():
    """The sum is one: it pushes x_1 to zero though its tilted cost does not."""
    problem, given = qp([BIG, -51.0], A=[[1.0, 1.0]], b=[1.0])
    eased, _ = priced.eased(problem, given)
    turned = {**eased, "q": batched(np.array([[-10.0, -51.0]]))}
    y = np.array([[50.0, 40.0, 0.0, 0.0, 0.0]])
    point = Solution(np.array([[0.0, 1.0]]), y, np.zeros(1, np.int8))
    assert problem.residual(turned, point)[0] < 1e-12
    assert not problem.held(given, turned, point)[0, 0]


def exponential(x, q, y):
    """min q'x over exp(x_1 / x_2) x_2 <= x_3 = 1."""
    A = -np.eye(3)[:, :2]
    problem, params = conic(q, A, [0.0, 0.0, 1.0], Cones(exp=1))
    return problem, params, Solution(np.array([x]), np.array([y]), np.zeros(1, np.int8))


@pytest.mark.parametrize(("gap", "right"), [(0.0, True), (1e-12, False), (0.4, False)])
def test_in_curved_cones_multipliers_say_nothing_without_the_point(gap, right):
    """At x_2 > 0 the multiplier takes the costs as well, and is what it must be."""
    problem, params, point = exponential([-1.0, gap], [-1.0, BIG], [-1.0, BIG, 0.0])
    assert problem.held(params, params, point)[0, 1] == (gap <= 1e-12)
    settled, at = problem.settled(params, point)
    assert (settled["q"].full()[0, 1] == 1000.0) == right
    assert (at.y[0, 1] == 1000.0) == right


def test_what_is_held_lies_at_its_bound_afterwards():
    problem, given, point = exponential([-1.0, 1e-12], [-1.0, BIG], [-1.0, 1000.0, 0.0])
    eased, _ = priced.eased(problem, given)
    paid = problem.paid(given, eased, point)
    assert paid.x[0, 1] == 0.0
    assert paid.x[0, 0] == -1.0
    np.testing.assert_array_equal(paid.y, [[-1.0, BIG, 0.0]])
    problem, given = qp([BIG, 1.0], lb=[0.25, 0.0], G=[[-1.0, 0.0]], h=[3.0])
    eased, _ = priced.eased(problem, given)
    y = np.array([[0.0, 1000.25, 1.0, 0.0, 0.0]])
    near = Solution(np.array([[0.25 + 1e-16, 0.0]]), y, np.zeros(1, np.int8))
    assert problem.paid(given, eased, near).x[0, 0] == 0.25


def test_variables_away_from_their_bounds_are_not_held():
    problem, params = qp([BIG, 1.0, 1.0])
    point = Solution(np.full((1, 3), 1e-3), np.zeros((1, 6)), np.zeros(1, np.int8))
    assert not problem.held(params, params, point).any()
    assert problem.settled(params, point)[0] is params


@pytest.mark.parametrize("size", [1e10, 1e20, 1e30])
def test_wrong_points_are_found_beside_such_costs(size):
    """The right x is (0, 0.5, 0.5); the multiplier of the sum is 0.5."""
    problem, params = program(
        P=np.eye(3), q=[size, 0.0, 0.0], A=np.ones((1, 3)), b=[1.0], lb=np.zeros(3)
    )
    for x, right in (([0.0, 0.5, 0.5], True), ([0.0, 0.6, 0.4], False), ([0, 0.6, 0.6], False)):
        y = np.array([[-0.5, size - 0.5, 0.0, 0.0]])
        found = problem.residual(params, Solution(np.array([x]), y, np.zeros(1, np.int8)))[0]
        assert found < 1e-12 if right else found > 0.05


def test_multipliers_that_do_not_balance_are_found():
    problem, params = qp([BIG, 1.0, 1.0])
    y = np.array([[0.9 * BIG, 1.0, 1.0, 0.0, 0.0, 0.0]])
    point = Solution(np.zeros((1, 3)), y, np.zeros(1, np.int8))
    assert problem.residual(params, point)[0] > 0.05


@pytest.mark.parametrize("cost", [9e4, 5e5, 1e9])
def test_what_is_eased_is_settled(cost):
    """Also where the forces of curvature at the solution are larger than all other costs."""
    problem, params = qp([cost, -2.0], P=np.diag([1.0, 10.0]))
    eased, where = priced.eased(problem, params)
    point = Solution(np.array([[0.0, 0.2]]), np.array([[cost, 0, 0, 0]]), np.zeros(1, np.int8))
    strong = qp([cost, -2.0], P=np.diag([1.0, 10.0]), A=[[0.0, 1.0]], b=[0.9])
    held = replace(point, x=np.array([[0.0, 0.9]]), y=np.array([[-7.0, cost, 0, 0, 0]]))
    for (of, data), at in (((problem, params), point), (strong, held)):
        eased, where = priced.eased(of, data)
        settled, _ = priced.settled(of, data, at)
        assert (settled is not data) == (where is not None)
        assert (settled["q"].full()[0, 0] < eased["q"].full()[0, 0]) == (where is not None)


@pytest.mark.parametrize("power", [-12, -6, 0, 6, 12])
def test_what_is_settled_is_as_stationary_as_before_in_any_units(power):
    """x = (0, 0.75, 0.25), whose bounds of the first and row of the others have multipliers."""
    units = np.array([2.0**-power, 2.0**power, 1.0])
    problem, params = qp(
        np.array([1e30, -1.0, -0.5]) * units,
        P=np.diag(units**2), A=[units], b=[1.0], lb=np.zeros(3), ub=2 / units,
    )  # fmt: skip
    x, y = np.array([[0.0, 0.75, 0.25]]) / units, np.zeros((1, problem.m))
    y[0, 0], y[:, problem.blocks["lb"]] = 0.25, np.array([1e30 + 0.25, 0, 0]) * units
    point = Solution(x, y, np.zeros(1, np.int8))
    settled, left = priced.settled(problem, params, point)
    assert settled is not params
    assert left.y.max() < 1e6 * units.max()
    slope = problem.slope(settled, x) + problem.transposed_product(settled, left.y)
    np.testing.assert_allclose(slope / units, np.zeros((1, 3)), atol=1e-12)


def test_bounds_that_have_lost_their_digits_are_no_distances():
    """As those of zero: costs are brought to what curvature does at the usual ones."""
    data = {"P": np.eye(4), "q": [0.6, 7e8, 0.6, 0.9]}
    usual, speck = (moved(*program(**data, lb=[z, 1.3, z, z])) for z in (0.0, 1e-310))
    np.testing.assert_array_equal(speck[0], usual[0])


def test_an_equality_that_pulls_at_costs_too():
    """x_2 = 1 is less than its bound, and less than the costs of -329 / 10^5 ask for."""
    curve = np.diag([1.0, 1e5])
    rows = {"A": [[0.0, 256.0]], "b": [256.0], "G": [[0.0, 162.0]], "h": [500.0]}
    problem, params = program(P=curve, q=[-1e-3, -329.0], **rows)
    answer = Ask(DaqpEngine(), None).solve(problem, params, None)
    np.testing.assert_allclose(answer.solution.x, [[1e-3, 1.0]], rtol=1e-12)
    np.testing.assert_allclose(answer.solution.y, [[(329 - 1e5) / 256, 0.0]], rtol=1e-12)
