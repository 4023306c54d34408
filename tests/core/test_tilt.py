import pickle

import numpy as np

from lpgd.core.tilt import Cotangent, Tilt

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
