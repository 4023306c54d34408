"""Constraints that are far away: least x^2 / 2 + c x with -1 <= x <= far, by solvers of cones."""

import numpy as np
import pytest

from lpgd import ClarabelEngine, Cones, MoreauEngine, Status
from lpgd.core.params import batched, shared
from lpgd.engines.cones.nearer import Nearer
from lpgd.engines.cones.solver import Found, Request
from lpgd.families.conic.conic import Conic
from lpgd.families.conic.far import around, nearer

CONIC = Conic(1, Cones(nonneg=2), quadratic=True)


def programs(*costs, far=1e20):
    """One program for each of the costs."""
    size = len(costs)
    return {
        "P": shared(np.ones((1, 1)), size),
        "q": batched(np.array(costs, dtype=float)[:, None]),
        "A": shared(np.array([[-1.0], [1.0]]), size),
        "b": batched(np.tile([1.0, far], (size, 1))),
    }


def loaded(params, engine):
    return engine.chain.load(CONIC, params, Request(1e-9, keep=True))


def every(params):
    return np.arange(len(params["q"].index))


@pytest.mark.parametrize("engine", [MoreauEngine(polish=False), ClarabelEngine(polish=False)])
def test_what_is_far_has_no_multiplier(engine):
    params = programs(-0.3, 2.0)
    found = loaded(params, engine).solve(params, every(params), None)
    assert found.status.tolist() == [Status.OPTIMAL] * 2
    np.testing.assert_allclose(found.x[:, 0], [0.3, -1.0], atol=1e-6)
    np.testing.assert_array_equal(found.y[:, 1], 0.0)


def test_units_are_handed_on_where_nothing_is_moved():
    near, far = programs(-0.3, far=5.0), programs(-0.3)
    assert loaded(near, MoreauEngine()).units is not None
    assert loaded(far, MoreauEngine()).units is None


@pytest.mark.parametrize("tilted", [-3e5, -1e9, -3e19, -3e21])
def test_a_tilted_solution_may_meet_what_was_far(tilted):
    params = programs(-0.3, 2.0)
    solver = loaded(params, MoreauEngine())
    start = solver.solve(params, every(params), None)
    other = {**params, "q": batched(np.array([[tilted], [2.0]]))}
    found = solver.solve(other, every(params), start.points)
    assert found.status.tolist() == [Status.OPTIMAL] * 2
    np.testing.assert_allclose(found.x[:, 0], [min(-tilted, 1e20), -1.0], rtol=1e-7)


def test_tilted_programs_are_moved_no_nearer_than_the_solution_allowed():
    """x_2 = 1e12 is longer than all that the data suggest, so that it meets x_2 <= 1e3 and 1e9."""
    conic = Conic(2, Cones(nonneg=2), quadratic=True)
    params = {
        "P": shared(np.diag([1.0, 1e-20]), 1),
        "q": batched(np.array([[-0.3, -1e-8]])),
        "A": shared(np.array([[-1.0, 0.0], [0.0, 1.0]]), 1),
        "b": batched(np.array([[1.0, 1e20]])),
    }
    solver = MoreauEngine().chain.load(conic, params, Request(1e-9, keep=True))
    start = solver.solve(params, np.arange(1), None)
    np.testing.assert_allclose(start.x, [[0.3, 1e12]], rtol=1e-9)
    other = {**params, "q": batched(np.array([[-0.3, -1.1e-8]]))}
    found = solver.solve(other, np.arange(1), start.points)
    np.testing.assert_allclose(found.x, [[0.3, 1.1e12]], rtol=1e-9)
    assert found.set_ups.tolist() == [0]  # the kept solver went on


def test_data_are_moved_to_where_a_point_leaves_them_slack():
    params = programs(-0.3, 2.0)
    inside, far = nearer(CONIC, params)
    np.testing.assert_array_equal(far, [[False, True]] * 2)
    np.testing.assert_allclose(inside["b"].full()[:, 1], [1e3, 2e3])  # costs of 2 suggest x = 2
    moved = around(CONIC, params, np.array([[0.3], [3e12]]))["b"].full()
    np.testing.assert_allclose(moved[0], [1.0, 1e3])
    assert 3e12 < moved[1, 1] < 1e20
    whole = around(CONIC, params, np.array([[np.nan], [1e20]]))
    np.testing.assert_array_equal(whole["b"].full(), params["b"].full())


@pytest.mark.parametrize("row", [1e-20, 1e-5, 1e20])
def test_rows_have_units_of_their_own(row):
    params = programs(-0.3)
    scaled = {
        "A": shared(np.array([[-1.0], [row]]), 1),
        "b": batched(np.array([[1.0, 1e20 * row]])),
    }
    inside, far = nearer(CONIC, {**params, **scaled})
    np.testing.assert_array_equal(far, [[False, True]])
    np.testing.assert_allclose(inside["b"].full()[:, 1], 1e3 * row)


