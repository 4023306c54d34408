import numpy as np
from hypothesis import find, given
from hypothesis import strategies as st

from lpgd.testing import programs, tilts


@given(programs(("LP",), sparse=True))
def test_programs_are_of_the_families_and_kinds_asked_for(case):
    assert case.problem.family == "LP"
    assert set(case.problem.patterns) == {"A", "G"} & set(case.params)


def test_programs_may_lack_everything_or_hold_it():
    assert find(programs(), lambda case: set(case.params) == {"P", "q"})
    whole = {"P", "q", "G", "h", "A", "b", "lb", "ub"}
    assert find(programs(), lambda case: set(case.params) == whole)


def test_arguments_may_be_shared_batched_or_in_between():
    for count in (1, 2, 4):
        assert find(programs(), lambda case, count=count: len(case.params["q"].values) == count)


@given(st.data())
def test_tilts_name_elements_of_the_batch(data):
    case = data.draw(programs())
    tilt = data.draw(tilts(case, augmented=False))
    assert (tilt.rows < len(case.solution)).all()
    assert not tilt.rho.any()
    assert np.isfinite(tilt.dy).all()
