import numpy as np
import pytest

from lpgd import Cones
from lpgd.core.params import batched, shared
from lpgd.core.pattern import Pattern
from lpgd.core.solution import Solution
from lpgd.core.tilt import Cotangent
from lpgd.families.conic import adjoint as module
from lpgd.families.conic.adjoint import Linearized
from lpgd.families.conic.conic import Conic
from lpgd.families.conic.reduction import Reduction
from lpgd.testing.cone_programs import KINDS, plant

from .defined import residuals, solved


def test_the_adjoint_is_the_limit_of_tilted_solutions():
    conic, params = residuals(2)
    point, rng, t = solved(conic, params), np.random.default_rng(0), 1e-5
    n, m = conic.n, conic.m
    dx, dy = rng.normal(size=(3, n)), rng.normal(size=(3, m))
    found = Linearized(conic.reduction, params, point).adjoint(Cotangent(np.arange(3), dx, dy), 0.0)
    ends = []
    for sign in (t, -t):
        moved = dict(params)
        moved["q"] = batched(params["q"].full() + sign * dx)
        moved["b"] = batched(params["b"].full() - sign * dy)
        ends.append(solved(conic, moved))
    np.testing.assert_allclose(found.a, (ends[0].x - ends[1].x) / (2 * t), atol=1e-7)
    np.testing.assert_allclose(found.v, (ends[0].y - ends[1].y) / (2 * t), atol=1e-7)
    assert not found.degenerate.any()


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("rho", [0.0, 0.5])
@pytest.mark.parametrize("name", KINDS)
def test_the_adjoint_is_the_same_in_all_units(name, rho, sparse, monkeypatch):
    monkeypatch.setattr(module, "LARGE", 0 if sparse else 500)
    case, rng = plant(KINDS[name], 0, 2), np.random.default_rng(0)
    conic, params, point = case.problem, case.params, case.solution
    if sparse:
        patterns = {
            k: Pattern.of(np.ones(params[k].values.shape[1:])) for k in params.keys() & {"P", "A"}
        }
        flat = {k: batched(params[k].full().reshape(2, -1)) for k in patterns}
        conic, params = (
            Conic(conic.n, conic.cones, patterns, quadratic=conic.quadratic),
            {**params, **flat},
        )
    dx, dy = rng.normal(size=point.x.shape), rng.normal(size=point.y.shape)
    rows = np.arange(2)
    expected = Linearized(conic.reduction, params, point).adjoint(Cotangent(rows, dx, dy), rho)
    D, E, c = 2.0**60, 2.0**-80, 2.0**100
    far = {
        "q": batched(params["q"].full() * c * D), "A": batched(params["A"].full() * E * D),
        "b": batched(params["b"].full() * E),
    }  # fmt: skip
    if conic.quadratic:
        far["P"] = batched(params["P"].full() * c * D * D)
    moved = Solution(point.x / D, point.y * c / E, point.status)
    found = Linearized(conic.reduction, far, moved).adjoint(
        Cotangent(rows, dx * c * D, dy * E), rho * c * D * D
    )
    np.testing.assert_allclose(found.a * D, expected.a, atol=1e-7 * np.abs(expected.a).max())
    np.testing.assert_allclose(found.v * E / c, expected.v, atol=1e-7 * np.abs(expected.v).max())
    np.testing.assert_array_equal(found.degenerate, expected.degenerate)
    np.testing.assert_array_equal(found.unsure, expected.unsure)


def test_weakly_active_rows_are_held_and_reported():
    # min 1/2 x^2 s.t. x >= 0: the row holds with multiplier zero
    conic = Conic(1, Cones(nonneg=1))
    params = {k: batched(np.array([v])) for k, v in
              {"P": [[1.0]], "q": [0.0], "A": [[-1.0]], "b": [0.0]}.items()}  # fmt: skip
    nothing, one = np.zeros((1, 1)), np.ones((1, 1))
    point = Solution(nothing, nothing, np.zeros(1, dtype=np.int8))
    found = Linearized(conic.reduction, params, point).adjoint(
        Cotangent(np.array([0]), one, nothing), 0.0
    )
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
    found = Linearized(conic.reduction, params, point).adjoint(Cotangent(rows, dx, dy), 0.0)
    values = {"P": conic.patterns["P"].dense(params["P"].values), "A": pattern.dense(A)}
    dense = {**params, "P": shared(values["P"][0], len(point)), "A": batched(values["A"])}
    whole = Conic(conic.n, conic.cones)
    expected = Linearized(whole.reduction, dense, point).adjoint(Cotangent(rows, dx, dy), 0.0)
    np.testing.assert_allclose(found.a, expected.a, atol=1e-8)
    np.testing.assert_allclose(found.v, expected.v, atol=1e-8)


@pytest.mark.parametrize("rho", [0.0, 0.3])
@pytest.mark.parametrize("name", KINDS)
def test_large_sparse_programs_have_the_adjoint_of_dense_ones(name, rho, monkeypatch):
    case, rng = plant(KINDS[name], 3, 3, sparse=True), np.random.default_rng(0)
    conic, at, rows = case.problem, case.solution, np.array([0, 2, 2, 1])
    loss = Cotangent(rows, *(rng.normal(size=(4, k)) for k in (conic.n, conic.m, conic.m)))
    expected = conic.linearize(case.params, at).adjoint(loss, rho)
    monkeypatch.setattr(module, "LARGE", 0)
    monkeypatch.setattr(Reduction, "matrices", None)  # nothing is made dense
    found = conic.linearize(case.params, at).adjoint(loss, rho)
    for part in ("a", "v"):
        wanted = getattr(expected, part)
        error = np.abs(getattr(found, part) - wanted).max() / np.abs(wanted).max()
        assert error < 1e-8
    np.testing.assert_array_equal(found.degenerate, expected.degenerate)


