"""Rays that prove that a program is infeasible or unbounded, and such that prove nothing."""

import numpy as np
import pytest

from lpgd.core.params import shared
from lpgd.core.solution import Solution, Status
from lpgd.families.conic.cones import Cones
from lpgd.families.conic.conic import Conic
from lpgd.testing import Shape, plant
from tests.support import program


def ray(status, x=None, y=None):
    x, y = (np.atleast_2d(np.array(part, dtype=float)) for part in (x, y))
    return Solution(x, y, np.full(len(x), status, dtype=np.int8))


@pytest.mark.parametrize("scale", [1.0, 2.0**-40, 2.0**40])
def test_a_contradiction_proves_that_nothing_is_feasible(scale):
    # x <= -1 and -x <= -1
    problem, params = program(q=[1.0], G=[[scale], [-1.0]], h=[-scale, -1.0])
    for y, proof in (([1 / scale, 1], True), ([2 / scale, 1], False), ([-1 / scale, -1], False)):
        found = problem.refuted(params, ray(Status.INFEASIBLE, [0.0], y))
        assert (found[0] < 1e-9) == proof


def test_a_contradiction_within_rounding_proves_nothing():
    problem, params = program(q=[1.0], A=[[1.0], [1.0]], b=[1.0, 1 + 1e-10])
    assert problem.refuted(params, ray(Status.INFEASIBLE, [0.0], [1.0, -1.0]))[0] == np.inf
    problem, params = program(q=[1.0], A=[[1.0], [1.0]], b=[1.0, 1 + 1e-6])
    assert problem.refuted(params, ray(Status.INFEASIBLE, [0.0], [1.0, -1.0]))[0] < 1e-9


def test_a_distant_solution_is_no_contradiction():
    problem, params = program(P=np.eye(2), q=[0, 0], A=[[1, 0], [1, 1e-6]], b=[0, 1])
    found = problem.refuted(params, ray(Status.INFEASIBLE, [0.0, 0.0], [1.0, -1.0]))
    assert found[0] > 1e-6


def test_a_column_that_has_lost_its_digits_is_no_rounding_of_a_contradiction():
    # x = (-2, 0), where one of 1e-310 is all that there is of a column
    A, b = [[1e-310, 1.3], [1e-310, -0.35]], [-2e-310, -2e-310]
    problem, params = program(q=[0, 0], A=A, b=b)
    found = problem.refuted(params, ray(Status.INFEASIBLE, [0.0, 0.0], [0.35, 1.3]))
    assert found[0] > 1e-6


@pytest.mark.parametrize("scale", [1.0, 2.0**-40, 2.0**40])
def test_a_way_down_for_ever(scale):
    problem, params = program(
        P=np.diag([scale, 0, 0]), q=[0, -scale, 1], G=[[0, -1, 0]], h=[0], ub=[1, np.inf, 1]
    )
    for x, proof in (
        ([0, 1, 0], True),
        ([0, 1, 1], False),  # which the third has a bound for
        ([1, 1, 0], False),
        ([0, -1, 0], False),
    ):
        found = problem.refuted(params, ray(Status.UNBOUNDED, x, np.zeros(4)))
        assert (found[0] < 1e-9) == proof, x


def test_what_claims_nothing_proves_nothing():
    shape = Shape(5, 2, 6, ("lb", "ub"), batch=3, distinct=dict.fromkeys("qhb", 3))
    case = plant(shape, np.random.default_rng(0))
    assert (case.problem.refuted(case.params, case.solution) == np.inf).all()


def test_rays_of_curved_cones():
    # ||(1, u)|| <= 0 has no point; along (1, 1, 0) the cone goes on for ever
    A, b = np.array([[0.0, 0.0], [0.0, 0.0], [0.0, -1.0]]), np.array([0.0, 1.0, 0.0])
    problem = Conic(2, Cones(soc=(3,)), quadratic=False)
    params = {"q": shared(np.array([-1.0, 0]), 1), "A": shared(A, 1), "b": shared(b, 1)}
    for y, proof in (([1.0, -1.0, 0], True), ([1.0, -2.0, 0], False), ([1, 0, 0], False)):
        found = problem.refuted(params, ray(Status.INFEASIBLE, [0, 0], y))
        assert (found[0] < 1e-9) == proof, y
    A = -np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    params["A"] = shared(A, 1)
    for x, proof in (([1.0, 0.0], True), ([1.0, 0.1], False), ([-1.0, 0.0], False)):
        found = problem.refuted(params, ray(Status.UNBOUNDED, x, np.zeros(3)))
        assert (found[0] < 1e-9) == proof, x
