import numpy as np
import pytest

from lpgd import Cones
from lpgd.core.params import batched, shared
from lpgd.core.pattern import Pattern
from lpgd.core.solution import Solution, Status
from lpgd.engines import registry
from lpgd.engines.cones.rescaled import Rescaled
from lpgd.engines.cones.solver import Found, Request
from lpgd.families.conic.conic import Conic
from lpgd.families.conic.units import Units
from tests.families.conic.defined import residuals, solved

BALL = Conic(2, Cones(soc=(3,)), quadratic=False)
A = np.array([[0.0, 0.0], [-1.0, 0.0], [0.0, -1.0]])
Q, B = np.array([1.0, 0.5]), np.array([1.0, 0.0, 0.0])
ENGINES = ["moreau", "clarabel", "scs"]


def ball(costs, sides):
    """Largest q'x over balls, with costs and radii in some units."""
    costs, sides = np.asarray(costs)[:, None], np.asarray(sides)[:, None]
    return {"q": batched(costs * Q), "A": shared(A, len(costs)), "b": batched(sides * B)}


def logs(unit, n=6):
    """Largest w'log(x) subject to Cx <= unit * d; the rows of C and those of exponential cones."""
    rng = np.random.default_rng(0)
    C, w, d = rng.uniform(0.1, 1, (3, n)), rng.uniform(0.5, 1.5, n), rng.uniform(0.5, 1.5, 3)
    rows = np.zeros((3 + 3 * n, 2 * n))
    rows[:3, :n] = C
    rows[3 + 3 * np.arange(n), n + np.arange(n)] = -1
    rows[5 + 3 * np.arange(n), np.arange(n)] = -1
    pattern = Pattern.of(rows != 0)
    b = np.concatenate([unit * d, np.tile([0.0, 1.0, 0.0], n)])
    conic = Conic(2 * n, Cones(nonneg=3, exp=n), {"A": pattern}, quadratic=False)
    values = rows[pattern.rows, pattern.cols]
    q = np.concatenate([np.zeros(n), -w])
    return conic, {"q": shared(q, 1), "A": shared(values, 1), "b": batched(b[None])}


@pytest.mark.parametrize("name", ENGINES)
def test_tiny_and_huge_linear_terms_are_solved_to_the_same_relative_accuracy(name):
    costs, sides = [1.0, 1e8, 1e-8, 1e-10, 1e10], [1.0, 1e4, 1e-4, 1e5, 1e-5]
    found = registry.get(name).solve(BALL, ball(costs, sides)).solution
    assert found.solved.all()
    expected = np.broadcast_to(-Q / np.linalg.norm(Q), found.x.shape)
    np.testing.assert_allclose(found.x / np.array(sides)[:, None], expected, rtol=1e-8)


@pytest.mark.parametrize("name", ENGINES)
def test_infeasible_and_unbounded_stay_so_in_any_units(name):
    params = ball([1e8, 1e-8, 1e8, 1e-8], [-1e4, -1e-4, 1e4, 1e-4])
    open_ = np.stack([A, A, 0 * A, 0 * A])
    answer = registry.get(name).solve(BALL, {**params, "A": batched(open_)})
    infeasible, unbounded = Status.INFEASIBLE, Status.UNBOUNDED
    assert answer.solution.status.tolist() == [infeasible, infeasible, unbounded, unbounded]
    assert (BALL.refuted({**params, "A": batched(open_)}, answer.ray) < 1e-6).all()


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("unit", [1e-4, 1e4])
def test_logarithms_of_small_and_large_variables(name, unit):
    conic, params = logs(1.0)
    fair = registry.get(name).solve(conic, params).solution
    conic, params = logs(unit)
    found = registry.get(name).solve(conic, params).solution
    assert found.solved.all()
    np.testing.assert_allclose(found.x[0, :6] / unit, fair.x[0, :6], rtol=1e-8)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("unit", [1e-8, 1e-4, 1e6])
def test_least_squares_over_an_l1_ball_scale(name, unit):
    n = 8
    p = unit * np.random.default_rng(0).normal(size=n)
    eye, zero = np.eye(n), np.zeros((n, n))
    rows = np.block([[eye, -eye], [-eye, -eye], [np.zeros(n), np.ones(n)]])
    conic = Conic(2 * n, Cones(nonneg=2 * n + 1), {}, quadratic=True)
    params = {
        "P": shared(np.block([[eye, zero], [zero, zero]]), 1),
        "q": shared(np.concatenate([-p, np.zeros(n)]), 1),
        "A": shared(rows, 1),
        "b": shared(np.concatenate([np.zeros(2 * n), [2 * unit]]), 1),
    }
    found = registry.get(name).solve(conic, params).solution
    sizes = np.sort(np.abs(p))[::-1]
    shares = (np.cumsum(sizes) - 2 * unit) / np.arange(1, n + 1)
    expected = np.sign(p) * np.maximum(np.abs(p) - shares[sizes > shares][-1], 0)
    np.testing.assert_allclose(found.x[0, :n] / unit, expected / unit, atol=1e-8)


