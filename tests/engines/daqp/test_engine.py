"""DAQP: right answers, honest statuses, options."""

import pickle

import numpy as np
import pytest

from lpgd import DaqpEngine
from lpgd.core.params import Param, batched, shared
from lpgd.core.solution import Solution, Status
from lpgd.core.tilt import Tilt
from lpgd.engines import batch
from lpgd.engines.daqp import engine as _daqp
from lpgd.families.qp.qp import QP
from lpgd.testing import EngineBattery, Shape, plant
from lpgd.testing.optimality import untilted
from tests.engines.daqp.programs import ENGINE, qps
from tests.support import program


class TestBattery(EngineBattery):
    engine = ENGINE


class TestBatteryInThreads(EngineBattery):
    """The same with every element large enough for a thread of its own."""

    engine = ENGINE

    @pytest.fixture(autouse=True)
    def _threads(self, monkeypatch):
        monkeypatch.setattr(_daqp, "PAYS", 0)
        monkeypatch.setattr(batch, "processors", lambda: 3)


def test_a_positive_definite_hessian_stays_within_bounds_exactly():
    problem, params = program(P=np.eye(3) * 1e-3, q=[1, -1, 0.3], lb=[0.1, 0.1, 0.1], ub=[0.7] * 3)
    x = ENGINE.solve(problem, params).solution.x
    assert (x >= 0.1).all()
    assert (x <= 0.7).all()


@pytest.mark.parametrize(
    "P", [np.zeros((2, 2)), [[1, 0], [0, 0]], [[1, 1], [1, 1]], [[1e-14, 0], [0, 1]]]
)
def test_singular_hessians(P):
    problem, params = program(P=P, q=[1, 1], lb=[-1, -1], ub=[1, 1], G=[[1, 2]], h=[1])
    solution = ENGINE.solve(problem, params).solution
    assert solution.solved.all()
    P, x, y = np.array(P), solution.x[0], solution.y[0]
    slope = P @ x + 1 + y[0] * np.array([1, 2]) - y[1:3] + y[3:5]
    np.testing.assert_allclose(slope, 0, atol=1e-8)
    assert (y >= 0).all()


@pytest.mark.parametrize("start", [False, True])
def test_no_constraints_at_all(start):
    problem, params = program(P=[[2, 0], [0, 4]], q=[2, 4])
    near = Solution(np.ones((1, 2)), np.zeros((1, 0)), np.zeros(1, np.int8)) if start else None
    answer = ENGINE.solve(problem, params, start=near, keep=True)
    np.testing.assert_allclose(answer.solution.x, [[-1, -1]], atol=1e-12)
    assert answer.solution.y.shape == (1, 0)
    for rho in (0.0, 2.0):
        tilt = untilted(1, 2, 0)
        tilt = Tilt(
            tilt.rows, np.ones(1), np.ones((1, 2)), tilt.dy, np.full(1, rho), np.ones((1, 2))
        )
        x = answer.workspace.resolve(tilt).solution.x
        np.testing.assert_allclose(x, [[(rho - 3) / (2 + rho), (rho - 5) / (4 + rho)]], atol=1e-12)


@pytest.mark.parametrize("quadratic", [False, True])
def test_no_constraints_and_no_curvature_is_unbounded(quadratic):
    problem, params = program(q=[1, 1], **({"P": np.zeros((2, 2))} if quadratic else {}))
    solution = ENGINE.solve(problem, params).solution
    assert solution.status.tolist() == [Status.UNBOUNDED]


def test_groups_without_rows():
    problem = QP.of({"P": 2, "A": 0, "G": 0}, 2, {})
    params = {
        "P": shared(np.eye(2), 1), "q": shared(np.ones(2), 1),
        "A": shared(np.zeros((0, 2)), 1), "b": shared(np.zeros(0), 1),
        "G": shared(np.zeros((0, 2)), 1), "h": shared(np.zeros(0), 1),
    }  # fmt: skip
    np.testing.assert_allclose(ENGINE.solve(problem, params).solution.x, [[-1, -1]])


@pytest.mark.parametrize("name", ["q", "G", "h", "lb", "ub"])
def test_one_batched_argument_among_shared_ones(name):
    """DAQP reads rows as they lie in memory: a shared argument must not be read across."""
    rng = np.random.default_rng(0)
    values = {
        "q": rng.normal(size=(1, 3)), "G": rng.normal(size=(1, 4, 3)), "h": rng.random((1, 4)),
        "lb": -rng.random((1, 3)), "ub": rng.random((1, 3)),
    }  # fmt: skip
    params = {k: Param(v, np.zeros(2, dtype=int)) for k, v in values.items()}
    params[name] = batched(np.concatenate([values[name], 1.3 * values[name]]))
    problem = QP.of({"G": 4, "lb": 3, "ub": 3}, 3, {})
    together = ENGINE.solve(problem, params).solution
    for row in range(2):
        alone = {k: p.take(np.array([row])) for k, p in params.items()}
        single = ENGINE.solve(problem, alone).solution
        np.testing.assert_array_equal(single.x[0], together.x[row])


@pytest.mark.parametrize("seed", [514, 1245, 3091, 3115, 3230])
def test_a_bounded_lp_is_not_called_unbounded(seed):
    """DAQP's first step, from an infeasible point, may miss every constraint."""
    shape = {
        514: Shape(2, 1, 0, ("ub",), quadratic=False),
        1245: Shape(5, 4, 5, (), quadratic=False),
        3091: Shape(4, 3, 0, ("ub",), quadratic=False),
        3115: Shape(2, 1, 1, ("ub",), quadratic=False),
        3230: Shape(2, 1, 0, ("lb", "ub"), quadratic=False),
    }[seed]
    case = plant(shape, np.random.default_rng(seed))
    solution = ENGINE.solve(case.problem, case.params).solution
    assert solution.solved.all()
    np.testing.assert_allclose(solution.x, case.solution.x, atol=1e-8)


def test_limits_are_statuses():
    case = qps(2, {"q": 2})
    few = DaqpEngine(iteration_limit=1).solve(case.problem, case.params).solution
    assert (few.status == Status.ITERATION_LIMIT).any()


def test_an_iteration_limit_is_the_user_s():
    """No other solver takes over behind it."""
    shape = Shape(6, 1, 6, ("lb", "ub"), batch=4, quadratic=False)
    case = plant(shape, np.random.default_rng(0))
    few = DaqpEngine(iteration_limit=1).solve(case.problem, case.params).solution
    assert (few.status == Status.ITERATION_LIMIT).all()
    assert not few.x.any()


def test_a_copy_keeps_the_options():
    engine = DaqpEngine(primal_tol=1e-7, time_limit=3.0)
    assert pickle.loads(pickle.dumps(engine)) == engine


@pytest.mark.parametrize(
    "options",
    [
        {"primal_tol": np.nan}, {"primal_tol": "1e-9"}, {"primal_tol": True}, {"primal_tol": 0.0},
        {"iteration_limit": 2.5}, {"iteration_limit": True}, {"iteration_limit": 0},
        {"iteration_limit": 2**31}, {"time_limit": np.nan}, {"time_limit": np.inf},
        {"time_limit": -1.0}, {"time_limit": None},
    ],
)  # fmt: skip
def test_options_that_mean_nothing_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        DaqpEngine(**options)
