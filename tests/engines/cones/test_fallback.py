from types import SimpleNamespace

import numpy as np
import pytest

from lpgd import Cones
from lpgd.core.params import shared
from lpgd.core.solution import Solution, Status
from lpgd.engines.cones.fallback import Fallback
from lpgd.engines.cones.solver import Found, Request
from lpgd.families.conic.conic import Conic
from lpgd.testing.cone_programs import KINDS, plant


class Stub:
    """Answers with a status and a point that is off by some noise, after some seconds."""

    def __init__(self, case, status=Status.OPTIMAL, noise=0.0, seconds=0.0):
        self.case, self.status, self.noise, self.seconds = case, status, noise, seconds
        self.requests, self.sizes = [], []

    def load(self, conic, params, request):
        self.requests.append(request)
        return self

    def solve(self, params, rows, start):
        self.sizes.append(len(rows))
        known = self.case.solution
        x, y = known.x[: len(rows)] + self.noise, known.y[: len(rows)]
        found = Found.of(x, y, np.full(len(rows), self.status, np.int8))
        found.seconds[:], found.set_ups[:] = self.seconds, 1
        return found


@pytest.fixture
def case():
    return plant(KINDS["soc"], 0, 2)


def ask(case, *solvers, seconds=float("inf")):
    loaded = Fallback(solvers, 1e-6).load(case.problem, case.params, Request(1e-9, seconds))
    return loaded.solve(case.params, np.arange(2), None)


def test_a_good_answer_needs_no_other_solver(case):
    first, second = Stub(case), Stub(case)
    found = ask(case, first, second)
    assert found.solved.all()
    assert (found.error < 1e-9).all()
    assert second.requests == []


@pytest.mark.parametrize("status", [Status.INFEASIBLE, Status.UNBOUNDED, Status.NUMERICAL])
def test_what_is_not_proven_goes_to_the_next(case, status):
    second = Stub(case)
    assert ask(case, Stub(case, status), second).solved.all()
    assert second.sizes == [2]
    alone = ask(case, Stub(case, status))
    assert (alone.status == Status.NUMERICAL).all()
    assert not alone.x.any()
    assert not alone.y.any()


def test_wrong_points_are_inaccurate_and_the_best_one_stays(case):
    assert (ask(case, Stub(case, noise=1e-2)).status == Status.INACCURATE).all()
    found = ask(case, Stub(case, noise=1e-4), Stub(case, noise=1e-2))
    assert (found.status == Status.INACCURATE).all()
    np.testing.assert_allclose(found.x, case.solution.x + 1e-4)
    found = ask(case, Stub(case, noise=1e-4), Stub(case, Status.NUMERICAL))
    assert (found.status == Status.INACCURATE).all()
    assert ask(case, Stub(case, noise=1e-4), Stub(case)).solved.all()


@pytest.mark.parametrize("status", [Status.TIME_LIMIT, Status.ITERATION_LIMIT])
def test_limits_end_the_search(case, status):
    second = Stub(case)
    assert (ask(case, Stub(case, status), second).status == status).all()
    assert second.requests == []


def test_a_time_limit_is_one_budget(case):
    second = Stub(case)
    found = ask(case, Stub(case, Status.NUMERICAL, seconds=3.0), second, seconds=5.0)
    assert second.requests[0].seconds == 2.0
    assert (found.seconds == 3.0).all()
    assert (found.set_ups == 2).all()


def contradiction(ray):
    """x <= -1 and -x <= -1, beside 1000 x <= 1e9, in two elements; what a solver says of it."""
    values = {"A": np.array([[1.0], [-1.0], [1e3]]), "b": np.array([-1.0, -1.0, 1e9]), "q": [0.0]}
    params = {name: shared(np.array(value), 2) for name, value in values.items()}
    solution = Solution(np.zeros((2, 1)), np.tile(ray, (2, 1)), np.zeros(2, np.int8))
    problem = Conic(1, Cones(nonneg=3), quadratic=False)
    return SimpleNamespace(problem=problem, params=params, solution=solution)


def test_a_proof_beats_an_inaccurate_point():
    case = contradiction([1.0, 1.0, 0.0])
    found = ask(case, Stub(case), Stub(case, Status.INFEASIBLE))
    assert (found.status == Status.INFEASIBLE).all()
    np.testing.assert_array_equal(found.y, case.solution.y)


@pytest.mark.parametrize("noise, proof", [(5e-8, True), (1e-3, False)])
def test_what_solvers_leave_where_a_ray_is_zero_is_no_part_of_it(noise, proof):
    case = contradiction([1.0, 1.0, noise])
    found = ask(case, Stub(case, Status.INFEASIBLE))
    assert (found.status == (Status.INFEASIBLE if proof else Status.NUMERICAL)).all()
    assert not found.y[:, 2].any()
