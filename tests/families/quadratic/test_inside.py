"""Bounds, whatever their form, hold exactly after rounding broke them."""

from dataclasses import replace

import numpy as np
import pytest

from lpgd.core.params import shared, taken
from lpgd.core.pattern import Pattern
from lpgd.core.solution import Solution
from lpgd.families.conic.cones import Cones
from lpgd.families.conic.conic import Conic
from lpgd.families.qp.qp import QP
from tests.support import program


def moved(problem, params, x):
    at = Solution(np.array([x]), np.zeros((1, problem.m)), np.zeros(1, np.int8))
    return problem.inside(params, at).x[0]


def test_bounds_of_a_qp():
    problem, params = program(q=[0, 0, 0], lb=[0, -np.inf, 1], ub=[1, 2, np.inf])
    assert moved(problem, params, [-1e-13, 2 + 1e-14, 1 - 1e-12]).tolist() == [0, 2, 1]
    assert moved(problem, params, [0.5, -9.0, 7.0]).tolist() == [0.5, -9, 7]


def test_no_row_moves_x_beyond_a_bound():
    """3 x <= 0.3 says x < 0.1 by rounding, and x >= 0.1."""
    problem, params = program(q=[1], G=[[3.0]], h=[0.3], lb=[0.1])
    assert moved(problem, params, [0.1]).tolist() == [0.1]
    problem, params = program(q=[1], G=[[-3.0]], h=[-0.6 - 2e-16], ub=[0.2])
    assert moved(problem, params, [0.2]).tolist() == [0.2]


def test_where_x_says_nothing_of_its_size_other_rows_do():
    problem, params = program(q=[1], G=[[-2.0], [1.0]], h=[0, 30])
    assert moved(problem, params, [-1e-13]).tolist() == [0]
    assert moved(problem, params, [-1e-3]).tolist() == [-1e-3]


def test_what_is_no_rounding_stays():
    problem, params = program(P=np.eye(2), q=[0.1, -1], lb=[0, 0])
    assert moved(problem, params, [-0.1, 1.0]).tolist() == [-0.1, 1]


def test_a_row_in_wild_units_is_no_measure_of_what_others_broke():
    problem, params = program(P=[[0.3]], q=[0], G=[[-0.5], [1.0], [-2.5e44]], h=[0, 0, 0.8])
    assert moved(problem, params, [7.6e-44]).tolist() == [0]
    assert moved(problem, params, [-7.6e-44]).tolist() == [0]


@pytest.mark.parametrize("sparse", [False, True, "with zeros stored"])
@pytest.mark.parametrize("kind", [QP, Conic])
def test_rows_with_a_single_entry_are_bounds(kind, sparse):
    rows = np.array([[1.0, 1.0, 0.0], [-3.0, 0.0, 0.0], [0.0, 0.0, 7.0], [0.0, -1.0, -1.0]])
    sides = np.array([0.0, -1.0, 0.7, -1e-12])
    values, patterns, name = rows, {}, "G" if kind is QP else "A"
    if sparse:
        places = np.nonzero(rows if sparse is True else np.ones_like(rows))
        values, patterns = rows[places], {name: Pattern(*places, rows.shape)}
    rhs = "h" if kind is QP else "b"
    params = {name: shared(values, 1), rhs: shared(sides, 1), "q": shared(np.zeros(3), 1)}
    if kind is QP:
        problem = QP.of({"G": 4}, 3, patterns)
    else:
        problem = Conic(3, Cones(nonneg=4), patterns, quadratic=False)
    x = moved(problem, params, [1 / 3 - 1e-12, 1e-13, 0.1 + 1e-12])
    assert x[1] == 1e-13
    np.testing.assert_allclose(x[[0, 2]], [1 / 3, 0.1], rtol=1e-15)
    assert (rows[1:3] @ x <= sides[1:3]).all()


def test_a_stored_row_of_several_entries_is_no_bound():
    rows = Pattern(np.zeros(2, int), np.arange(2), (1, 2))
    params = {"A": shared(np.ones(2), 1), "b": shared(np.ones(1), 1), "q": shared(np.zeros(2), 1)}
    problem = Conic(2, Cones(nonneg=1), {"A": rows}, quadratic=False)
    assert moved(problem, params, [1 + 1e-12, 0.0])[0] == 1 + 1e-12


@pytest.mark.parametrize("entry", [3.0, -3.0, 7.0, -49.0])
def test_no_bound_is_broken_by_its_own_rounding(entry):
    for side in np.linspace(0.1, 1.0, 40):
        problem, params = program(q=[0], G=[[entry]], h=[side])
        x = moved(problem, params, [side / entry * (1 + np.sign(entry) * 1e-12)])
        assert entry * x[0] <= side


def test_equalities_and_curved_cones_are_no_bounds():
    A = np.array([[1.0], [1.0], [0.0]])
    problem = Conic(1, Cones(zero=1, soc=(2,)), quadratic=False)
    params = {k: shared(np.array(v), 1) for k, v in
              {"A": A, "b": [1.0, 1.0, 0.0], "q": [0.0]}.items()}  # fmt: skip
    assert moved(problem, params, [1 + 1e-12])[0] == 1 + 1e-12


def test_zero_has_no_sign():
    problem, params = program(q=[0, 1], G=[[-1, 0]], h=[0])
    x = moved(problem, params, [-1e-16, 1.0])
    assert not np.signbit(x[0])


def test_nothing_to_move_is_no_copy():
    problem, params = program(q=[0], lb=[0])
    at = Solution(np.ones((1, 1)), np.zeros((1, 1)), np.zeros(1, np.int8))
    assert problem.inside(params, at) is at
    assert problem.inside(params, replace(at, x=-1e-12 * at.x)) is not at


def test_the_data_of_an_element_are_measured_once_however_many_bounds_it_breaks(monkeypatch):
    """A bound's length is asked for where x says nothing of its size."""
    n, asked = 40, []
    problem, params = program(q=np.ones(n), A=[np.ones(n)], b=[1.0], lb=np.zeros(n))
    x = np.full(n, -1e-12)

    def watched(given, rows):
        asked.append(len(rows))
        return taken(given, rows)

    monkeypatch.setattr("lpgd.families.quadratic.inside.taken", watched)
    assert not moved(problem, params, x).any()
    assert asked == [1]
