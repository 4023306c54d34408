"""``lpgd.jax.CvxpyLayer``: the call of cvxpylayers, options, geometric programs, shapes."""

import pickle

import numpy as np
import pytest

import lpgd

jax = pytest.importorskip("jax")
jnp = jax.numpy
cp = pytest.importorskip("cvxpy")

from lpgd.jax import CvxpyLayer  # noqa: E402

EXACT = lpgd.Exact()


def least_squares(**options):
    x, A, b = cp.Variable(2), cp.Parameter((3, 2), name="A"), cp.Parameter(3, name="b")
    problem = cp.Problem(cp.Minimize(cp.sum_squares(A @ x - b) + cp.sum_squares(x)))
    return CvxpyLayer(problem, [A, b], [x], **{"rule": EXACT, **options})


def closed(A, b):
    return jnp.linalg.solve(A.T @ A + jnp.eye(2), A.T @ b)


DRAW = np.random.default_rng(0)
A, B = DRAW.normal(size=(3, 2)), DRAW.normal(size=(4, 3))


@pytest.mark.parametrize("solver", ["DIFFCP", "MOREAU", "SCS"])
def test_solvers_under_all_transformations(solver):
    """What cvxpylayers' default fails at."""
    layer = least_squares(solver=solver)

    def own(A, b):
        return layer(A, b)[0]

    tolerance = 2e-4 if solver == "SCS" else 1e-6
    for derive in (jax.jacrev, jax.jacfwd):
        found = jax.jit(jax.vmap(derive(own, (0, 1)), (None, 0)))(A, B)
        want = jax.vmap(derive(closed, (0, 1)), (None, 0))(A, B)
        for a, b in zip(found, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    _, ends = jax.lax.scan(lambda carry, b: (carry, own(A, b)), 0.0, B)
    np.testing.assert_allclose(ends, jax.vmap(lambda b: closed(A, b))(B), atol=tolerance)


def test_batches_broadcast_and_outputs_have_the_variables_shapes():
    X, C = cp.Variable((2, 3)), cp.Parameter((2, 3))
    y, t = cp.Variable(), cp.Parameter()
    problem = cp.Problem(cp.Minimize(cp.sum_squares(X - C) + cp.square(y - t)), [X >= 0])
    layer = CvxpyLayer(problem, [C, t], [X, y], rule=EXACT)
    given = DRAW.normal(size=(5, 1, 2, 3)), DRAW.normal(size=4)
    X_found, y_found = layer(*given)
    assert (X_found.shape, y_found.shape) == ((5, 4, 2, 3), (5, 4))
    np.testing.assert_allclose(X_found[:, 0], np.maximum(given[0][:, 0], 0), atol=1e-8)
    np.testing.assert_allclose(y_found[0], given[1], atol=1e-8)
    slopes = jax.grad(lambda C, t: layer(C, t)[0].sum() + layer(C, t)[1].sum(), (0, 1))(*given)
    np.testing.assert_allclose(slopes[0], 4.0 * (given[0] > 0), atol=1e-7)
    np.testing.assert_allclose(slopes[1], 5.0, atol=1e-7)
    single = layer(given[0][0, 0], 0.5)
    assert [part.shape for part in single] == [(2, 3), ()]


def test_geometric_programs():
    x, y = cp.Variable(pos=True), cp.Variable(pos=True)
    a, b = cp.Parameter(pos=True), cp.Parameter(pos=True)
    problem = cp.Problem(cp.Minimize(1 / (x * y)), [a * x + b * y <= 1])
    layer = CvxpyLayer(problem, [a, b], [x, y], gp=True, rule=EXACT)
    rows = jnp.array([[1.0, 2.0], [0.5, 4.0]])
    found = jax.jit(jax.vmap(lambda row: layer(*row)[0]))(rows)
    np.testing.assert_allclose(found, 0.5 / rows[:, 0], rtol=1e-6)
    slope = jax.vmap(jax.grad(lambda row: layer(*row)[0]))(rows)
    np.testing.assert_allclose(slope[:, 0], -0.5 / rows[:, 0] ** 2, rtol=1e-5)
    np.testing.assert_allclose(slope[:, 1], 0.0, atol=1e-6)
    marked = CvxpyLayer(problem, [a, b], [x, y], gp=True, on_failure="nan", rule=EXACT)
    with pytest.warns(lpgd.SolverWarning):
        assert np.isnan(marked(-1.0, 1.0)[0])


def test_options_of_the_constructor_and_of_a_call():
    layer = least_squares(solver="SCS", solver_args={"eps": 1e-9})
    np.testing.assert_allclose(layer(A, B[0])[0], closed(A, B[0]), atol=1e-6)
    with pytest.raises(ValueError, match="nonsense"):
        layer(A, B[0], solver_args={"nonsense": 1})
    rough = layer(A, B[0], solver_args={"eps": 1e-3})[0]
    assert np.abs(rough - closed(A, B[0])).max() < 1e-2


def test_a_warm_start_is_the_last_solve_of_the_layer():
    layer = least_squares(solver="MOREAU")
    cold = layer(A, B)[0]
    np.testing.assert_allclose(layer(A, B, warm_start=True)[0], cold, atol=1e-7)
    np.testing.assert_allclose(layer(A, B[0], warm_start=True)[0], cold[0], atol=1e-7)
    compiled = jax.jit(lambda A, b: layer(A, b, warm_start=True)[0])
    np.testing.assert_allclose(compiled(A, B), cold, atol=1e-7)
    with pytest.raises(ValueError, match="only supported with solver='MOREAU'"):
        least_squares(solver="CLARABEL")(A, B, warm_start=True)


@pytest.mark.parametrize(
    "given, why",
    [
        ((A,), "A tensor must be provided for each CVXPY parameter; received 1 tensors, exp"),
        ((A, np.ones(2)), r"Invalid parameter shape for parameter 1 \(b\)"),
        ((A[0], B), "Invalid parameter dimensionality for parameter 0"),
        ((np.ones((5, 3, 2)), B), "Inconsistent batch sizes"),
        ((np.ones((4, 3, 2)), np.ones((4, 4, 3))), "Invalid parameter dimensionality .*1 .b."),
        ((A, np.ones(3, dtype=int)), r"parameter 1 \(b\) must have a real floating dtype"),
    ],
)
def test_wrong_calls_are_refused_when_traced(given, why):
    layer = least_squares()
    with pytest.raises(lpgd.StructureError, match=why):
        jax.eval_shape(lambda: layer(*given))


def test_failures_are_caught_as_cvxpylayers_users_catch_them(diffcp):
    x, p = cp.Variable(), cp.Parameter()
    own = CvxpyLayer(cp.Problem(cp.Minimize(x), [x <= p]), [p], [x])
    with pytest.raises(diffcp.SolverError, match="unbounded") as caught:
        own(jnp.ones(()))
    assert isinstance(caught.value, lpgd.SolverError)


def test_a_problem_without_parameters():
    x = cp.Variable(2)
    layer = CvxpyLayer(cp.Problem(cp.Minimize(cp.sum_squares(x - 1))), [], [x])
    np.testing.assert_allclose(layer()[0], 1.0, atol=1e-8)
    np.testing.assert_allclose(jax.jit(layer)()[0], 1.0, atol=1e-8)


def test_layers_tell_and_travel():
    layer = pickle.loads(pickle.dumps(least_squares(threads=1)))
    assert layer.rule == EXACT
    jax.grad(lambda b: layer(A, b)[0].sum())(B[0])
    assert layer.stats.solves == 1