@pytest.mark.parametrize("make", [lambda: logs(1e-4), lambda: residuals(0)])
def test_points_go_there_and_back(make):
    conic, params = make()
    far = {**params, "b": batched(1e-5 * params["b"].full())}
    units = Units.of(conic, far)
    assert not units.idle
    rng, size = np.random.default_rng(0), len(params["q"].index)
    x, y = rng.normal(size=(size, conic.n)), rng.normal(size=(size, conic.m))
    point = Solution(x, y, np.zeros(size, np.int8))
    inside = units.enter(point)
    back = units.leave(inside.x, inside.y)
    np.testing.assert_allclose(back[0], x, rtol=1e-12)
    np.testing.assert_allclose(back[1], y, atol=1e-9)
    scaled = units.matrices(conic, units.linear(far))
    tops = [np.abs(part.full()).max() for part in scaled.values()]
    assert max(tops) < 100


def test_a_saddle_point_is_one_in_all_units():
    conic, params = residuals(0)
    known = solved(conic, params)
    units = Units.of(conic, {**params, "b": batched(1e-5 * params["b"].full())})
    scaled = units.matrices(conic, units.linear(params))
    assert (conic.residual(scaled, units.enter(known)) < 1e-8).all()


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("entry", [1e-9, -1e-12, 1e-17, -1e-30, 1e-200])
def test_right_hand_sides_that_are_rounding(name, entry):
    """Largest x_1 + 2 x_2 over a ball with x_2 = 3 x_3 and x_2 <= x_1, both up to rounding."""
    conic = Conic(3, Cones(zero=1, nonneg=1, soc=(4,)), quadratic=False)
    rows = np.array([[0.0, 1, -3], [-1, 1, 0], [0, 0, 0], [-1, 0, 0], [0, -1, 0], [0, 0, -1]])
    sides = np.array([entry, -entry, 2.0, 0, entry, 0])
    q, A = shared(np.array([-1.0, -2, 0]), 1), shared(rows, 1)
    found = registry.get(name).solve(conic, {"q": q, "A": A, "b": batched(sides[None])})
    assert found.solution.solved.all()
    x = np.array([3.0, 3, 1]) * 2 / 19**0.5
    np.testing.assert_allclose(found.solution.x, x[None], rtol=1e-7)


class Noting:
    """Solves nothing, and notes the linear terms."""

    def __init__(self):
        self.tops = []

    def load(self, conic, params, request):
        return self

    def solve(self, params, rows, start):
        self.tops.append([np.abs(params[name].full()).max() for name in ("q", "b")])
        return Found.nothing(len(rows), BALL)


def test_what_is_not_solved_in_fair_units_is_tried_as_it_is():
    solver, params, every = Noting(), ball([1e8, 1.0], [1.0, 1.0]), np.arange(2)
    loaded = Rescaled(solver, 1e-6).load(BALL, params, Request(1e-9))
    found = loaded.plainly(loaded.solve(params, every, None), every, None)
    assert not found.solved.any()
    assert solver.tops[1:] == [[1e8, 1.0]]  # of the one that is another in these units


@pytest.mark.parametrize("claim", [Status.OPTIMAL, Status.INFEASIBLE, Status.UNBOUNDED])
def test_what_is_claimed_of_a_program_as_it_is_needs_a_proof(claim):
    """Nothing is solved in fair units, and then anything is claimed."""

    class Claiming(Noting):
        def solve(self, params, rows, start):
            found = super().solve(params, rows, start)
            found.status[:] = claim if len(self.tops) > 1 else Status.NUMERICAL
            return found

    params, every = ball([1e8], [1.0]), np.zeros(1, int)
    loaded = Rescaled(Claiming(), 1e-6).load(BALL, params, Request(1e-9))
    found = loaded.plainly(loaded.solve(params, every, None), every, None)
    assert found.status.tolist() == [Status.NUMERICAL]


