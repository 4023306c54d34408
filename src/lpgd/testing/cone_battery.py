"""What every engine for cone programs must fulfil, on every cone that it claims."""

import pickle
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from lpgd.core.engine import Answer, Engine
from lpgd.core.params import Param, Params, batched, shared, taken
from lpgd.core.public import public
from lpgd.core.solution import FloatArray, Solution, Status
from lpgd.core.tilt import Tilt
from lpgd.families.conic.cones import Cones
from lpgd.families.conic.conic import Conic
from lpgd.families.conic.projections import project
from lpgd.testing.cone_programs import KINDS, plant, stressed
from lpgd.testing.planting import Program

NAMES = sorted(KINDS)


@public("lpgd.testing")
class ConeBattery:
    """Inherit, name the class ``Test...`` and set ``engine``.

    Attributes
    ----------
    engine : Engine
        A dataclass; its options ``time_limit`` and ``iteration_limit`` are tested where it has
        them.
    tolerance : float
        Absolute error of x and y on well-scaled problems.
    residual : float
        Largest violation of the optimality conditions.
    """

    engine: Engine
    tolerance: float = 1e-9
    residual: float = 1e-9

    def _case(self, name: str, seed: int, batch: int, *, sparse: bool = False) -> Program:
        """A planted program over cones that the engine claims."""
        if not KINDS[name].kinds <= self.engine.capabilities.takes:
            pytest.skip(f"the engine does not claim {name} cones")
        if sparse and "sparse" not in self.engine.capabilities.takes:
            pytest.skip("the engine takes dense arguments only")
        return plant(KINDS[name], seed, batch, sparse=sparse)

    def _resolve(self, case: Program, answer: Answer, tilt: Tilt) -> Solution:
        if answer.workspace is not None:
            return answer.workspace.resolve(tilt).solution
        problem, params = case.problem.tilt(case.params, tilt)
        start = answer.solution.take(tilt.rows)
        return self.engine.solve(problem, params, start=start).solution

    @pytest.mark.parametrize("sparse", [False, True])
    @pytest.mark.parametrize("name", NAMES)
    def test_finds_the_planted_solution(self, name: str, sparse: bool) -> None:  # noqa: FBT001
        """Primal and dual, in our signs; the data stay as they are."""
        case = self._case(name, 1, 3, sparse=sparse)
        before = pickle.dumps(dict(case.params))
        found = self.engine.solve(case.problem, case.params).solution
        assert pickle.dumps(dict(case.params)) == before
        assert found.solved.all()
        np.testing.assert_allclose(found.x, case.solution.x, atol=self.tolerance)
        np.testing.assert_allclose(found.y, case.solution.y, atol=self.tolerance)

    @pytest.mark.parametrize("rho", [0.0, 0.5])
    @pytest.mark.parametrize("t", [1e-3, 0.05, 5.0])
    @pytest.mark.parametrize("name", NAMES)
    def test_tilted_solutions_are_optimal(self, name: str, t: float, rho: float) -> None:
        """Where there are any; a cold solve says whether there are."""
        case = self._case(name, 2, 3)
        answer = self.engine.solve(case.problem, case.params, keep=True)
        tilt = tilt_of(case, t=t, rho=rho)
        found = self._resolve(case, answer, tilt)
        problem, params = case.problem.tilt(case.params, tilt)
        cold = self.engine.solve(problem, params).solution
        np.testing.assert_array_equal(found.status, cold.status)
        assert found.solved.all() or t == 5.0
        solved = np.flatnonzero(found.solved)
        part = taken(params, solved)
        size = 1 + np.abs(found.y).max(initial=0.0)
        assert optimality(cast(Any, problem), part, found.take(solved)) < self.residual * size

    @pytest.mark.parametrize("name", ["richest", "soc"])
    @pytest.mark.parametrize("form", ["dense", "sparse", "shared"])
    def test_answers_do_not_depend_on_the_batch(self, form: str, name: str) -> None:
        """Nor on threads, on earlier tilts, or on repeated and missing rows: bit for bit."""
        name = self._richest() if name == "richest" else name
        case = self._case(name, 3, 4, sparse=form == "sparse")
        if form == "shared":
            alike = {key: shared(case.params[key].values[0], 4) for key in ("P", "A")}
            case = replace(case, params={**case.params, **alike})
        answer = self.engine.solve(case.problem, case.params, keep=True, threads=2)
        tilt = tilt_of(case)
        both = tilt.join(tilt.at(-tilt.t))
        moved = self._resolve(case, answer, both)
        assert pickle.dumps(self._resolve(case, answer, both)) == pickle.dumps(moved)
        self._resolve(case, answer, tilt.at(40 * tilt.t))
        rows = np.array([3, 1, 3])
        part = self._resolve(case, answer, tilt.take(rows))
        np.testing.assert_array_equal(part.x, moved.x[rows])
        np.testing.assert_array_equal(part.y, moved.y[rows])
        for row in range(4):
            one = taken(case.params, np.array([row]))
            alone = self.engine.solve(case.problem, one, threads=1).solution
            np.testing.assert_array_equal(alone.x[0], answer.solution.x[row])
            np.testing.assert_array_equal(alone.y[0], answer.solution.y[row])

    def _richest(self) -> str:
        able = self.engine.capabilities.takes
        return max((n for n in NAMES if KINDS[n].kinds <= able), key=lambda n: len(KINDS[n].kinds))

    @pytest.mark.parametrize("name", NAMES)
    def test_names_what_has_no_solution(self, name: str) -> None:
        """Infeasible and unbounded elements, beside a badly scaled one that is solved."""
        self._case(name, 0, 1)
        case, expected = stressed(KINDS[name], 1)
        found = self.engine.solve(case.problem, case.params, keep=True).solution
        assert [Status(int(code)) for code in found.status] == expected
        failed = ~found.solved
        np.testing.assert_array_equal(found.x[failed], 0)
        np.testing.assert_array_equal(found.y[failed], 0)
        wanted = case.solution
        np.testing.assert_allclose(found.x[~failed], wanted.x[~failed], atol=1e4 * self.tolerance)
        size = np.abs(wanted.y[~failed]).max(axis=1, keepdims=True)
        gap = (found.y[~failed] - wanted.y[~failed]) / size
        np.testing.assert_allclose(gap, 0, atol=1e4 * self.tolerance)

    def test_linear_objectives_and_shared_matrices(self) -> None:
        """On the unit disc."""
        if "soc" not in self.engine.capabilities.takes:
            pytest.skip("the engine does not claim soc cones")
        q = np.random.default_rng(0).normal(size=(3, 2))
        params = {
            "q": batched(q),
            "A": shared(np.array([[0.0, 0], [-1, 0], [0, -1]]), 3),
            "b": shared(np.array([1.0, 0, 0]), 3),
        }
        problem = Conic(2, Cones(soc=(3,)), {}, quadratic=False)
        found = self.engine.solve(problem, params).solution
        size = np.linalg.norm(q, axis=1, keepdims=True)
        np.testing.assert_allclose(found.x, -q / size, atol=self.tolerance)
        np.testing.assert_allclose(found.y[:, :1], size, atol=self.tolerance)

    @pytest.mark.parametrize(
        "option, status",
        [
            ({"iteration_limit": 2}, Status.ITERATION_LIMIT),
            ({"time_limit": 1e-9}, Status.TIME_LIMIT),
        ],
    )
    def test_limits_are_statuses(self, option: dict[str, Any], status: Status) -> None:
        """Of every element that meets them."""
        case = self._case(self._richest(), 4, 2)
        found = replace(cast(Any, self.engine), **option).solve(case.problem, case.params).solution
        assert found.status.tolist() == [status] * 2

    def test_pickles(self) -> None:
        """With its options."""
        assert pickle.loads(pickle.dumps(self.engine)) == self.engine


def tilt_of(case: Program, t: float = 0.05, rho: float = 0.0) -> Tilt:
    """A tilt of every element, with cotangents of x, y and s."""
    rng, size = np.random.default_rng(0), len(case.solution)
    n, m = case.problem.n, case.problem.m
    return Tilt(
        np.arange(size), np.full(size, t), rng.normal(size=(size, n)), rng.normal(size=(size, m)),
        np.full(size, rho), case.solution.x, rng.normal(size=(size, m)),
    )  # fmt: skip


def optimality(problem: Conic, params: Params, point: Solution) -> float:
    """Largest violation of the optimality conditions, dense data."""
    s = problem.slacks(params, point.x)
    slope = params["q"].full() + problem.transposed_product(params, point.y)
    slope = slope + _curve(params["P"], point.x)
    # complementary y and s in their cones are projections of their difference
    gap = project(problem.cones, point.y - s, s) - point.y
    return float(max(np.abs(part).max(initial=0.0) for part in (slope, gap)))


def _curve(hessian: Param, x: FloatArray) -> FloatArray:
    return (hessian.full() @ x[:, :, None])[..., 0]
