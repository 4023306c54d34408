"""What LPs say of programs without a solution, against hand-made ones."""

import numpy as np
import pytest

from lpgd.core.solution import Solution, Status
from lpgd.engines.second_look import Elastic, elastic, feasible, recession
from tests.support import program


def look(**data):
    problem, params = program(**data)
    return problem, params, elastic(problem, params, None)


@pytest.mark.parametrize("gap", [1.0, 1e-3, 1e-7])
def test_the_share_of_a_contradiction(gap):
    problem, params, found = look(q=[0.0, 0.0], A=[[1, 1], [2, 2]], b=[1.0, 2.0 + 2 * gap])
    assert found.known.all()
    # the second row gives way: by 2 gap of |y_1| + |y_2| (2 + 2 gap), y = (-2, 1)
    np.testing.assert_allclose(found.share, gap / 2, rtol=1e-6 + gap)
    ray = Solution(np.zeros((1, 2)), found.proof, np.full(1, Status.INFEASIBLE, np.int8))
    assert problem.refuted(params, ray)[0] <= 1e-6


def test_bounds_hold_and_belong_to_the_proof():
    _, _, found = look(q=[0.0], G=[[1.0]], h=[-1.0], lb=[0.0], ub=[5.0])
    np.testing.assert_allclose(found.proof, [[1.0, 1.0, 0.0]])
    np.testing.assert_allclose(found.share, 1.0)
    np.testing.assert_allclose(found.relaxed["h"].full(), [[0.0]], atol=1e-9)


def test_feasible_programs_give_way_nowhere():
    _, params, found = look(
        q=[1.0, 1.0], A=[[1, 0], [1, 1e-6]], b=[0, 1], G=[[1, 0]], h=[np.inf], ub=[np.inf, 2e6]
    )
    np.testing.assert_array_equal(found.share, 0.0)
    np.testing.assert_allclose(found.relaxed["b"].full(), params["b"].full(), atol=1e-9)


@pytest.mark.parametrize("wild", [1.0, 1e20, 2.7e146])
def test_a_side_that_no_point_comes_near_excuses_no_contradiction(wild):
    _, _, found = look(q=[1.0], P=[[1.0]], A=[[0.0]], b=[-0.35], G=[[0.5]], h=[wild], lb=[-0.6])
    np.testing.assert_allclose(found.share, 1.0)


def test_bounds_that_x_reaches_excuse_no_contradiction_of_an_empty_row():
    _, _, found = look(q=[1.0, 1.0], A=[[0.0, 0.0]], b=[-0.1], G=[[0, 1]], h=[-1e18], lb=[0, -2e19])
    np.testing.assert_allclose(found.share, 1.0)


def test_directions():
    problem, params = program(q=[-1.0, 0.0], G=[[1.0, -1.0]], h=[3.0], lb=[0.0, -np.inf])
    found = recession(problem, params, None)
    np.testing.assert_allclose(found, [[1.0, 1.0]])
    for stop in ({"ub": [np.inf, 9.0]}, {"A": [[0.0, 1.0]], "b": [2.0]}, {"P": np.eye(2)}):
        given = {"q": [-1.0, 0.0], "G": [[1.0, -1.0]], "h": [3.0]} | stop
        np.testing.assert_array_equal(recession(*program(**given), None), 0.0)


def test_curvature_in_other_directions_stops_nothing():
    problem, params = program(P=np.diag([1.0, 0.0]), q=[-1.0, -1.0])
    np.testing.assert_allclose(recession(problem, params, None), [[0.0, 1.0]])


def test_no_rows_at_all():
    problem, params, found = look(q=[1.0])
    assert found.known.all()
    assert found.proof.shape == (1, 0)
    np.testing.assert_allclose(recession(problem, params, None), [[-1.0]])


def test_rows_without_a_side_limit_no_direction():
    given = {"q": [-1.0, 0.0], "G": [[1.0, 0.0]]}
    assert recession(*program(**given, h=[1.0]), None)[0, 0] == 0.0
    assert recession(*program(**given, h=[np.inf]), None)[0, 0] == pytest.approx(1.0)


def test_costs_that_fall_by_rounding_do_not_fall():
    free = {"lb": [0.0, 0.0], "ub": [np.inf, np.inf]}
    np.testing.assert_array_equal(recession(*program(q=[-1e-9, 1.0], **free), None), 0.0)
    found = recession(*program(q=[-1e-5, 1.0], **free), None)
    np.testing.assert_allclose(found, [[1.0, 0.0]])
    tiny = recession(*program(q=[-1e-14, 1e-9], **free), None)  # relative to the costs
    np.testing.assert_allclose(tiny, [[1.0, 0.0]])


def test_points_are_feasible_within_rounding():
    problem, params = program(
        q=[0.0, 0.0], A=[[1.0, 0.0]], b=[1e6], G=[[0.0, 1.0]], h=[1e6], lb=[-np.inf, -2e6]
    )
    for x, fine in [
        ([1e6, 1e6], True),
        ([1e6 + 1e-7, 1e6 + 1e-7], True),
        ([1e6 - 1e-7, 0.0], True),
        ([1e6 + 1.0, 0.0], False),
        ([1e6 - 1.0, 0.0], False),
        ([1e6, 1e6 + 1.0], False),
        ([1e6, -2e6 - 1.0], False),
    ]:
        assert feasible(problem, params, np.array([x])).tolist() == [fine], x


def test_some_rows_are_replaced():
    both = {"q": [0.0], "A": [[1.0], [1.0]]}
    (problem, params), (_, bad) = program(**both, b=[1.0, 1.0]), program(**both, b=[3.0, 4.0])
    first, other = Elastic.of_feasible(problem, params), elastic(problem, bad, None)
    found = first.put(np.array([0]), other)
    assert found.known.tolist() == other.known.tolist()
    for name in ("share", "proof"):
        np.testing.assert_array_equal(getattr(found, name), getattr(other, name))
        assert getattr(first, name).any() < getattr(found, name).any()
    np.testing.assert_array_equal(found.relaxed["b"].full(), other.relaxed["b"].full())
    assert first.relaxed["b"].full().tolist() == [[1.0, 1.0]]
    assert np.ptp(found.relaxed["b"].full()) == pytest.approx(0.0, abs=1e-9)


def test_contradictions_by_rounding_are_none():
    _, _, found = look(q=[0.0], A=[[1.0], [1.0]], b=[1.0, 1.0 + 4e-15])
    assert found.share.tolist() == [0.0]
    _, _, found = look(q=[0.0], A=[[1.0], [1.0]], b=[1.0, 1.0 + 1e-9])
    np.testing.assert_allclose(found.share, 5e-10, rtol=1e-3)
