"""What every engine for cone programs must fulfil."""

import pickle

import numpy as np
import pytest

from lpgd import Cones
from lpgd.engines.base import Engine
from lpgd.params import batched, shared
from lpgd.problems.conic import Conic
from lpgd.solution import Status
from lpgd.tilt import Tilt
from tests.conic_programs import KINDS, plant, violation

NAMES = sorted(KINDS)


class ConicBattery:
    """Inherit, name the class ``Test...`` and set ``engine``."""

    engine: Engine
    tolerance = 2e-4

    def resolve(self, case, answer, tilt):
        if answer.workspace is not None:
            return answer.workspace.resolve(tilt).solution
        problem, params = case.problem.tilt(case.params, tilt)
        start = answer.solution.take(tilt.rows)
        return self.engine.solve(problem, params, start=start).solution

    @pytest.mark.parametrize("sparse", [False, True])
    @pytest.mark.parametrize("name", NAMES)
    def test_finds_the_planted_solution(self, name, sparse):
        case = plant(KINDS[name], 1, 3, sparse=sparse)
        found = self.engine.solve(case.problem, case.params).solution
        assert found.solved.all()
        np.testing.assert_allclose(found.x, case.solution.x, atol=self.tolerance)
        np.testing.assert_allclose(found.y, case.solution.y, atol=self.tolerance)

    @pytest.mark.parametrize("rho", [0.0, 0.5])
    @pytest.mark.parametrize("name", NAMES)
    def test_tilted_solutions_are_optimal(self, name, rho):
        case = plant(KINDS[name], 2, 2)
        answer = self.engine.solve(case.problem, case.params, keep=True)
        tilt = tilt_of(case, rho=rho)
        found = self.resolve(case, answer, tilt)
        assert found.solved.all()
        problem, params = case.problem.tilt(case.params, tilt)
        s = problem.slacks(params, found.x)
        residual = params["q"].full() + problem.transposed_product(params, found.y)
        residual = residual + (params["P"].full() @ found.x[:, :, None])[..., 0]
        assert np.abs(residual).max() < 1e-6
        assert max(violation(problem.cones, *both) for both in zip(s, found.y, strict=True)) < 1e-6

    def test_answers_do_not_depend_on_the_batch(self):
        case = plant(KINDS["mixed"], 3, 4)
        answer = self.engine.solve(case.problem, case.params, keep=True)
        tilt = tilt_of(case)
        both = tilt.join(tilt.at(-tilt.t))
        moved = self.resolve(case, answer, both)
        again = self.resolve(case, answer, both)
        assert pickle.dumps(again) == pickle.dumps(moved)
        rows = np.array([3, 1])
        part = self.resolve(case, answer, tilt.take(rows))
        np.testing.assert_array_equal(part.x, moved.x[rows])
        np.testing.assert_array_equal(part.y, moved.y[rows])
        for row in range(4):
            one = {name: param.take(np.array([row])) for name, param in case.params.items()}
            alone = self.engine.solve(case.problem, one).solution
            np.testing.assert_array_equal(alone.x[0], answer.solution.x[row])

    def test_names_what_has_no_solution(self):
        problem = Conic(2, Cones(nonneg=2), {}, quadratic=False)
        params = {  # x >= 0; x0 >= 1 and x0 <= 0; x >= 0 with a cost that falls
            "q": batched(np.array([[1.0, 0.5], [1.0, 0.0], [-1.0, -0.5], [2.0, 1.0]])),
            "A": batched(np.array([[[-1.0, 0], [0, -1]], [[1.0, 0], [-1, 0]]])[[0, 1, 0, 0]]),
            "b": batched(np.array([[0.0, 0.0], [-1.0, -1.0], [0.0, 0.0], [1.0, 2.0]])),
        }
        found = self.engine.solve(problem, params, keep=True).solution
        expected = [Status.OPTIMAL, Status.INFEASIBLE, Status.UNBOUNDED, Status.OPTIMAL]
        assert [Status(int(code)) for code in found.status] == expected
        np.testing.assert_array_equal(found.x[1:3], 0)
        np.testing.assert_allclose(found.x[3], [-1, -2], atol=1e-6)

    def test_linear_objectives_and_shared_matrices(self):
        q = np.random.default_rng(0).normal(size=(3, 2))
        params = {  # the unit disc
            "q": batched(q),
            "A": shared(np.array([[0.0, 0], [-1, 0], [0, -1]]), 3),
            "b": shared(np.array([1.0, 0, 0]), 3),
        }
        problem = Conic(2, Cones(soc=(3,)), {}, quadratic=False)
        found = self.engine.solve(problem, params).solution
        size = np.linalg.norm(q, axis=1, keepdims=True)
        np.testing.assert_allclose(found.x, -q / size, atol=1e-5)
        np.testing.assert_allclose(found.y[:, :1], size, atol=1e-5)

    def test_limits_are_statuses(self):
        case = plant(KINDS["mixed"], 4, 2)
        hasty = type(self.engine)(iteration_limit=2)
        found = hasty.solve(case.problem, case.params).solution
        assert found.status.tolist() == [Status.ITERATION_LIMIT] * 2
        rushed = type(self.engine)(time_limit=1e-9)
        found = rushed.solve(case.problem, case.params).solution
        assert found.status.tolist() == [Status.TIME_LIMIT] * 2

    @pytest.mark.parametrize(
        "wrong", [{"target": 0.0}, {"target": 1e-3}, {"iteration_limit": 0}, {"time_limit": -1.0}]
    )
    def test_impossible_options_are_refused(self, wrong):
        with pytest.raises(ValueError):
            type(self.engine)(**wrong)

    def test_pickles(self):
        assert pickle.loads(pickle.dumps(self.engine)) == self.engine


def tilt_of(case, t=0.05, rho=0.0):
    """A tilt of every element, with cotangents of x, y and s."""
    rng, size = np.random.default_rng(0), len(case.solution)
    n, m = case.problem.n, case.problem.m
    return Tilt(
        np.arange(size), np.full(size, t), rng.normal(size=(size, n)), rng.normal(size=(size, m)),
        np.full(size, rho), case.solution.x, rng.normal(size=(size, m)),
    )  # fmt: skip
