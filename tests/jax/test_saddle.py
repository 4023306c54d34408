"""Saddle points of a user's Lagrangian in JAX: closed forms, pytrees, rules, failures."""

from typing import NamedTuple

import numpy as np
import pytest

import lpgd

jax = pytest.importorskip("jax")
jnp = jax.numpy

from lpgd.jax import saddle  # noqa: E402

C, R = np.array([[1.0, 2.0, -2.0], [0.5, -0.3, 0.1]]), np.array(1.5)
LIKE = (np.zeros(3), np.zeros(()))
RULE = lpgd.LPGD(0.1)


def ball(x, y, c, r):
    return c @ x + 0.5 * y * (x @ x - r**2)


def ball_solve(params, tilt):
    c, r = tilt.cost(params[0]), params[1]
    size = np.linalg.norm(c)
    return -r * c / size, size / r


def closed(c, r):
    size = jnp.linalg.norm(c)
    return -r * c / size, size / r


EXACT = saddle(ball, ball_solve, like=LIKE, linearize=True, nonnegative=True)


def close(found, expected, tolerance=1e-10):
    for got, want in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def test_the_derivative_of_both_outputs_is_that_of_the_closed_form():
    def own(c, r):
        return tuple(EXACT(c, r, return_duals=True))

    close(own(C[0], R), closed(C[0], R), 1e-14)
    close(jax.jacrev(own, (0, 1))(C[0], R), jax.jacrev(closed, (0, 1))(C[0], R))
    assert EXACT.stats.re_solves == 0


def test_float32_is_computed_in_float64_and_comes_back_as_float32(jax):
    jax.config.update("jax_enable_x64", False)
    run = jax.jit(jax.value_and_grad(lambda c: EXACT(c, R.astype(np.float32))[0]))
    value, slope = run(C[0].astype(np.float32))
    assert value.dtype == slope.dtype == np.float32
    close(slope, jax.grad(lambda c: closed(c, 1.5)[0][0])(C[0].astype(np.float32)), 1e-6)
    jax.config.update("jax_enable_x64", True)
    close(jax.jit(jax.grad(lambda c: EXACT(c, R)[0]))(C[0]), slope, 1e-7)


class Point(NamedTuple):
    w: np.ndarray
    b: np.ndarray


class Data:
    """A container that JAX alone knows."""

    def __init__(self, X, t):
        self.X, self.t = X, t


jax.tree_util.register_pytree_node(
    Data, lambda d: ((d.X, d.t), None), lambda _, leaves: Data(*leaves)
)


def ridge(x, y, data, weights):
    fit = jnp.square(data.X @ x["in"].w + x["in"].b - data.t).mean()
    return fit + weights["ridge"][0] * jnp.square(x["in"].w).sum()


def ridge_solve(params, tilt):
    data, weights = params
    X = np.concatenate([data.X, np.ones((len(data.X), 1))], axis=1)
    bend = 2 * X.T @ X / len(X) + 2 * weights["ridge"][0] * np.diag([1.0, 1.0, 0.0])
    costs = tilt.cost({"in": Point(np.zeros(2), np.zeros(()))})["in"]
    z = np.linalg.solve(tilt.hessian(bend), 2 * X.T @ data.t / len(X) - np.r_[costs.w, costs.b])
    return {"in": Point(z[:2], z[2])}


@pytest.mark.parametrize("options", [{"linearize": True}, {"rule": lpgd.LPGD(1e-5)}], ids=str)
def test_pytrees_of_parameters_and_of_variables(options):
    draw = np.random.default_rng(0)
    data = Data(draw.normal(size=(7, 2)), draw.normal(size=7))
    like = ({"in": Point(np.zeros(2), jax.ShapeDtypeStruct((), float))}, None)
    layer = saddle(ridge, ridge_solve, like=like, check=True, **options)

    def solved(data, weight):
        X = jnp.concatenate([data.X, jnp.ones((7, 1))], axis=1)
        bend = X.T @ X / 7 + weight * jnp.diag(jnp.array([1.0, 1.0, 0.0]))
        return jnp.linalg.solve(bend, X.T @ data.t / 7)

    def own(data, weight):
        x = layer(data, {"ridge": [weight]})["in"]
        assert isinstance(x, Point)
        return jnp.r_[x.w, x.b]

    found, want = (
        jax.jit(jax.grad(lambda d, w, f=f: f(d, w) @ jnp.arange(1.0, 4.0), (0, 1)))(data, 0.3)
        for f in (own, solved)
    )
    close(found, want, 1e-7)


