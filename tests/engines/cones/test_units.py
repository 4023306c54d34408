import numpy as np
import pytest

from lpgd import Cones
from lpgd.core.params import batched, shared
from lpgd.core.solution import Solution, Status
from lpgd.engines import registry
from lpgd.engines.cones.units import ConeUnits
from lpgd.families.conic.conic import Conic

BALL = Conic(2, Cones(soc=(3,)), quadratic=False)
A = np.array([[0.0, 0.0], [-1.0, 0.0], [0.0, -1.0]])
Q, B = np.array([1.0, 0.5]), np.array([1.0, 0.0, 0.0])


def ball(costs, sides):
    """Largest q'x over balls, with costs and radii in some units."""
    costs, sides = np.asarray(costs)[:, None], np.asarray(sides)[:, None]
    return {"q": batched(costs * Q), "A": shared(A, len(costs)), "b": batched(sides * B)}


@pytest.mark.parametrize("engine", ["moreau", "clarabel", "scs"])
def test_tiny_and_huge_linear_terms_are_solved_to_the_same_relative_accuracy(engine):
    costs, sides = [1.0, 1e8, 1e-8, 1e-10, 1e10], [1.0, 1e4, 1e-4, 1e5, 1e-5]
    if engine == "scs":  # splitting does not solve the fourth
        costs, sides = costs[:3], sides[:3]
    found = registry.get(engine).solve(BALL, ball(costs, sides)).solution
    assert found.solved.all()
    expected = np.broadcast_to(-Q / np.linalg.norm(Q), found.x.shape)
    np.testing.assert_allclose(found.x / np.array(sides)[:, None], expected, rtol=1e-8)


@pytest.mark.parametrize("engine", ["moreau", "clarabel", "scs"])
def test_infeasible_and_unbounded_stay_so_in_any_units(engine):
    params = ball([1e8, 1e-8, 1e8, 1e-8], [-1e4, -1e-4, 1e4, 1e-4])
    open_ = np.stack([A, A, 0 * A, 0 * A])
    found = registry.get(engine).solve(BALL, {**params, "A": batched(open_)}).solution
    infeasible, unbounded = Status.INFEASIBLE, Status.UNBOUNDED
    assert found.status.tolist() == [infeasible, infeasible, unbounded, unbounded]


def test_units_change_nothing_but_units():
    params = ball([1e-5, 1.0], [1.0, 3e7])
    units = ConeUnits.of(params)
    inside = units.enter(params)
    np.testing.assert_array_equal(inside["q"].full() / units.costs, params["q"].full())
    np.testing.assert_array_equal(inside["b"].full() / units.sides, params["b"].full())
    assert (np.abs(inside["q"].full()).max(axis=1) < 64).all()
    rng = np.random.default_rng(0)
    point = Solution(rng.normal(size=(2, 2)), rng.normal(size=(2, 3)), np.zeros(2, np.int8))
    back = units.leave(units.inside(point))
    np.testing.assert_array_equal(back.x, point.x)
    np.testing.assert_array_equal(back.y, point.y)
    assert units.shrunk.tolist() == [False, True]
    assert (units.larger.sides == 1).all()


def test_fair_data_are_left_alone():
    params = ball([1.0, 0.1], [2.0, 1.0])
    assert ConeUnits.of(params).enter(params) is params
