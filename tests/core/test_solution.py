from dataclasses import replace

import numpy as np
import pytest

from lpgd.core.solution import Flag, Solution, Status


def solution(*starts):
    x = np.array(starts, dtype=float)[:, None] + np.arange(2.0)
    return Solution(x, -x, np.zeros(len(x), dtype=np.int8))


@pytest.mark.parametrize("status", Status)
def test_every_status_says_what_it_is_and_what_to_try(status):
    assert status.text == status.text.lower()
    assert "_" not in status.text
    assert status.advice
    assert status.usable == (status in (Status.OPTIMAL, Status.INACCURATE))


def test_blank_rows_are_invalid_zeros():
    blank = Solution.blank(2, 3, 4)
    assert len(blank) == 2
    assert blank.x.shape == (2, 3)
    assert blank.y.shape == (2, 4)
    assert not blank.x.any()
    assert not blank.solved.any()
    assert (blank.status == Status.INVALID).all()


def test_only_optimal_rows_are_solved():
    rows = Solution(np.zeros((2, 1)), np.zeros((2, 0)), np.array([0, 1], dtype=np.int8))
    np.testing.assert_array_equal(rows.solved, [True, False])


def test_take_and_put():
    whole = solution(0, 10, 20)
    part = whole.take(np.array([2, 0, 2]))
    np.testing.assert_array_equal(part.x[:, 0], [20, 0, 20])
    merged = whole.put(np.array([2, 0]), solution(5, 6))
    np.testing.assert_array_equal(merged.x[:, 0], [6, 10, 5])
    np.testing.assert_array_equal(merged.y, -merged.x)
    np.testing.assert_array_equal(whole.x[:, 0], [0, 10, 20])  # put copies


def test_take_by_mask():
    np.testing.assert_array_equal(solution(0, 1).take(np.array([False, True])).x[:, 0], [1])


def test_join_appends():
    np.testing.assert_array_equal(solution(0, 1).join(solution(2)).x[:, 0], [0, 1, 2])


def test_what_only_one_of_two_records_has_is_zero_in_the_other():
    plain = solution(0, 1)
    more = replace(
        solution(2), flags=np.full(1, Flag.MOVED, np.uint8), basis=np.ones((1, 3), np.int8)
    )
    for joined, there in ((plain.join(more), [0, 0, 1]), (more.join(plain), [1, 0, 0])):
        np.testing.assert_array_equal(joined.flags, Flag.MOVED * np.array(there))
        np.testing.assert_array_equal(joined.basis, np.array(there)[:, None] * np.ones((1, 3)))
    last = np.array([1])
    np.testing.assert_array_equal(plain.put(last, more).flags, [0, Flag.MOVED])
    assert not more.take(np.zeros(2, int)).put(last, solution(5)).flags[1]
