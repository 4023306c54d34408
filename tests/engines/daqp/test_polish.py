"""The last digits of answers that DAQP finds by iterations."""

import numpy as np

from lpgd.core.params import Params, batched
from lpgd.core.solution import FloatArray
from lpgd.engines.daqp import polish
from lpgd.engines.daqp.engine import DaqpEngine
from lpgd.engines.daqp.form import Form
from lpgd.families.qp.qp import QP
from tests.support import program

ASSETS = 4


def _trades(seed: int) -> tuple[QP, Params]:
    """Mean and variance of holdings h, costs of trades t >= |h - before| and shorts s >= -h.

    No cost of x bends t and s, and most of their multipliers are zero.
    """
    rng = np.random.default_rng(seed)
    before, mean = rng.dirichlet(np.ones(ASSETS)), 0.01 * rng.normal(size=ASSETS)
    root = 0.2 * rng.normal(size=(ASSETS, ASSETS))
    costs = [np.full(ASSETS, cost) for cost in (1e-3, 1e-5)]
    none, one = np.zeros((ASSETS, ASSETS)), np.eye(ASSETS)
    rows = [[one, -one, none], [-one, -one, none], [-one, none, -one], [none, none, -one]]
    G = np.concatenate([np.block(rows), np.concatenate([np.ones(ASSETS), *costs])[None]])
    h = np.concatenate([before, -before, np.zeros(2 * ASSETS), [before.sum()]])
    P = np.zeros((3 * ASSETS, 3 * ASSETS))
    P[:ASSETS, :ASSETS] = root.T @ root
    q = np.concatenate([-mean, np.zeros(2 * ASSETS)])
    params = {"P": P, "q": q, "G": G, "h": h}
    problem = QP.of({"P": len(P), "G": len(G)}, len(q), {})
    return problem, {name: batched(value[None]) for name, value in params.items()}


def _residuals(count: int = 40) -> FloatArray:
    found = list[FloatArray]()
    for seed in range(count):
        problem, params = _trades(seed)
        solution = DaqpEngine().solve(problem, params).solution
        assert solution.solved.all()
        found.append(problem.judged(params, solution)[1])
    return np.concatenate(found)


def test_flat_programs_are_solved_to_rounding() -> None:
    assert _residuals().max() < 1e-11  # rounding: 3e-13 to 3e-12, as the kernels of BLAS sum


def at(x, multiplier, side):
    """min x^2 / 2 - x subject to x <= side, at a point."""
    problem, params = program(P=[[1.0]], q=[-1.0], G=[[1.0]], h=[side])
    form = Form.of(problem, params, None)
    form.x[:], form.lam[:] = x, multiplier
    return form, np.eye(1), np.ones((1, 1))


def test_a_residual_sees_broken_rows():
    form, *matrices = at(1.0, 0.0, 0.25)
    assert polish.residual(form, 0, *matrices) > 0.5


def test_another_active_set_is_left_alone():
    """A multiplier that is noise holds a row that is slack by little: the step there is short."""
    form, *matrices = at(1.0, 1e-12, 1 + 5e-4)
    polish.polish(form, 0, *matrices)
    assert form.x.tolist() == [[1.0]]
    assert (form.lam >= 0).all()
