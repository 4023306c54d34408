from dataclasses import replace

import numpy as np
import pytest

from lpgd.core.solution import Solution
from lpgd.testing import violation
from tests.support import program, tilt_of

PROBLEM, PARAMS = program(q=[-3, -2], G=[[1, 1]], h=[1], lb=[0, 0])
RIGHT = Solution(np.array([[1.0, 0]]), np.array([[3.0, 0, 1]]), np.zeros(1, np.int8))


def test_a_saddle_point_violates_nothing():
    assert violation(PROBLEM, PARAMS, RIGHT).tolist() == [0]


@pytest.mark.parametrize(
    "x, y",
    [
        ([1, 0], [3, 0, -1]),  # not stationary
        ([1, 0], [2, -1, 0]),  # stationary with a multiplier of the wrong sign
        ([0.5, 0], [3, 0, 1]),  # a multiplier without contact
        ([1, 1], [3, 0, 1]),  # infeasible
    ],
)
def test_violations_are_seen(x, y):
    wrong = Solution(np.array([x], float), np.array([y], float), RIGHT.status)
    assert violation(PROBLEM, PARAMS, wrong)[0] >= 0.5


def test_tilted_points_are_judged_by_the_tilt():
    tilt = tilt_of(PROBLEM, 0.25, [1, -1], np.zeros(3))
    assert violation(PROBLEM, PARAMS, RIGHT, tilt)[0] == 0.25
    moved = replace(RIGHT, y=np.array([[11 / 4, 0, 1 / 2]]))
    assert violation(PROBLEM, PARAMS, moved, tilt)[0] == 0


def test_infinite_bounds_have_no_multiplier():
    problem, params = program(P=[[1]], q=[0], lb=[-np.inf])
    point = Solution(np.zeros((1, 1)), np.zeros((1, 1)), np.zeros(1, np.int8))
    assert violation(problem, params, point).tolist() == [0]
