from dataclasses import replace

import numpy as np
import pytest

from lpgd import ClarabelEngine, MoreauEngine, ScsEngine
from lpgd.core.params import batched
from lpgd.core.solution import Status
from lpgd.core.tilt import Tilt
from lpgd.engines.cones.eliminated import Eliminated
from lpgd.engines.cones.solver import Found, Request
from tests.families.conic.defined import residuals, solved

ENGINES = [MoreauEngine(polish=False), ClarabelEngine(polish=False), ScsEngine(polish=False)]


def program(seed=0):
    conic, params = residuals(seed)
    return replace(conic, fixed=(params["A"].values == 2).all(axis=0)), params


class Ends:
    """Says that everything has some status, with ones for rays."""

    def __init__(self, status):
        self.status = status

    def load(self, conic, params, request):
        self.conic = conic
        return self

    def solve(self, params, rows, start):
        ones = np.ones((len(rows), self.conic.n)), np.ones((len(rows), self.conic.m))
        return Found.of(*ones, np.full(len(rows), self.status, np.int8))


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.name)
def engine(request):
    return request.param


def test_the_solver_s_program_lacks_the_defined_variables():
    conic, params = program()
    solver = Ends(Status.NUMERICAL)
    loaded = Eliminated(solver).load(conic, params, Request(1e-9))
    assert solver.conic.n < conic.n
    assert loaded.solve(params, np.arange(3), None).x.shape == (3, conic.n)
    assert Eliminated(solver).load(replace(conic, fixed=None), params, Request(1e-9)) is solver


@pytest.mark.parametrize("status", [Status.INFEASIBLE, Status.UNBOUNDED])
def test_rays_satisfy_the_equations_without_right_hand_sides(status):
    conic, params = program()
    found = Eliminated(Ends(status)).load(conic, params, Request(1e-9)).solve(
        params, np.arange(3), None
    )  # fmt: skip
    used = conic.reduction.used
    if status == Status.UNBOUNDED:
        np.testing.assert_allclose(conic.product(params, found.x)[:, used], 0, atol=1e-12)
        assert not found.y.any()
    else:
        assert not found.x.any()
        assert not found.y[:, used].any()


def test_solutions_and_tilted_ones_are_those_of_the_whole_program(engine):
    conic, params = program()
    answer = engine.solve(conic, params, keep=True)
    known = solved(conic, params)
    np.testing.assert_allclose(answer.solution.x, known.x, atol=1e-4)
    np.testing.assert_allclose(answer.solution.y, known.y, atol=1e-4)
    rng, rows = np.random.default_rng(1), np.array([2, 0, 2])
    for rho in (0.0, 0.5):
        tilt = Tilt(
            rows, np.full(3, 0.1), rng.normal(size=(3, conic.n)), rng.normal(size=(3, conic.m)),
            np.full(3, rho), known.x[rows], rng.normal(size=(3, conic.m)),
        )  # fmt: skip
        moved = answer.workspace.resolve(tilt).solution
        problem, tilted = replace(conic, fixed=None).tilt(params, tilt)
        whole = engine.solve(problem, tilted).solution
        np.testing.assert_allclose(moved.x, whole.x, atol=1e-4)
        np.testing.assert_allclose(moved.y, whole.y, atol=1e-4)


def test_failures_stay_with_their_elements(engine):
    conic, params = program()
    b = params["b"].full().copy()
    b[1, 4] = -1.0  # ||x|| <= -1
    found = engine.solve(conic, {**params, "b": batched(b)}).solution
    assert found.status.tolist() == [Status.OPTIMAL, Status.INFEASIBLE, Status.OPTIMAL]
    np.testing.assert_allclose(found.x[[0, 2]], solved(conic, params).x[[0, 2]], atol=1e-4)


def test_polished_answers_do_not_depend_on_company():
    conic, params = program()
    together = MoreauEngine().solve(conic, params).solution
    for row in range(3):
        own = {name: param.take(np.array([row])) for name, param in params.items()}
        alone = MoreauEngine().solve(conic, own).solution
        assert np.array_equal(alone.x[0], together.x[row])
        assert np.array_equal(alone.y[0], together.y[row])
