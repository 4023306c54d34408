"""Forward passes as bytes."""

from dataclasses import replace

import numpy as np
import pytest

import lpgd
from lpgd.core.solution import Flag, Solution
from lpgd.frontend.replay import Record
from lpgd.map.solution_map import SolutionMap
from tests.maps import BOX, boxes, forward

COSTS = boxes([1.0, -1.0], [np.nan, 0.0], [0.3, -0.2])


@pytest.fixture(params=["daqp", "highs"])
def found(request):
    solver = SolutionMap(lpgd.LPGD(), request.param, "nan")
    with pytest.warns(lpgd.SolverWarning):
        return forward(solver, BOX, COSTS)


def test_records_hold_every_bit(found):
    record = Record.of(BOX)
    written = record.write(found)
    assert written.shape == (3, record.width)
    assert written.dtype == np.uint8
    solution, accuracy = record.read(written)
    for name in ("x", "y", "status", "basis"):
        np.testing.assert_array_equal(getattr(solution, name), getattr(found.solution, name))
    assert solution.flags is None
    np.testing.assert_array_equal(accuracy, found.accuracy)


def test_rows_may_be_picked_and_flags_come_along(found):
    flags = np.array([0, 0, Flag.MOVED], dtype=np.uint8)
    found = replace(found, solution=replace(found.solution, flags=flags))
    solution, _ = Record.of(BOX).read(Record.of(BOX).write(found)[[2, 0]])
    assert solution.flags.tolist() == [Flag.MOVED, 0]
    np.testing.assert_array_equal(solution.x, found.solution.x[[2, 0]])


def test_what_has_no_room_is_refused(found):
    wide = replace(found.solution, basis=np.zeros((3, 7), dtype=np.int8))
    with pytest.raises(lpgd.EngineError, match="basis of 7 entries, and there is room for 6"):
        Record.of(BOX).write(replace(found, solution=wide))
    odd = replace(found.solution, objects=np.array([None] * 3))
    with pytest.raises(lpgd.EngineError, match="objects have no room"):
        Record.of(BOX).write(replace(found, solution=odd))


def test_an_empty_batch_has_records():
    blank = Record(2, 4).read(np.zeros((0, Record(2, 4).width), np.uint8))[0]
    assert isinstance(blank, Solution)
    assert blank.x.shape == (0, 2)


def test_tokens_are_those_of_one_call_in_its_order(found):
    record = Record.of(BOX)
    one, other = (record.write(found, bytes([k] * 8)) for k in (1, 2))
    assert record.token(one) == bytes([1] * 8)
    assert record.token(one[[1, 0, 2]]) is None
    assert record.token(np.concatenate([one[:1], other[1:]])) is None
    assert record.token(one[:0]) is None
