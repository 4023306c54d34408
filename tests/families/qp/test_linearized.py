"""The linearisation of dense QPs from what DAQP left, and without it."""

from dataclasses import replace

import numpy as np
import pytest

import lpgd
from lpgd.core.params import Param
from lpgd.core.tilt import Cotangent
from lpgd.families.qp import whitened
from lpgd.families.qp.linearized import Linearized
from lpgd.testing import Shape, plant

SHAPE = Shape(9, 3, 8, ("lb", "ub"), quadratic=True, batch=5)


def planted(seed, **changes):
    return plant(replace(SHAPE, **changes), np.random.default_rng(seed))


def cotangents(problem, size, seed):
    rng = np.random.default_rng(seed)
    dx, dy = rng.normal(size=(size, problem.n)), rng.normal(size=(size, problem.m))
    return Cotangent(np.arange(size), dx, dy)


@pytest.mark.parametrize("shared", [(), ("P",), ("G",), ("P", "G", "A"), ("A",)])
@pytest.mark.parametrize("seed", range(3))
def test_what_the_engine_leaves_saves_time_and_changes_no_bit(shared, seed, monkeypatch):
    case = planted(seed)
    none = np.zeros(5, dtype=np.intp)
    params = {k: Param(v.values, none) if k in shared else v for k, v in case.params.items()}
    answer = lpgd.DaqpEngine().solve(case.problem, params, keep=True)
    assert answer.factors is not None
    given = cotangents(case.problem, 5, seed)
    alone = Linearized(case.problem, params, answer.solution).adjoint(given, 0.0)
    monkeypatch.delattr(whitened, "inverse_factors")  # nothing is factorized or multiplied again
    monkeypatch.delattr(whitened, "whitened")
    found = case.problem.linearize(params, answer.solution, answer.factors).adjoint(given, 0.0)
    np.testing.assert_array_equal(found.a, alone.a)
    np.testing.assert_array_equal(found.v, alone.v)
    np.testing.assert_array_equal(found.degenerate, alone.degenerate)


def test_another_rho_has_another_hessian():
    case = planted(0)
    answer = lpgd.DaqpEngine().solve(case.problem, case.params, keep=True)
    given = cotangents(case.problem, 5, 0)
    both = [
        Linearized(case.problem, case.params, answer.solution, factors).adjoint(given, 0.3)
        for factors in (answer.factors, None)
    ]
    np.testing.assert_array_equal(both[0].a, both[1].a)
    np.testing.assert_array_equal(both[0].v, both[1].v)


@pytest.mark.parametrize("power", [-530, -480, 480])
def test_the_adjoint_does_not_depend_on_the_units_of_rows(power):
    """Squares of such rows have lost their digits, or are none."""
    case = planted(1)
    answer = lpgd.DaqpEngine().solve(case.problem, case.params)
    rows = case.problem.blocks["G"]
    apart = {k: np.ldexp(case.params[k].values, power) for k in ("G", "h")}
    params = case.params | {k: Param(v, case.params[k].index) for k, v in apart.items()}
    y = answer.solution.y.copy()
    y[:, rows] = np.ldexp(y[:, rows], -power)
    given = cotangents(case.problem, 5, 1)
    given.dy[:] = 0.0
    expected = Linearized(case.problem, case.params, answer.solution).adjoint(given, 0.0)
    found = Linearized(case.problem, params, replace(answer.solution, y=y)).adjoint(given, 0.0)
    np.testing.assert_allclose(found.a, expected.a, rtol=1e-9, atol=1e-12)
    turned = np.ldexp(found.v[:, rows], power)
    np.testing.assert_allclose(turned, expected.v[:, rows], rtol=1e-9, atol=1e-12)
