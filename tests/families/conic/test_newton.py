import numpy as np
import pytest

from lpgd.families.conic import equations, newton
from lpgd.families.conic.cones import Cones
from lpgd.families.conic.equations import Dense, Point
from lpgd.families.conic.newton import Model
from lpgd.families.conic.tops import Layout
from lpgd.testing.cone_programs import KINDS, plant

NAMES = sorted(KINDS)


def dense(case):
    return Dense(*(np.array(case.params[name].full()) for name in "PqAb"))


def start(case, noise, seed=0):
    rng = np.random.default_rng(seed)
    s = case.problem.slacks(case.params, case.solution.x)
    v, y = case.solution.y - s, case.solution.y
    x = case.solution.x + noise * rng.normal(size=case.solution.x.shape)
    return Point(x, v + noise * rng.normal(size=v.shape), y, np.full(len(x), np.inf))


@pytest.mark.parametrize("name", NAMES)
def test_the_planted_solution_has_no_residual(name):
    case = plant(KINDS[name], 0, 3)
    gap, error, y = equations.residual(KINDS[name], dense(case), start(case, 0.0))
    assert error.max() < 1e-13
    assert max(np.abs(part).max() for part in gap) < 1e-12
    np.testing.assert_allclose(y, case.solution.y, atol=1e-12)


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_rows_that_are_far_away_hide_no_violation_of_others(scale):
    """x_1 + x_2 <= 1e10 beside x_1 = 1 and x_2 = 1, which a point misses by a tenth."""
    A, b = np.array([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]]), np.array([[1.0, 1.0, 1e10]])
    data = Dense(np.zeros((1, 2, 2)), np.zeros((1, 2)), A, b)
    for off, wrong in ((0.1, 0.05), (0.0, 0.0)):
        x = np.array([[1.0 - off, 1.0]]) * (scale if off else 1.0)
        v = np.array([[0.0, 0.0, -(b[0, 2] - x.sum())]])
        point = Point(x, v, np.zeros((1, 3)), np.zeros(1))
        error = equations.residual(Cones(zero=2, nonneg=1), data, point)[1][0]
        assert error > wrong if off else error < 1e-15


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_it_converges_to_rounding_from_nearby(name, kept):
    case = plant(KINDS[name], 1, 4)
    data, first = dense(case), start(case, 1e-3)
    model = Model.of(Layout(KINDS[name]), data, first) if kept else None
    found = newton.solve(Layout(KINDS[name]), data, first, model)
    assert found.error.max() < newton.GOAL
    np.testing.assert_allclose(found.x, case.solution.x, atol=1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_a_part_of_the_residual_may_stay_but_no_more_than_a_solution_has(name):
    case = plant(KINDS[name], 1, 4)
    data, first = dense(case), start(case, 1e-4)
    model = Model.of(Layout(KINDS[name]), data, first)
    found = newton.solve(Layout(KINDS[name]), data, first, model, share=1.0)
    assert found.error.max() <= newton.FINE


def test_steps_shrink_quadratically():
    case = plant(KINDS["mixed"], 2, 1)
    data, errors = dense(case), []
    point = start(case, 1e-2)
    for steps in range(4):
        found = newton.solve(Layout(KINDS["mixed"]), data, point, None, steps)
        errors.append(found.error[0])
    assert errors[2] < 10 * errors[1] ** 1.7
    assert errors[3] < 1e-9


def test_programs_go_their_own_way():
    case = plant(KINDS["mixed"], 3, 5)
    data, first = dense(case), start(case, 1e-2)
    first.x[2] += 100.0  # far off: it goes on alone
    together = newton.solve(Layout(KINDS["mixed"]), data, first)
    for row in range(5):
        rows = np.array([row])
        alone = newton.solve(Layout(KINDS["mixed"]), data.take(rows), first.take(rows))
        np.testing.assert_array_equal(alone.x[0], together.x[row])
        np.testing.assert_array_equal(alone.v[0], together.v[row])


def test_all_matrices_are_factorized_at_like_addresses():
    """There are kernels whose triangular factors depend, in the last bit, on whether 16 divides."""
    places = set()
    for name in NAMES:
        case = plant(KINDS[name], 4, 5)
        model = Model.of(Layout(KINDS[name]), dense(case), start(case, 1e-2))
        places |= {lu.ctypes.data % 16 for lu, _ in model.factors}
    assert places == {0}


def test_a_singular_matrix_is_noticed_and_solved_by_least_squares():
    case = plant(KINDS["zero"], 0, 2)
    data, first = dense(case), start(case, 0.0)
    data.A[1, 1] = data.A[1, 0]
    model = Model.of(Layout(KINDS["zero"]), data, first)
    assert model.sound.tolist() == [True, False]
    gap = np.ones((2, 10)), np.ones((2, 2))
    assert not model.step(gap)[0][1].any()
    dx, dv, dy = model.step(gap, least=True)
    np.testing.assert_allclose(data.A @ dx[..., None] + 1, 0, atol=1e-9)
    assert dv[1, 0] == pytest.approx(dv[1, 1])
    np.testing.assert_array_equal(dv, dy)
    assert newton.solve(Layout(KINDS["zero"]), data, start(case, 1.0), model).error[0] < newton.GOAL


@pytest.mark.parametrize("name", NAMES)
def test_the_error_of_the_start_counts_for_nothing(name):
    case = plant(KINDS[name], 5, 3)
    data, first = dense(case), start(case, 0.0)
    solved = newton.solve(Layout(KINDS[name]), data, first)
    data.q[1] = np.inf
    with np.errstate(invalid="ignore"):
        found = newton.solve(
            Layout(KINDS[name]), data, solved, Model.of(Layout(KINDS[name]), data, solved)
        )
    assert found.error[1] == np.inf
    assert found.error[[0, 2]].max() <= newton.FINE