def test_ranks_say_which_dimensions_are_a_batch():
    layer = saddle(ball, ball_solve, RULE, like=LIKE, ranks=(1, 0))
    alone = saddle(ball, ball_solve, RULE, like=LIKE)
    for run in (layer, jax.jit(layer)):
        close(run(C, R), jax.vmap(alone, (0, None))(C, R), 0)
        close(run(C, np.array([1.0, 2.0])), jax.vmap(alone)(C, np.array([1.0, 2.0])), 0)
        assert run(C[:0], R).shape == (0, 3)


def test_a_batch_at_once():
    def solve(params, tilt):
        c, r = tilt.cost(params[0]), params[1]
        size = np.linalg.norm(c, axis=1)
        return -(r / size)[:, None] * c, size / r

    found = [
        jax.jit(jax.grad(lambda c, f=f: f(c, R)[:, 1].sum()))(C)
        for f in (
            saddle(ball, ball_solve, RULE, like=LIKE, ranks=(1, 0)),
            saddle(ball, solve, RULE, like=LIKE, ranks=(1, 0), together=True),
        )
    ]
    close(*found, 1e-14)


def traced_solve(params, tilt):
    """Newton's method, in JAX."""
    c, r = tilt.cost(params[0]), params[1]
    z = jnp.r_[-r * c / jnp.linalg.norm(c), jnp.linalg.norm(c) / r]
    flat = tilt.lagrangian(lambda x, y: ball(x, y, *params))
    if tilt.start is not None:
        z = jnp.r_[tilt.start[0], tilt.start[1]]

    def step(z, _):
        own = lambda z: flat(z[:3], z[3])  # noqa: E731
        return z - jnp.linalg.solve(jax.hessian(own)(z), jax.grad(own)(z)), None

    z, _ = jax.lax.scan(step, z, None, length=8)
    return z[:3], z[3], flat(z[:3], z[3])


@pytest.mark.parametrize("x64", [True, False])
def test_a_traced_solve_has_the_numbers_of_one_on_the_host(jax, x64):
    jax.config.update("jax_enable_x64", x64)
    rule = lpgd.LPGD(1e-2, side="lower")
    host = saddle(ball, ball_solve, rule, like=LIKE)
    own = saddle(ball, traced_solve, rule, like=LIKE, traced=True, check=True)
    tolerance = 1e-10 if x64 else 1e-6
    want = jax.vmap(jax.grad(lambda c, r: host(c, r)[0], (0, 1)), (0, None))(C, R)
    each = jax.vmap(jax.grad(lambda c, r: own(c, r)[0], (0, 1)), (0, None))
    for run in (each, jax.jit(each)):
        close(run(C, R), want, tolerance)
    assert own.stats.re_solves == 4


def test_a_traced_solve_that_fails_costs_its_element():
    def solve(params, tilt):
        x, y = closed(tilt.cost(params[0]), params[1])
        return jnp.where(params[0][0] > 0.7, jnp.nan, x), y

    layer = saddle(ball, solve, RULE, like=LIKE, traced=True, on_failure="nan", ranks=(1, 0))
    with pytest.warns(lpgd.SolverWarning, match="1 of 2"):
        x = jax.block_until_ready(jax.jit(layer)(C, R))
    assert np.isnan(x[0]).all()
    close(x[1], closed(C[1], R)[0])


