"""Cotangents of far sizes, brought nearer by powers of two."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lpgd.core.params import batched
from lpgd.core.solution import Solution
from lpgd.core.tilt import Cotangent
from lpgd.map.terms import COARSE, evened

SIZES = st.integers(-1060, 1020)


def evens(size, reach, costs=None):
    one = np.ones((1, 2))
    point = Solution(np.ldexp(one, reach), np.zeros((1, 1)), np.zeros(1, np.int8))
    cotangent = Cotangent(np.zeros(1, np.intp), np.ldexp([[1.0, -0.3]], size), np.zeros((1, 1)))
    prices = None if costs is None else batched(np.ldexp(one, costs))
    return cotangent, *evened(cotangent, point, prices)


@given(SIZES, SIZES, st.none() | SIZES)
@example(514, -1000, 1000)
def test_what_is_brought_nearer_stays_a_normal_number(size, reach, costs):
    """Whatever the solution and the costs are, and powers say by how much."""
    given, found, power = evens(size, reach, costs)
    if power is None:
        assert found is given
        return
    assert power[0] % COARSE == 0
    most = np.abs(found.dx).max()
    assert np.isfinite(most)
    assert most > 1e-300 or size < -1022
    assert np.isclose(np.log2(most) - np.log2(np.abs(given.dx).max()), power[0])


@pytest.mark.parametrize("size", [-160, 0, 160])
def test_usual_sizes_are_left_alone(size):
    given, found, power = evens(size, 1000)
    assert found is given
    assert power is None


@pytest.mark.parametrize(("size", "reach"), [(-1000, 0), (1000, 0), (-700, -900), (900, 800)])
def test_with_costs_gradients_and_moves_have_equal_room(size, reach):
    """The work of the loss comes near the square root of that of the costs."""
    _, found, power = evens(size, reach, costs=-reach)
    work = np.log2(np.abs(found.dx[0, 0])) + reach
    assert power is not None
    assert abs(work) <= COARSE / 2 or abs(np.log2(np.abs(found.dx[0, 0]))) > 600


@pytest.mark.parametrize(("size", "reach"), [(-535, 530), (-615, 480), (615, -620)])
def test_a_step_from_the_solution_to_the_cotangent_is_a_number(size, reach):
    """Other units of x: near 1 together, but their quotient is no number."""
    _, found, power = evens(size, reach)
    assert power is not None
    assert abs(np.log2(np.abs(found.dx[0, 0]))) <= COARSE / 2


def test_solutions_and_cotangents_in_other_units_are_left_alone():
    given, found, power = evens(-300, 310)
    assert found is given
    assert power is None