def test_a_part_that_is_met_moves_no_other():
    """x_1 = 3e6 and x_1 + x_2 <= 1e40 are both far from x_2 <= 1: only the former is met."""
    conic = Conic(2, Cones(nonneg=3), quadratic=False)
    params = {
        "q": batched(-np.ones((1, 2))),
        "A": shared(np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]), 1),
        "b": batched(np.array([[3e6, 1e40, 1.0]])),
    }
    found = MoreauEngine().chain.load(conic, params, Request(1e-9, keep=True))
    solved = found.solve(params, np.arange(1), None)
    np.testing.assert_allclose(solved.x, [[3e6, 1.0]], rtol=1e-7)
    np.testing.assert_array_equal(found.far, [[False, True, False]])
    np.testing.assert_array_equal(found.steps, [[1, 0, 0]])


def test_far_is_told_in_units_of_the_variables():
    """1e8 x_1 <= 1e4 and x_2 <= 1: x_1 <= 1e30 comes near the former, not the latter."""
    conic = Conic(2, Cones(nonneg=3), quadratic=False)
    params = {
        "q": batched(-np.ones((1, 2))),
        "A": shared(np.array([[1e8, 0.0], [0.0, 1.0], [1.0, 0.0]]), 1),
        "b": batched(np.array([[1e4, 1.0, 1e30]])),
    }
    inside, far = nearer(conic, params)
    np.testing.assert_array_equal(far, [[False, False, True]])
    assert 1e-2 < inside["b"].full()[0, 2] < 10


@pytest.mark.parametrize(
    ("status", "sides"),
    [(Status.ITERATION_LIMIT, [1e3, 1e9]), (Status.INFEASIBLE, [1e3, 1e20])],
)
def test_a_solver_that_stumbles_gets_other_sides(status, sides):
    params, asked, ends = programs(-0.3), [], []

    class Stumbling:
        units = None

        def load(self, conic, params, request):
            self.params = params
            return self

        def solve(self, params, rows, start):
            asked.append(self.params["b"].full()[0, 1])
            if len(asked) == 1:
                return Found.nothing(1, CONIC, status)
            code = np.zeros(1, dtype=np.int8)
            return Found.of(np.array([[0.3]]), np.zeros((1, 2)), code)

        def plainly(self, found, rows, start):
            ends.append(found.status.tolist())
            return found

    solver = Nearer(Stumbling()).load(CONIC, params, Request(1e-9, keep=True))
    assert solver.solve(params, every(params), None).solved.all()
    np.testing.assert_allclose(asked, sides)
    assert ends == [[Status.OPTIMAL]]  # asked once, of what comes out in the end


@pytest.mark.parametrize("side", [1e-290, 1e-200, 1e-17])
def test_cones_whose_depth_has_no_square_come_near(side):
    """x_1 + x_2 = side and |x - c| <= 1e57: in units of the row the square of that is no number."""
    conic = Conic(2, Cones(zero=1, soc=(3,)), quadratic=False)
    rows = np.array([[1.0, 1], [0, 0], [-1, 0], [0, -1]])
    params = {
        "q": batched(np.array([[1.0, 2.0]])),
        "A": shared(rows, 1),
        "b": batched(np.array([[side, 1e57, 0, 0]])),
    }
    inside, far = nearer(conic, params)
    np.testing.assert_array_equal(far, [[False, True]])
    assert 1e2 * side < inside["b"].full()[0, 1] < 1e4 * side
    found = MoreauEngine().solve(conic, params).solution
    np.testing.assert_allclose(found.x / 1e57, [[0.5**0.5, -(0.5**0.5)]], rtol=1e-8)
    np.testing.assert_allclose(found.y[0, :2], [-1.5, 0.5**0.5], rtol=1e-8)


@pytest.mark.parametrize(("side", "unit"), [(1e-320, 1.0), (1e-300, 1e-20)])
def test_sides_that_are_next_to_no_number_tell_nobody_what_is_far(side, unit):
    conic = Conic(2, Cones(zero=1, soc=(3,)), quadratic=False)
    rows = np.array([[1.0, 1], [0, 0], [-unit, 0], [0, -unit]])
    params = {
        "q": batched(np.array([[1.0, 2.0]])),
        "A": shared(rows, 1),
        "b": batched(np.array([[side, 1e57, 0, 0]])),
    }
    np.testing.assert_array_equal(nearer(conic, params)[0]["b"].full()[0, 1] > 0, True)
    found = MoreauEngine().solve(conic, params).solution
    assert found.solved.all()
    np.testing.assert_allclose(unit * found.x / 1e57, [[0.5**0.5, -(0.5**0.5)]], rtol=1e-8)
