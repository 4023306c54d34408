import numpy as np

from lpgd import Cones
from lpgd.core.params import batched, shared
from lpgd.core.solution import Solution
from lpgd.core.tilt import Cotangent
from lpgd.families.conic.adjoint import adjoint
from lpgd.families.conic.conic import Conic

from .defined import residuals, solved


def test_the_adjoint_is_the_limit_of_tilted_solutions():
    conic, params = residuals(2)
    point, rng, t = solved(conic, params), np.random.default_rng(0), 1e-5
    n, m = conic.n, conic.m
    dx, dy = rng.normal(size=(3, n)), rng.normal(size=(3, m))
    found = adjoint(conic.reduction, params, point, Cotangent(np.arange(3), dx, dy), 0.0)
    ends = []
    for sign in (t, -t):
        moved = dict(params)
        moved["q"] = batched(params["q"].full() + sign * dx)
        moved["b"] = batched(params["b"].full() - sign * dy)
        ends.append(solved(conic, moved))
    np.testing.assert_allclose(found.a, (ends[0].x - ends[1].x) / (2 * t), atol=1e-7)
    np.testing.assert_allclose(found.v, (ends[0].y - ends[1].y) / (2 * t), atol=1e-7)
    assert not found.degenerate.any()


def test_weakly_active_rows_are_held_and_reported():
    # min 1/2 x^2 s.t. x >= 0: the row holds with multiplier zero
    conic = Conic(1, Cones(nonneg=1))
    params = {k: batched(np.array([v])) for k, v in
              {"P": [[1.0]], "q": [0.0], "A": [[-1.0]], "b": [0.0]}.items()}  # fmt: skip
    nothing, one = np.zeros((1, 1)), np.ones((1, 1))
    point = Solution(nothing, nothing, np.zeros(1, dtype=np.int8))
    found = adjoint(conic.reduction, params, point, Cotangent(np.array([0]), one, nothing), 0.0)
    assert found.degenerate.all()
    np.testing.assert_allclose(found.a, 0, atol=1e-12)


def test_a_definition_that_a_value_undoes_is_none():
    conic, params = residuals(4)
    A = params["A"].full().copy()
    pattern = conic.patterns["A"]
    A[1, (pattern.rows == 0) & (pattern.cols == 3)] = 0.0  # 0 r_0 = F x - g: a row for x alone
    params["A"] = batched(A)
    point = solved(conic, params)
    rng = np.random.default_rng(0)
    dx, dy = rng.normal(size=point.x.shape), rng.normal(size=point.y.shape)
    rows = np.arange(len(point))
    found = adjoint(conic.reduction, params, point, Cotangent(rows, dx, dy), 0.0)
    values = {"P": conic.patterns["P"].dense(params["P"].values), "A": pattern.dense(A)}
    dense = {**params, "P": shared(values["P"][0], len(point)), "A": batched(values["A"])}
    whole = Conic(conic.n, conic.cones)
    expected = adjoint(whole.reduction, dense, point, Cotangent(rows, dx, dy), 0.0)
    np.testing.assert_allclose(found.a, expected.a, atol=1e-8)
    np.testing.assert_allclose(found.v, expected.v, atol=1e-8)
