import pickle
from dataclasses import replace

import numpy as np
import pytest

from lpgd.core.solution import Solution
from lpgd.core.tilt import Cotangent, Term, Tilt

TILT = Tilt(
    np.array([0, 2]), np.array([0.5, -0.5]), np.ones((2, 3)), np.zeros((2, 1)),
    np.zeros(2), np.ones((2, 3)),
)  # fmt: skip


def test_other_steps_leave_the_directions():
    other = TILT.at(np.array([1.0, 2.0]))
    assert other.t.tolist() == [1, 2]
    assert other.dx is TILT.dx
    assert TILT.t.tolist() == [0.5, -0.5]


def test_rows_may_repeat():
    taken = TILT.take(np.array([1, 1, 0]))
    assert taken.rows.tolist() == [2, 2, 0]
    assert len(taken) == 3


def test_both_sides_join():
    both = TILT.join(TILT.at(-TILT.t))
    assert both.t.tolist() == [0.5, -0.5, -0.5, 0.5]
    assert both.rows.tolist() == [0, 2, 0, 2]


def test_tilts_cross_processes():
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(TILT)).dx, TILT.dx)


def test_cotangents_are_rows_as_well():
    cotangent = Cotangent(np.arange(2), np.ones((2, 3)), np.zeros((2, 1)))
    assert cotangent.take(np.array([1])).rows.tolist() == [1]


@pytest.mark.parametrize("part", ["dx", "dy", "ds"])
def test_every_part_of_a_cotangent_is_heard(part):
    zero = np.zeros((2, 2))
    silent = Cotangent(np.arange(2), zero, zero, zero)
    for value, finite in ((1.0, True), (np.inf, False), (np.nan, False)):
        heard = replace(silent, **{part: np.array([[0.0, 0.0], [0.0, value]])})
        assert heard.loud.tolist() == [False, True]
        assert heard.finite.tolist() == [True, finite]


def test_multipliers_are_shifted_by_a_tilt_of_the_slacks():
    point = Solution(np.ones((2, 3)), np.ones((2, 1)), np.zeros(2, np.int8))
    assert Term(np.ones(2), point, TILT).multipliers.tolist() == [[1.0], [1.0]]
    shifted = Term(np.ones(2), point, replace(TILT, ds=np.array([[2.0], [4.0]])))
    assert shifted.multipliers.tolist() == [[0.0], [3.0]]