def test_linear_terms_that_a_tilt_made_large_come_in_fair_units():
    solver = Noting()
    loaded = Rescaled(solver, 1e-6).load(BALL, ball([1.0], [1.0]), Request(1e-9))
    for costs, sides in ((1.0, 1.0), (1e8, 1.0), (1e-9, 1e9)):
        solver.tops.clear()
        loaded.solve(ball([costs], [sides]), np.zeros(1, int), None)
        assert all(0.1 < top < 10 for top in solver.tops[0])


def test_fair_data_are_left_alone():
    params = ball([1.0, 0.1], [2.0, 1.0])
    units = Units.of(BALL, params)
    assert units.idle
    assert units.linear(params) is params
    assert units.matrices(BALL, params) is params


@pytest.mark.parametrize("name", ENGINES)
def test_entries_of_next_to_nothing_have_no_say_in_units(name):
    params = ball([1.0], [1.0])
    dirty = np.where(A == 0, [[1e-310, 8e-310], [0, 1e-310], [2.5e-311, 0]], A)
    expected = registry.get(name).solve(BALL, params).solution
    found = registry.get(name).solve(BALL, {**params, "A": shared(dirty, 1)}).solution
    assert found.solved.all()
    np.testing.assert_allclose(found.x, expected.x, rtol=1e-8)
    units = Units.of(BALL, {**params, "A": shared(dirty, 1)})
    assert units.idle


def test_variables_that_only_the_hessian_joins_have_units_of_the_others():
    # x_1 is bounded by -b; x_2 meets no row, and follows it
    conic = Conic(2, Cones(nonneg=1), quadratic=True)
    P, q = np.array([[2.0, 1.0], [1.0, 2.0]]), np.zeros(2)
    params = {
        "P": shared(P, 2), "q": shared(q, 2), "A": shared(np.array([[1.0, 0.0]]), 2),
        "b": batched(np.array([[-1e70], [-1e-70]])),
    }  # fmt: skip
    cols = Units.of(conic, params).cols
    np.testing.assert_allclose(cols, np.array([[232.5] * 2, [-232.5] * 2]), atol=2)
    for name in ENGINES:
        found = registry.get(name).solve(conic, params).solution
        assert found.solved.all()
        expected = np.array([[-1e70, 0.5e70], [-1e-70, 0.5e-70]])
        np.testing.assert_allclose(found.x, expected, rtol=1e-6)


def test_a_stray_entry_has_no_say_in_units():
    conic = Conic(3, Cones(nonneg=1, soc=(4,)), quadratic=False)
    plain = np.concatenate([np.ones((1, 3)), np.zeros((1, 3)), np.eye(3)])
    stray = plain.copy()
    stray[2, 2] = 5e-61
    rng = np.random.default_rng(0)
    rows, cols = 2.0 ** rng.integers(-30, 30, 2)[[0, 1, 1, 1, 1]], 2.0 ** rng.integers(-30, 30, 3)
    linear = {"q": shared(np.ones(3) * cols, 1), "b": shared(np.array([1, 1, 0, 0, 0]) * rows, 1)}
    units = [
        Units.of(conic, {**linear, "A": shared(rows[:, None] * part * cols, 1)})
        for part in (plain, stray)
    ]
    np.testing.assert_array_equal(units[0].cols, units[1].cols)
    np.testing.assert_array_equal(units[0].rows, units[1].rows)


@pytest.mark.parametrize("name", ENGINES)
def test_where_units_of_variables_are_far_apart_forces_are_judged_in_those_of_the_user(name):
    """A column whose largest entry is 1e35 times the others; rounding of y is then a force."""
    P = np.array([[0.55, 0.15, -0.26], [0.15, 1.7, 0.26], [-0.26, 0.26, 3.63]])
    wild = np.array([
        [0.0, 0.0, -14.5], [0.0, -12.6, -16.9], [0.0, 11.0, 0.0], [6e34, 1.9, -10.5],
        [0.0, -12.9, 1.8],
    ])  # fmt: skip
    q, b = np.array([-0.024, 1.19, -0.34]), np.array([-6.6, 3.7, 2.1, 4.8, -1.4])
    conic = Conic(3, Cones(nonneg=2, power=(0.5,)), quadratic=True)
    params = {"P": shared(P, 1), "q": shared(q, 1), "A": shared(wild, 1), "b": shared(b, 1)}
    found = registry.get(name).solve(conic, params).solution
    x, y = found.x[0], found.y[0]
    force = np.abs(P @ x + q + wild.T @ y)
    size = np.abs(P @ x) + np.abs(q) + np.abs(wild.T) @ np.abs(y)
    assert found.status[0] != Status.OPTIMAL or (force <= 1e-6 * size).all()
