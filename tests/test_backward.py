"""What a solved batch offers to its pullback, apart from what the map's own tests cover."""

from dataclasses import replace

import numpy as np
import pytest

from lpgd.backward import is_stuck, spread, still
from lpgd.solution import Solution
from lpgd.tilt import Term
from tests.support import cotangent


def points(x):
    x = np.array(x, dtype=float)
    return Solution(x, np.zeros((len(x), 1)), np.zeros(len(x), np.int8))


def term(x, dx):
    found = points(x)
    return Term(np.ones(len(found)), found, still(found, cotangent(dx, m=1)).tilt)


@pytest.mark.parametrize(
    "moved, dx, stuck",
    [
        ([[0.0], [0.0]], [[1.0], [1.0]], True),
        ([[0.0], [1e-3]], [[1.0], [1.0]], False),  # one element moved
        ([[0.0], [1e-3]], [[1.0], [0.0]], True),  # but not the one that was pulled
        ([[0.0], [0.0]], [[0.0], [0.0]], False),  # nothing pulls
        ([[0.0], [0.0]], [[1e-18], [1e-18]], False),  # nothing but rounding pulls
    ],
)
def test_stuck_is_when_all_that_is_pulled_stays(moved, dx, stuck):
    start = points([[0.0], [0.0]])
    assert is_stuck([term(moved, dx), term([[0.0], [0.0]], dx)], start, np.array(dx)) is stuck


def test_spread_puts_terms_among_rows_that_keep_their_weight():
    start = points([[1.0], [2.0], [3.0]])
    base = still(start, cotangent(np.ones((3, 1)), m=1))
    rest, part = spread([term([[7.0]], [[1.0]])], np.array([1]), base, np.array([np.nan, 0, 0]))
    np.testing.assert_array_equal(rest.weight, [np.nan, 0, 0])
    np.testing.assert_array_equal(part.weight, [0, 1, 0])
    np.testing.assert_array_equal(part.point.x[:, 0], [1, 7, 3])


def test_slack_cotangents_are_silenced_too():
    given = replace(cotangent(np.ones((1, 1)), m=1), ds=np.ones((1, 1)))
    assert given.loud.all()
    assert given.finite.all()
    assert not still(points([[1.0]]), given).tilt.ds.any()
    assert not replace(given, ds=np.full((1, 1), np.nan)).finite.any()
