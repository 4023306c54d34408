"""What engines say is believed after a check of our own."""

from dataclasses import replace

import numpy as np
import pytest

from lpgd.core.engine import Answer
from lpgd.core.params import batched
from lpgd.core.problem import Ability
from lpgd.core.solution import Solution, Status
from lpgd.map.verify import FLOOR, UNKNOWN, verified


class Judge:
    """A family whose residual is x and whose certificates are as wrong as y says."""

    abilities, family = frozenset({Ability.CHECK}), "judged"

    def judged(self, params, point):
        return point, point.x[:, 0] / params["scale"].full()

    def refuted(self, params, ray):
        return ray.y[:, 0] / params["scale"].full()


def check(family, params, given):
    return verified(given, 1e-6, lambda: (family, params))


def answer(x, status, ray=None):
    x = np.array(x, dtype=float)[:, None]
    solution = Solution(x, np.zeros_like(x), np.array(status, np.int8))
    rays = None if ray is None else Solution(0 * x, np.array(ray, float)[:, None], solution.status)
    return Answer(solution, ray=rays)


def scale(*values):
    return {"scale": batched(np.array(values, dtype=float))}


def test_what_is_off_is_not_optimal_and_what_is_right_is():
    given = answer([1e-9, 1e-3, 1e-9, np.nan], [0, 0, Status.INACCURATE, 0])
    found = check(Judge(), scale(1, 1, 1, 1), given)
    assert found.solution.status.tolist() == [0, 1, 0, 1]
    np.testing.assert_array_equal(found.accuracy[:3], [1e-9, 1e-3, 1e-9])


def test_accuracy_is_measured_and_has_a_floor():
    found = check(Judge(), scale(1, 1), answer([0.0, 1e-8], [0, 0]))
    np.testing.assert_array_equal(found.accuracy, [FLOOR, 1e-8])


@pytest.mark.parametrize("claim", [Status.INFEASIBLE, Status.UNBOUNDED])
def test_claims_need_a_proof(claim):
    given = answer([0, 0, 0], [claim, claim, 0], ray=[1e-9, 0.5, 0])
    found = check(Judge(), scale(1, 1, 1), given)
    assert found.solution.status.tolist() == [claim, Status.NUMERICAL, 0]
    certain = check(Judge(), scale(1, 1, 1), answer([0, 0, 0], [claim, claim, 0]))
    assert certain.solution.status.tolist() == [claim, claim, 0]


def test_an_accurate_point_is_optimal_whatever_it_was_called():
    found = check(Judge(), scale(1), answer([1e-9], [Status.INACCURATE]))
    assert found.solution.status.tolist() == [Status.OPTIMAL]


def test_claims_need_a_proof_where_an_engine_measured_its_points_too():
    given = replace(
        answer([0, 1], [Status.INFEASIBLE, 0], ray=[0.5, 0]), accuracy=np.array([np.inf, 1e-9])
    )
    found = check(Judge(), scale(1, 1), given)
    assert found.solution.status.tolist() == [Status.NUMERICAL, Status.OPTIMAL]
    assert found.accuracy.tolist() == [np.inf, 1e-9]  # which are not measured again


def test_what_an_engine_measured_is_not_measured_again():
    given = replace(answer([1e-3, 1e-3], [0, 0]), accuracy=np.array([1e-9, 1e-3]))
    found = check(Judge(), scale(1, 1), given)
    assert found.solution.status.tolist() == [0, 1]


def test_families_without_a_check_are_believed():
    class Trusting:
        abilities = frozenset()

    given = answer([7.0], [0])
    found = check(Trusting(), {}, given)
    assert found.solution is given.solution
    np.testing.assert_array_equal(found.accuracy, [UNKNOWN])