def test_a_wrong_sign_is_named_in_compiled_programs_too():
    def other_sign(params, tilt):
        x, y = ball_solve(params, tilt)
        return x, -y

    layer = saddle(ball, other_sign, RULE, like=LIKE, check=True)
    for run in (layer, jax.jit(layer)):
        with pytest.raises(lpgd.SolverError, match="the other sign convention"), lpgd.jax.errors():
            jax.block_until_ready(run(C[0], R))


def test_a_solve_on_the_host_that_calls_jax_is_refused_where_it_may_hang():
    layer = saddle(ball, lambda p, t: tuple(map(np.asarray, closed(*p))), RULE, like=LIKE)
    close(layer(C[0], R), closed(C[0], R)[0])
    with pytest.raises(lpgd.SolverError, match="called JAX within a compiled program"):  # noqa: SIM117
        with lpgd.jax.errors():
            jax.block_until_ready(jax.jit(layer)(C[0], R))


@pytest.mark.parametrize("outer", [jax.jit, jax.grad])
def test_a_lagrangian_that_uses_traced_values_is_refused(outer):
    def loss(r):
        layer = saddle(lambda x, y, c: ball(x, y, c, r), lambda p, t: ball_solve((*p, 1.5), t),
                       RULE, like=LIKE)  # fmt: skip
        return layer(C[0]).sum()

    with pytest.raises(lpgd.StructureError, match="uses a traced value that is no parameter"):
        outer(loss)(1.5)


def test_wrong_calls_are_named():
    with pytest.raises(lpgd.EngineError, match="linearize=True"):
        saddle(ball, ball_solve, like=LIKE)
    with pytest.raises(TypeError, match="solve must be callable"):
        saddle(ball, None, RULE, like=LIKE)
    for like in (np.zeros(2), np.zeros((2, 2)), None, (np.zeros(2),)):
        with pytest.raises(TypeError, match=r"like must be a pair \(x, y\)"):
            saddle(ball, ball_solve, RULE, like=like)
    with pytest.raises(ValueError, match="takes one element"):
        saddle(ball, ball_solve, RULE, like=LIKE, traced=True, together=True)
    with pytest.raises(lpgd.StructureError, match="must return a scalar"):
        saddle(lambda x, y, c, r: x, ball_solve, RULE, like=LIKE)(C[0], R)
    layer = saddle(ball, ball_solve, RULE, like=LIKE, ranks=(1, 0))
    with pytest.raises(lpgd.StructureError, match="names 2 parameters, got 1"):
        layer(C)
    with pytest.raises(lpgd.StructureError, match="real floating dtype"):
        layer(C, 1)
    with pytest.raises(lpgd.StructureError, match="at least one parameter"):
        layer()


@pytest.mark.parametrize("traced", [False, True])
def test_a_solution_of_another_shape_is_named(traced):
    solve = (lambda p, t: closed(*p)) if traced else ball_solve
    like = (np.zeros(2), np.zeros(()))
    layer = saddle(lambda x, y, c, r: x @ c[:2], solve, RULE, like=like, traced=traced)
    error = lpgd.StructureError if traced else lpgd.SolverError
    with pytest.raises(error, match=r"must have shapes \(2,\), got \(3,\)"):
        layer(C[0], R)


def test_second_derivatives_raise():
    with pytest.raises(RuntimeError, match="no second derivative"):
        jax.hessian(lambda c: EXACT(c, R)[0])(C[0])


@pytest.mark.parametrize("traced", [False, True])
def test_complex_answers_are_refused(traced):
    made = saddle(ball, lambda params, tilt: (params[0] + 1j, params[1]), RULE,
                  like=LIKE, traced=traced)  # fmt: skip
    with pytest.raises(lpgd.LpgdError, match=r"real.*, got complex"):
        made(C[0], R)


def test_complex_lagrangians_are_refused():
    made = saddle(lambda *given: ball(*given) + 0j, ball_solve, RULE, like=LIKE)
    with pytest.raises(lpgd.StructureError, match="real scalar, got complex"):
        made(C[0], R)
