import numpy as np
import pytest

from lpgd.core.solution import Status
from lpgd.testing.cone_battery import optimality
from lpgd.testing.cone_programs import KINDS, plant, stressed, violation

NAMES = sorted(KINDS)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_planted_points_are_optimal(name, sparse):
    case = plant(KINDS[name], 7, 2, sparse=sparse)
    problem, params, point = case.problem, case.params, case.solution
    for s, y in zip(problem.slacks(params, point.x), point.y, strict=True):
        assert violation(problem.cones, s, y) < 1e-12
    if not sparse:
        assert optimality(problem, params, point) < 1e-12


@pytest.mark.parametrize("name", NAMES)
def test_violations_are_seen(name):
    case = plant(KINDS[name], 1, 1)
    s, y = case.problem.slacks(case.params, case.solution.x)[0], case.solution.y[0]
    for moved in ((s - 0.1, y), (s, y + 0.1) if name != "zero" else (s + 0.1, y)):
        assert violation(KINDS[name], *moved) > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_stressed_batches_have_the_solutions_they_claim(name):
    case, status = stressed(KINDS[name], 3)
    assert status[1:3] == [Status.INFEASIBLE, Status.UNBOUNDED]
    kept = np.array([0, 3, 4])
    params = {key: param.take(kept) for key, param in case.params.items()}
    assert optimality(case.problem, params, case.solution.take(kept)) < 1e-9
    rows = case.params["A"].values[1, :2], case.params["b"].values[1, :2]
    np.testing.assert_array_equal(rows[0][0], rows[0][1])
    assert rows[1][0] != rows[1][1]
    assert not case.params["A"].values[2, :, -1].any()