def test_singular_sparse_systems_get_least_squares(monkeypatch):
    # the same row twice: only the sum of its multipliers is known
    A = np.array([[1.0, 1.0], [1.0, 1.0], [1.0, -1.0]])
    pattern, eye = Pattern(*np.nonzero(A), A.shape), Pattern(*np.nonzero(np.eye(2)), (2, 2))
    conic = Conic(2, Cones(zero=2, nonneg=1), {"A": pattern, "P": eye})
    params = {
        "P": batched(np.ones((1, 2))),
        "q": batched(np.zeros((1, 2))),
        "A": batched(A[np.nonzero(A)][None]),
        "b": batched(np.array([[2.0, 2.0, 5.0]])),
    }
    at = Solution(np.ones((1, 2)), np.array([[-0.5, -0.5, 0.0]]), np.zeros(1, np.int8))
    loss = Cotangent(np.zeros(1, int), np.array([[1.0, 3.0]]), np.zeros((1, 3)))
    expected = conic.linearize(params, at).adjoint(loss, 0.0)
    monkeypatch.setattr(module, "LARGE", 0)
    found = conic.linearize(params, at).adjoint(loss, 0.0)
    assert expected.degenerate.all()
    assert found.degenerate.all()
    np.testing.assert_allclose(found.a, expected.a, atol=1e-9)
    np.testing.assert_allclose(found.v, expected.v, atol=1e-9)


def test_weak_rows_of_large_sparse_programs_are_reported(monkeypatch):
    eye = Pattern(np.zeros(1, int), np.zeros(1, int), (1, 1))
    conic = Conic(1, Cones(nonneg=1), {"P": eye, "A": eye})
    params = {k: batched(np.array([[v]])) for k, v in
              {"P": 1.0, "q": 0.0, "A": -1.0, "b": 0.0}.items()}  # fmt: skip
    nothing, one = np.zeros((1, 1)), np.ones((1, 1))
    point = Solution(nothing, nothing, np.zeros(1, dtype=np.int8))
    monkeypatch.setattr(module, "LARGE", 0)
    found = conic.linearize(params, point).adjoint(Cotangent(np.array([0]), one, nothing), 0.0)
    assert found.degenerate.all()
    np.testing.assert_allclose(found.a, 0, atol=1e-12)


@pytest.mark.parametrize(
    ("rows", "P", "zero", "tied"),
    [
        # the same row twice
        ([[1.0, 1.0], [1.0, 1.0], [1.0, -1.0]], [1.0, 1.0], 2, True),
        # as an equation and as an active row of inequality
        ([[1.0, 1.0], [1.0, 1.0], [1.0, -1.0]], [1.0, 1.0], 1, False),
        # twice, but the objective does not tell x along it
        ([[1.0, 1.0], [1.0, 1.0], [1.0, -1.0]], [0.0, 0.0], 2, False),
    ],
)
def test_only_equations_that_depend_on_each_other_leave_x_alone(rows, P, zero, tied):
    conic = Conic(2, Cones(zero=zero, nonneg=3 - zero))
    params = {
        "P": batched(np.diag(P)[None]), "q": batched(np.zeros((1, 2))),
        "A": batched(np.array([rows])), "b": batched(np.array([[2.0, 2.0, 5.0]])),
    }  # fmt: skip
    at = Solution(np.ones((1, 2)), np.array([[-0.5, 0.5, 0.0]]), np.zeros(1, np.int8))
    loss = Cotangent(np.zeros(1, int), np.array([[1.0, 3.0]]), np.zeros((1, 3)))
    found = conic.linearize(params, at).adjoint(loss, 0.0)
    assert found.degenerate.all()
    assert found.tied.tolist() == [tied]
    if tied:
        np.testing.assert_allclose(found.a, [[1.0, -1.0]], atol=1e-12)


def test_multipliers_that_are_too_small_for_a_number_are_found_again():
    """w'log(x) with a sum(x) <= b, written exp(t) <= x: multipliers of x are w / x = 2^-1176."""
    w, a, b = 2.0**-626 * np.array([0.75, 1.5]), 2.0**-632, 2.0**-82
    A, x = np.zeros((7, 4)), w / w.sum() * (b / a)
    A[0, 2:] = a
    A[[1, 4], [0, 1]] = A[[3, 6], [2, 3]] = -1.0
    rows, cols = np.nonzero(A)
    patterns = {"A": Pattern(rows, cols, A.shape)}
    conic = Conic(4, Cones(nonneg=1, exp=2), quadratic=False, patterns=patterns)
    params = {
        "q": batched(np.array([[*-w, 0.0, 0.0]])),
        "A": shared(A[rows, cols], 1),
        "b": batched(np.array([[b, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0]])),
    }
    y = np.stack([-w, w * (np.log(x) - 1), w / x], axis=1)
    assert not y[:, 2].any()
    y = np.concatenate([[w.sum() / b], y.ravel()])[None]
    point = Solution(np.array([[*np.log(x), *x]]), y, np.zeros(1, dtype=int))
    dx = np.array([[0.0, 0.0, 2.0**-700, 0.0]])
    system = Linearized(conic.reduction, params, point)
    found = system.adjoint(Cotangent(np.arange(1), dx, np.zeros((1, 7))), 0.0)
    assert not found.unsure.any()
    share = w / w.sum()
    slope = (share[0] / w[0]) * np.array([share[1], -share[0]])  # of that share, in w
    np.testing.assert_allclose(found.a[0, :2], -(2.0**-700 * (b / a)) * slope, rtol=1e-9)
