"""The family of linear costs over any set, without any solver."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import strategies as st

import lpgd
from lpgd.core.params import batched, shared
from lpgd.core.solution import Solution, Status
from lpgd.core.tilt import Term, Tilt
from lpgd.families.oracle.oracle import Oracle
from lpgd.testing import ProblemBattery
from tests.support import cotangent


@dataclass(frozen=True)
class Case:
    problem: Oracle
    params: dict
    solution: Solution


@st.composite
def cases(draw):
    n, size = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    costs = shared(rng.normal(size=n), size) if draw(st.booleans()) else None
    costs = costs or batched(rng.normal(size=(size, n)))
    optimal = np.full(size, Status.OPTIMAL, np.int8)
    return Case(
        Oracle(n), {"q": costs}, Solution(rng.normal(size=(size, n)), np.zeros((size, 0)), optimal)
    )


class TestOracle(ProblemBattery):
    cases = cases()
    curved = False
    augmented = False


def tilt(rho=0.0, curve=None):
    one = np.ones((1, 2))
    return Tilt(
        np.zeros(1, np.intp), np.ones(1), one, one[:, :0], np.full(1, rho), one, None, curve, one
    )


@pytest.mark.parametrize("wrong", [tilt(rho=0.1), tilt(curve=np.ones((1, 2)))])
def test_terms_that_are_not_linear_are_refused(wrong):
    with pytest.raises(lpgd.EngineError, match="linear tilts only"):
        Oracle(2).tilt({"q": batched(np.ones((1, 2)))}, wrong)


def test_a_tilt_takes_the_other_arguments_along():
    inputs = np.array(["a", "b"], dtype=object)
    params = {"q": batched(np.eye(2)), "instances": batched(inputs)}
    rows = np.array([1, 1, 0])
    way = cotangent(np.ones((3, 2)))
    tilted = Tilt(rows, np.array([1.0, 2.0, 3.0]), way.dx, way.dy, np.zeros(3), way.dx)
    _, data = Oracle(2).tilt(params, tilted)
    assert data["instances"].full().tolist() == ["b", "b", "a"]
    assert data["q"].full().tolist() == [[1, 2], [2, 3], [4, 3]]


def test_nothing_wanted_needs_nothing_and_no_terms_are_zero():
    assert Oracle(2).grad({}, [], {}) == {}
    assert Oracle(2).grad({}, [], {"q": np.array([[0, 1]])})["q"].tolist() == [[0, 0]]


def test_gradients_are_summed_over_their_groups():
    point = Solution(np.eye(3), np.zeros((3, 0)), np.zeros(3, np.int8))
    one = np.ones(3)
    term = Term(
        one * 2, point, Tilt(np.arange(3), one, np.eye(3), np.zeros((3, 0)), one, np.eye(3))
    )
    found = Oracle(3).grad({}, [term], {"q": np.array([[0, 2]])})
    assert found["q"].tolist() == [[2, 0, 2]]
