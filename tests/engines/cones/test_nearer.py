"""Constraints that are far away: least x^2 / 2 + c x with -1 <= x <= far, by solvers of cones."""

import numpy as np
import pytest

from lpgd import ClarabelEngine, Cones, MoreauEngine, Status
from lpgd.core.params import batched, shared
from lpgd.engines.cones.solver import Request
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
