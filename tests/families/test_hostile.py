"""Numbers of any size in data, points and losses: no exception, no warning, no endless loop."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from lpgd.core.params import batched
from lpgd.core.pattern import Pattern
from lpgd.core.solution import Solution, Status
from lpgd.core.tilt import Cotangent, Term, Tilt
from lpgd.families.conic import adjoint
from lpgd.families.conic.cones import Cones
from lpgd.families.conic.conic import Conic
from lpgd.families.qp.qp import QP

SIZES = [0, 1, 5e-324, 1e-300, 1e-155, 1e155, 1e300, 1e308, -1e308]


def drawn(rng, *shape):
    values = rng.normal(size=shape)
    return np.where(rng.integers(0, 3, size=shape) == 0, rng.choice(SIZES, size=shape), values)


def qp(rng):
    n, equalities, inequalities = rng.integers(1, 4), rng.integers(0, 3), rng.integers(0, 4)
    problem = QP.of({"P": n, "A": equalities, "G": inequalities, "lb": n, "ub": n}, n, {})
    values = {
        "P": np.abs(drawn(rng, 1)[0]) * rng.integers(0, 2) * np.eye(n)[None],
        "q": drawn(rng, 1, n),
        "A": drawn(rng, 1, equalities, n), "b": drawn(rng, 1, equalities),
        "G": drawn(rng, 1, inequalities, n), "h": drawn(rng, 1, inequalities),
        "lb": -np.abs(drawn(rng, 1, n)), "ub": np.abs(drawn(rng, 1, n)),
    }  # fmt: skip
    return problem, {name: batched(value) for name, value in values.items()}


def conic(rng):
    n = int(rng.integers(1, 4))
    cones = [Cones(2, 2), Cones(soc=(3,)), Cones(psd=(2,)), Cones(exp=1), Cones(power=(0.3,))]
    problem = Conic(n, cones[rng.integers(len(cones))])
    values = {
        "P": np.abs(drawn(rng, 1)[0]) * rng.integers(0, 2) * np.eye(n)[None],
        "q": drawn(rng, 1, n), "A": drawn(rng, 1, problem.m, n), "b": drawn(rng, 1, problem.m),
    }  # fmt: skip
    return problem, {name: batched(value) for name, value in values.items()}


def on_patterns(rng):
    problem, params = conic(rng)
    values, patterns = dict(params), {}
    for name in ("P", "A"):
        rows, cols = np.indices(params[name].values.shape[1:]).reshape(2, -1)
        patterns[name] = Pattern(rows, cols, params[name].values.shape[1:])
        values[name] = batched(params[name].values.reshape(1, -1))
    return replace(problem, patterns=patterns), values


@pytest.mark.parametrize("make", [qp, conic, on_patterns])
@pytest.mark.parametrize("seed", range(60))
def test_numbers_of_any_size(make, seed, monkeypatch):
    monkeypatch.setattr(adjoint, "LARGE", 0)  # what is sparse stays so
    rng = np.random.default_rng(seed)
    problem, params = make(rng)
    n, m, one = problem.n, problem.m, np.zeros(1, dtype=int)
    point = Solution(drawn(rng, 1, n), drawn(rng, 1, m), np.zeros(1, np.int8))
    loss = Cotangent(one, drawn(rng, 1, n), drawn(rng, 1, m), drawn(rng, 1, m))
    rho = np.abs(drawn(rng, 1))
    tilt = Tilt(one, drawn(rng, 1), loss.dx, loss.dy, rho, point.x, loss.ds)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        problem.check(params, 2.0**-52)
        for status in (Status.INFEASIBLE, Status.UNBOUNDED):
            ray = Solution(point.x, point.y, np.array([status], np.int8))
            assert not np.isnan(problem.refuted(params, ray)[0])
        assert not np.isnan(problem.residual(params, point)[0])
        problem.inside(params, point)
        problem.folded(params, loss)
        problem.linearize(params, point).adjoint(loss, float(rng.choice([0.0, 0.1])))
        problem.tilt(params, tilt)
        problem.lagrangian(params, point, tilt)
        problem.strictly_convex(params)
        wanted = dict.fromkeys(params, one[:, None])
        problem.grad(params, [Term(drawn(rng, 1), point, tilt)], wanted)
