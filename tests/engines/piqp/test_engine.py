from types import SimpleNamespace

import numpy as np
import pytest

import lpgd
from lpgd.core.engine import Answer
from lpgd.core.params import batched, shared
from lpgd.core.solution import Solution, Status
from lpgd.engines.cones.clarabel import ClarabelEngine
from lpgd.engines.piqp import second, solver
from lpgd.families.qp.qp import QP
from lpgd.families.qp.sparse_kkt import Element
from lpgd.testing import EngineBattery
from tests.support import program


class TestPiqpEngine(EngineBattery):
    engine = lpgd.PiqpEngine()
    families = ("QP", "LP")
    rounding = 1e-9


class Slow:
    """PIQP on a clock of its own: each iteration takes so long, and so many are needed."""

    def __init__(self, monkeypatch, seconds, needed):
        self.seconds, self.needed, self.now, self.runs = seconds, needed, 0.0, []
        self.settings = SimpleNamespace(max_iter=250)
        monkeypatch.setattr(solver.time, "perf_counter", lambda: self.now)

    def solve(self):
        made = min(self.settings.max_iter, self.needed)
        self.now += made * self.seconds
        self.runs.append(made)
        name = "PIQP_SOLVED" if made == self.needed else "PIQP_MAX_ITER_REACHED"
        return SimpleNamespace(name=name)


@pytest.mark.parametrize(
    "limit, needed, status, runs",
    [
        (0.0, 30, Status.OPTIMAL, [30]),  # no limit: nothing is timed
        (9.0, 1, Status.OPTIMAL, [1]),
        (9.0, 7, Status.OPTIMAL, [2, 7]),
        (9.0, 8, Status.TIME_LIMIT, [2, 7]),
        (2.5, 8, Status.TIME_LIMIT, [2]),
        (1e9, 300, Status.ITERATION_LIMIT, [2, 250]),
        (1e9, 30, Status.OPTIMAL, [2, 30]),
    ],
)
def test_a_time_limit_is_a_number_of_iterations(monkeypatch, limit, needed, status, runs):
    slow = Slow(monkeypatch, 1.0, needed)
    request = solver.Request(1e-7, 250, verbose=False, clock=solver.Clock.of(limit))
    assert solver._run(slow, request) == status
    assert slow.runs == runs
    assert slow.now <= max(limit, 2.0) or not limit


def test_time_limits_are_met_or_told():
    pytest.importorskip("piqp")
    problem = QP.of({"P": 3, "G": 4}, 3, {})
    draw = np.random.default_rng(0)
    params = {
        "P": shared(np.eye(3), 2),
        "q": batched(draw.normal(size=(2, 3))),
        "G": shared(draw.normal(size=(4, 3)), 2),
        "h": shared(np.ones(4), 2),
    }
    free = lpgd.PiqpEngine().solve(problem, params)
    ample = lpgd.PiqpEngine(time_limit=100.0).solve(problem, params)
    assert np.array_equal(free.solution.x, ample.solution.x)
    assert free.solution.solved.all()
    none = lpgd.PiqpEngine(time_limit=1e-9).solve(problem, params)
    assert none.solution.status.tolist() == [Status.TIME_LIMIT] * 2
    with pytest.raises(ValueError, match="time_limit"):
        lpgd.PiqpEngine(time_limit=-1.0)


def test_what_is_left_of_the_time_is_clarabels(monkeypatch):
    pytest.importorskip("clarabel")
    seen = []

    def solve(engine, problem, params):
        seen.append(engine.time_limit)
        return Answer(Solution.blank(1, problem.n, problem.m))

    monkeypatch.setattr(ClarabelEngine, "solve", solve)
    problem = QP.of({"P": 2, "G": 1}, 2, {})
    params = {"P": np.eye(2), "q": np.ones(2), "G": np.ones((1, 2)), "h": np.ones(1)}
    element = Element.of(problem, {k: batched(v[None]) for k, v in params.items()}, 0)
    second.solve(element, solver.Clock())
    second.solve(element, solver.Clock.of(50.0))
    second.solve(element, solver.Clock(0.0))
    assert seen[0] == 0.0
    assert 40.0 < seen[1] <= 50.0
    assert 0.0 < seen[2] < 0.1


def test_sides_that_piqp_takes_for_infinite_print_nothing(capfd):
    problem = QP.of({"P": 2, "G": 2}, 2, {})
    params = {
        "P": shared(np.eye(2), 1), "q": batched(-np.ones((1, 2))),
        "G": shared(np.eye(2), 1), "h": batched(np.array([[1e31, 0.5]])),
    }  # fmt: skip
    found = lpgd.PiqpEngine().solve(problem, params).solution
    np.testing.assert_allclose(found.x, [[1.0, 0.5]])
    np.testing.assert_allclose(found.y, [[0.0, 0.5]], atol=1e-12)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("power", [-200, 0, 155, 200, 300])
def test_data_of_any_size_are_no_exception(power):
    """Squares of right-hand sides may overflow, or vanish."""
    size = 10.0**power
    data = {"P": np.eye(2), "q": np.full(2, -size), "G": np.ones((1, 2)), "h": [size]}
    problem, params = program(**data, lb=[size / 4, 3 * size / 4])
    answer = lpgd.PiqpEngine().solve(problem, params)
    np.testing.assert_allclose(answer.solution.x, [[size / 4, 3 * size / 4]], rtol=1e-6)
    assert answer.solution.status.tolist() == [Status.OPTIMAL]
    z, *bounds = answer.solution.y[0] / size
    np.testing.assert_allclose(np.array(bounds) - z, [-0.75, -0.25], atol=1e-9)
    assert z < 10
