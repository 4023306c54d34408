import pickle

import numpy as np
import pytest

from lpgd import EngineError, MoreauEngine, SolverWarning
from lpgd.core.params import batched, shared
from lpgd.engines.cones import moreau
from lpgd.engines.cones.moreau import SPARE, _Idle
from lpgd.engines.cones.solver import Request
from lpgd.testing.cone_battery import ConeBattery, tilt_of
from lpgd.testing.cone_programs import KINDS, plant


class TestMoreau(ConeBattery):
    engine = MoreauEngine()


class TestUnpolished(ConeBattery):
    engine = MoreauEngine(polish=False)
    tolerance = 2e-4
    residual = engine.capabilities.tolerance  # what is checked; beyond it an answer is inaccurate


def test_whole_copies_of_the_batch_need_no_set_up():
    case = plant(KINDS["mixed"], 0, 3)
    answer = MoreauEngine(polish=False).solve(case.problem, case.params, keep=True)
    tilt = tilt_of(case)
    assert answer.workspace.resolve(tilt.join(tilt.at(-tilt.t))).set_ups == 0
    assert answer.workspace.resolve(tilt.take(np.array([0, 2]))).set_ups == 2
    assert answer.workspace.resolve(tilt_of(case, rho=0.1)).set_ups == 3


def test_a_failed_warm_start_is_tried_again_cold():
    case = plant(KINDS["nonneg"], 0, 2)
    start = case.solution.take(np.arange(2))
    start.x[:], start.y[:] = 1e30, np.nan
    found = MoreauEngine().solve(case.problem, case.params, start=start).solution
    np.testing.assert_allclose(found.x, case.solution.x, atol=1e-6)


@pytest.fixture(scope="module")
def regressions():
    """L1-logistic regressions, on some of which Moreau makes no progress."""
    cp = pytest.importorskip("cvxpy")
    torch = pytest.importorskip("torch")
    from lpgd.torch import CvxpyLayer

    rng = np.random.default_rng(0)
    truth = np.where(np.arange(40) < 8, 1.5, 0.0)
    features = rng.standard_normal((160, 40))
    labels = np.sign(features @ truth + rng.logistic(size=160))
    coefficients, weight = cp.Variable(40), cp.Parameter(nonneg=True)
    loss = cp.sum(cp.logistic(cp.multiply(-labels, features @ coefficients)))
    penalty = weight * cp.norm1(coefficients) + 0.01 * cp.sum_squares(coefficients)
    problem = cp.Problem(cp.Minimize(loss + penalty))
    weights = torch.logspace(-2, 1, 12, dtype=torch.float64)

    def fit(engine):
        layer = CvxpyLayer(problem, [weight], [coefficients], solver=engine, on_failure="nan")
        return layer(weights)[0].numpy(), layer.stats

    return fit


def test_clarabel_takes_what_moreau_stalls_on(regressions, monkeypatch):
    found, stats = regressions("moreau")
    np.testing.assert_allclose(found, regressions("clarabel")[0], atol=1e-4)
    assert stats.set_ups > 12
    monkeypatch.setattr("lpgd.engines.cones.engine.find_spec", lambda name: None)
    with pytest.warns(SolverWarning, match="numerical"):
        regressions("moreau")


def test_devices_are_named_or_refused(monkeypatch):
    case = plant(KINDS["zero"], 0, 1)
    with pytest.raises(ValueError, match="device must be"):
        MoreauEngine(device="gpu")
    monkeypatch.setattr("moreau.device_available", lambda device: device == "cpu")
    assert MoreauEngine(device="cpu").solve(case.problem, case.params).solution.solved.all()
    with pytest.raises(EngineError, match="no device 'cuda'"):
        MoreauEngine(device="cuda").solve(case.problem, case.params)


def test_compiled_solvers_wait_for_later_calls():
    """One that has solved, and refuted, other programs answers to the same bits as a new one."""
    engine, case = MoreauEngine(), plant(KINDS["mixed"], 0, 2)
    first = engine.solve(case.problem, case.params).solution
    other = plant(KINDS["mixed"], 1, 2)
    assert other.problem.cones == case.problem.cones
    engine.solve(case.problem, other.params)
    hopeless = {**case.params, "b": shared(np.full(case.problem.m, -1e3), 2)}
    engine.solve(case.problem, hopeless)
    ((_, waiting),) = case.problem.derived[_Idle].solvers
    again = engine.solve(case.problem, case.params).solution
    assert case.problem.derived[_Idle].solvers[0][1][0] is waiting[0]
    for mine, theirs in ((first.x, again.x), (first.y, again.y)):
        np.testing.assert_array_equal(mine, theirs)
    assert not pickle.loads(pickle.dumps(case.problem)).derived[_Idle].solvers


def test_matrices_that_a_solver_has_are_not_handed_over_again(monkeypatch):
    case, other = plant(KINDS["mixed"], 0, 2), plant(KINDS["mixed"], 1, 2)
    moved = {**case.params, "q": batched(case.params["q"].full() + 0.1)}
    expected = MoreauEngine().solve(plant(KINDS["mixed"], 0, 2).problem, moved).solution
    MoreauEngine().solve(case.problem, case.params)
    ((_, (solver, _)),) = case.problem.derived[_Idle].solvers
    counted: list[int] = []
    set_up = solver.setup
    monkeypatch.setattr(solver, "setup", lambda *values: (counted.append(1), set_up(*values)))
    found = MoreauEngine().solve(case.problem, moved).solution
    assert not counted
    np.testing.assert_array_equal(found.x, expected.x)
    MoreauEngine().solve(case.problem, other.params)
    assert counted


def test_few_compiled_solvers_wait():
    idle = _Idle()
    for key in range(2 * SPARE):
        idle.give(key, str(key))
    assert idle.take(0) is None
    assert idle.take(SPARE) == str(SPARE)
    assert idle.take(SPARE) is None
    assert len(idle.solvers) == SPARE - 1


@pytest.mark.parametrize("keep", [True, False])
def test_a_solver_that_failed_is_used_no_more(keep):
    """Numbers near overflow left it failing at all that followed."""
    case, engine = plant(KINDS["zero"], 0), MoreauEngine()
    request, row = Request(1e-8, keep=keep), np.zeros(1, dtype=np.intp)
    fresh = engine.load(case.problem, case.params, request).solve(case.params, row, None)
    bad = {**case.params, "b": batched(1e222 * case.params["b"].values)}
    loaded = engine.load(case.problem, case.params, request)
    assert loaded.solve(bad, row, None).status.any()
    loaded = loaded if keep else engine.load(case.problem, case.params, request)
    again = loaded.solve(case.params, row, None)
    assert not again.status.any()
    assert np.array_equal(again.x, fresh.x)


def test_large_solvers_do_not_wait(monkeypatch):
    monkeypatch.setattr(moreau, "SMALL", 0)
    case = plant(KINDS["mixed"], 0, 2)
    MoreauEngine().solve(case.problem, case.params)
    assert not case.problem.derived[_Idle].solvers
