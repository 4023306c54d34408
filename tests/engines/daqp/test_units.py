"""Programs in odd units have the solutions of the same programs in fair ones."""

import numpy as np
import pytest

from lpgd.core.solution import Status
from lpgd.engines.daqp.engine import DaqpEngine
from lpgd.engines.daqp.units import Units
from lpgd.families.qp.kkt import adjoint
from tests.support import cotangent, program


def fair_program(seed, quadratic):
    rng = np.random.default_rng(seed)
    n = 6
    root, start = rng.standard_normal((n, n)), rng.uniform(size=n)
    G, A = rng.standard_normal((8, n)), rng.standard_normal((2, n))
    data = {"q": 3 * rng.standard_normal(n), "G": G, "h": G @ start + rng.uniform(size=8)}
    data |= {"A": A, "b": A @ start, "lb": np.zeros(n), "ub": np.full(n, 5.0)}
    if quadratic:
        data["P"] = {
            "definite": root @ root.T + 0.1 * np.eye(n),
            "singular": root[:, :2] @ root[:, :2].T,
        }[quadratic]
    return data


def in_units(data, cost, x, G, A):
    """The same program with costs, variables and rows in other units; x' = x / ``x``."""
    changed = {"q": data["q"] * cost * x, "G": data["G"] * G[:, None] * x, "h": data["h"] * G}
    changed |= {"A": data["A"] * A[:, None] * x, "b": data["b"] * A}
    changed |= {"lb": data["lb"] / x, "ub": data["ub"] / x}
    if "P" in data:
        changed["P"] = data["P"] * cost * x * np.atleast_1d(x)[:, None]
    return changed


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["definite", "singular", None])
def test_units_do_not_matter(kind, seed):
    rng = np.random.default_rng(seed + 100)
    cost, G, A = (
        10.0 ** rng.integers(-6, 7),
        10.0 ** rng.integers(-6, 7, 8),
        10.0 ** rng.integers(-6, 7, 2),
    )
    x = 10.0 ** (rng.integers(-4, 5, 6) if kind is None else rng.integers(-3, 4))
    data = fair_program(seed, kind)
    expected = DaqpEngine().solve(*program(**data)).solution
    problem, params = program(**in_units(data, cost, x, G, A))
    found = DaqpEngine().solve(problem, params).solution
    assert found.solved.all()
    np.testing.assert_allclose(found.x * x, expected.x, rtol=1e-5, atol=1e-6)
    z = problem.block(found.y, "G") * G / cost
    np.testing.assert_allclose(z, problem.block(expected.y, "G"), rtol=1e-4, atol=1e-5)


def test_small_rows_are_not_dropped():
    problem, params = program(P=np.eye(2), q=[-1, -1], G=[[1e-6, 1e-6]], h=[0.5e-6])
    found = DaqpEngine().solve(problem, params).solution
    np.testing.assert_allclose(found.x, [[0.25, 0.25]])


def test_fair_programs_keep_their_units():
    problem, params = program(**fair_program(0, "definite"))
    assert Units.of(problem, params) is None


@pytest.mark.parametrize("cost", [1e-10, 1.0, 1e6, 1e10])
def test_the_adjoint_knows_no_units(cost):
    problem, params = program(P=cost * np.eye(2), q=[-cost, -0.7 * cost], G=[[1, 1]], h=[0.5])
    point = DaqpEngine().solve(problem, params).solution
    a, v, degenerate = adjoint(problem, params, point, cotangent([1, 0], m=1), 0.0)
    np.testing.assert_allclose(a * cost, [[-0.5, 0.5]])
    np.testing.assert_allclose(v, [[-0.5]])
    assert not degenerate.any()


@pytest.mark.parametrize("quadratic", [False, True])
def test_an_answer_that_breaks_the_optimality_conditions_is_not_believed(monkeypatch, quadratic):
    """An LP is then solved by other means."""
    import daqp

    curved = {"P": np.zeros((2, 2))} if quadratic else {}
    problem, params = program(q=[1.0, -1.0], lb=[0.0, 0.0], ub=[1.0, 1.0], **curved)
    assert DaqpEngine().solve(problem, params).solution.status.tolist() == [Status.OPTIMAL]
    # x2 is not at its bound
    answer = np.array([0.0, 0.5]), 0.0, 1, {"lam": np.array([-1.0, 0.0])}
    monkeypatch.setattr(daqp, "solve", lambda *_, **__: answer)
    found = DaqpEngine().solve(problem, params).solution
    if quadratic:
        assert found.status.tolist() == [Status.INACCURATE]
    else:
        np.testing.assert_array_equal(found.x, [[0.0, 1.0]])
