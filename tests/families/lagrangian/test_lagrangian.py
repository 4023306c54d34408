"""The family by its battery, with the Lagrangian of a quadratic program and a model in numpy."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import strategies as st

from lpgd.core.params import Param, Params, batched
from lpgd.core.solution import Solution, Status
from lpgd.core.tilt import Cotangent, Tilt
from lpgd.families.lagrangian.lagrangian import Lagrangian
from lpgd.families.lagrangian.model import Curvature
from lpgd.families.lagrangian.newton import polished, predicted
from lpgd.testing import ProblemBattery

N, M = 3, 2


class Quadratic:
    """1/2 x'Px + q'x + y'(Ax - b)."""

    def value(self, params, x, y):
        P, q, A, b = (params[name].full() for name in "PqAb")
        curve = 0.5 * np.einsum("ni,nij,nj->n", x, P, x) + (q * x).sum(axis=1)
        return curve + (y * (np.einsum("nij,nj->ni", A, x) - b)).sum(axis=1)

    def slopes(self, params, x, y):
        P, q, A, b = (params[name].full() for name in "PqAb")
        P = 0.5 * (P + P.swapaxes(1, 2))
        pull = np.einsum("nij,nj->ni", P, x) + q + np.einsum("nij,ni->nj", A, y)
        return pull, np.einsum("nij,nj->ni", A, x) - b

    def curvature(self, params, x, y):
        P, A = params["P"].full(), params["A"].full()
        return Curvature(0.5 * (P + P.swapaxes(1, 2)), np.array(A), np.zeros((len(x), M, M)))

    def gradient(self, params, point, weight, wanted):
        x, y = point
        each = {
            "P": 0.5 * np.einsum("ni,nj->nij", x, x),
            "q": x,
            "A": np.einsum("ni,nj->nij", y, x),
            "b": -y,
        }
        found = {}
        for name in wanted:
            total = np.zeros_like(params[name].values)
            shape = (-1, *(1,) * (total.ndim - 1))
            np.add.at(total, params[name].index, weight.reshape(shape) * each[name])
            found[name] = total
        return found


@dataclass(frozen=True)
class Case:
    problem: Lagrangian
    params: Params
    solution: Solution


def case(seed, nonnegative=True):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 4))
    shapes = {"P": (N, N), "q": (N,), "A": (M, N), "b": (M,)}
    params = {}
    for name, shape in shapes.items():
        count = size if rng.random() < 0.5 else 1
        values = rng.normal(size=(count, *shape))
        if name == "P":
            values = values @ values.swapaxes(1, 2) + np.eye(N)
        index = np.arange(size) if count == size else np.zeros(size, dtype=np.intp)
        params[name] = Param(values, index)
    problem = Lagrangian(
        N, M, Quadratic(), tuple(shapes), np.full(M, nonnegative), twice=True,
        parts={"y": slice(0, M)},
    )  # fmt: skip
    point = Solution(
        rng.normal(size=(size, N)), np.abs(rng.normal(size=(size, M))), np.zeros(size, np.int8)
    )
    return Case(problem, params, point)


class TestLagrangian(ProblemBattery):
    cases = st.integers(0, 10**6).map(case)
    curved = False


def solved(seed):
    """Equality-constrained ones, by one linear system."""
    found = case(seed, nonnegative=False)
    P, q, A, b = (found.params[name].full() for name in "PqAb")
    x, y = np.empty((len(q), N)), np.empty((len(q), M))
    for i in range(len(q)):
        K = np.block([[P[i], A[i].T], [A[i], np.zeros((M, M))]])
        z = np.linalg.solve(K, np.concatenate([-q[i], b[i]]))
        x[i], y[i] = z[:N], z[N:]
    return Case(found.problem, found.params, Solution(x, y, np.zeros(len(q), np.int8)))


@pytest.mark.parametrize("seed", range(5))
def test_a_point_near_the_solution_is_polished_to_rounding(seed):
    here = solved(seed)
    rng = np.random.default_rng(seed)
    noise = 1e-5 * rng.normal(size=here.solution.x.shape)
    rough = Solution(here.solution.x + noise, here.solution.y, here.solution.status)
    _, before = here.problem.judged(here.params, rough)
    found = polished(here.problem, here.params, rough)
    assert (before > 1e-7).all()
    assert (found.residual < 1e-13).all()
    np.testing.assert_allclose(found.point.x, here.solution.x, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_prediction_is_the_adjoint_on_a_quadratic_program(seed):
    here = solved(seed)
    rng, size = np.random.default_rng(seed), len(here.solution)
    rows, zero = np.tile(np.arange(size), 2), np.zeros(2 * size)
    dx, dy = rng.normal(size=(2 * size, N)), rng.normal(size=(2 * size, M))
    linear = here.problem.linearize(here.params, here.solution)
    found = linear.adjoint(Cotangent(rows, dx, dy), 0.5)
    assert not (found.degenerate | found.unsure).any()
    start = here.solution.take(rows)
    tilt = Tilt(rows, zero + 0.3, dx, dy, zero + 0.5, start.x)
    data = here.problem.tilt(here.params, tilt)[1]
    moved, steps = predicted(linear, data, tilt)
    assert (steps < 1e-9).all()
    np.testing.assert_allclose(moved.x, start.x + 0.3 * found.a, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(moved.y, start.y + 0.3 * found.v, rtol=1e-9, atol=1e-9)


def test_residuals_do_not_change_when_a_problem_is_scaled():
    here = solved(1)
    rng = np.random.default_rng(0)
    rough = Solution(
        here.solution.x + 1e-4 * rng.normal(size=here.solution.x.shape),
        here.solution.y, here.solution.status,
    )  # fmt: skip
    _, before = here.problem.judged(here.params, rough)
    units = {"P": 1e6, "q": 1e6, "A": 1e3, "b": 1e3}
    scaled = {k: batched(p.full() * units[k]) for k, p in here.params.items()}
    _, after = here.problem.judged(scaled, Solution(rough.x, rough.y * 1e3, rough.status))
    np.testing.assert_allclose(after, before, rtol=1e-9)


def test_failed_rows_are_infinitely_far():
    here = solved(2)
    status = here.solution.status.copy()
    status[0] = Status.CRASHED
    failed = Solution(here.solution.x, here.solution.y, status)
    _, residual = here.problem.judged(here.params, failed)
    assert np.isinf(residual[0])
    assert (residual[1:] < 1e-12).all()
