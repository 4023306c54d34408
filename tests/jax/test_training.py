"""Training loops with optax, and layers within modules of equinox and flax."""

import numpy as np
import pytest

import lpgd

jax = pytest.importorskip("jax")
jnp = jax.numpy
optax = pytest.importorskip("optax")

from lpgd.jax import CvxpyLayer, argmin, solve_lp, solve_qp  # noqa: E402

FEATURES = np.random.default_rng(0).normal(size=(16, 3))
TRUE = np.array([[1.0, -0.5, 0.3, 0.1], [-0.7, 0.2, 0.9, -0.4], [0.1, 0.8, -0.6, 0.5]])


def box_qp(costs):
    return solve_qp(jnp.eye(4), costs, lb=-0.5 * jnp.ones(4), ub=0.5 * jnp.ones(4))


def budget_lp(costs):
    options = {"lb": jnp.zeros(4), "ub": jnp.ones(4), "rule": lpgd.LPGD(1.0, rho=0.1)}
    return solve_lp(costs, G=jnp.ones((1, 4)), h=2 * jnp.ones(1), **options)


def cheapest(costs):
    return argmin(lambda c: np.eye(4)[c.argmin(axis=1)], costs, rule=lpgd.LPGD(20.0))


def fit(solve, steps):
    """Losses of a compiled loop that learns costs from solutions."""
    targets = jax.vmap(solve)(FEATURES @ TRUE)
    optimizer = optax.adam(0.05)

    def loss(weights):
        return ((jax.vmap(solve)(FEATURES @ weights) - targets) ** 2).sum()

    def step(state, _):
        weights, memory = state
        value, slope = jax.value_and_grad(loss)(weights)
        updates, memory = optimizer.update(slope, memory)
        return (optax.apply_updates(weights, updates), memory), value

    weights = 0.1 * np.random.default_rng(1).normal(size=TRUE.shape)
    start = weights, optimizer.init(weights)
    return jax.jit(lambda start: jax.lax.scan(step, start, None, length=steps))(start)[1]


@pytest.mark.parametrize("solve, share", [(box_qp, 1e-2), (budget_lp, 0.5), (cheapest, 0.5)])
def test_a_compiled_loop_of_optax_learns(solve, share):
    losses = fit(solve, 60)
    assert losses[-1] < share * losses[0]


def test_a_layer_within_an_equinox_module():
    eqx = pytest.importorskip("equinox")

    class Model(eqx.Module):
        linear: eqx.nn.Linear
        upper: jax.Array

        def __call__(self, features):
            costs = self.linear(features)
            return solve_qp(jnp.eye(4), costs, lb=-jnp.ones(4), ub=self.upper)

    model = Model(eqx.nn.Linear(3, 4, key=jax.random.key(0)), jnp.ones(4))
    found = eqx.filter_jit(eqx.filter_grad(lambda m: (jax.vmap(m)(FEATURES) ** 2).sum()))(model)
    assert np.abs(found.linear.weight).max() > 0.1
    moved = eqx.tree_at(lambda m: m.linear.bias, model, model.linear.bias + 1e-5)
    below = eqx.tree_at(lambda m: m.linear.bias, model, model.linear.bias - 1e-5)
    ends = [(jax.vmap(m)(FEATURES) ** 2).sum() for m in (moved, below)]
    np.testing.assert_allclose(found.linear.bias.sum(), (ends[0] - ends[1]) / 2e-5, rtol=1e-5)


@pytest.fixture
def projection():
    """Onto a simplex, as a CVXPY layer."""
    cp = pytest.importorskip("cvxpy")
    x, point = cp.Variable(4), cp.Parameter(4)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - point)), [cp.sum(x) == 1, x >= 0])
    return CvxpyLayer(problem, [point], [x])


def test_a_cvxpy_layer_is_a_static_field_of_equinox(projection):
    eqx = pytest.importorskip("equinox")

    class Model(eqx.Module):
        linear: eqx.nn.Linear
        layer: CvxpyLayer = eqx.field(static=True)

        def __call__(self, features):
            return self.layer(self.linear(features))[0]

    model = Model(eqx.nn.Linear(3, 4, key=jax.random.key(0)), projection)
    run = eqx.filter_jit(lambda model: jax.vmap(model)(FEATURES))
    np.testing.assert_allclose(run(model).sum(axis=1), 1.0, atol=1e-9)
    slopes = eqx.filter_jit(eqx.filter_grad(lambda m: (jax.vmap(m)(FEATURES) ** 2).sum()))(model)
    assert np.abs(slopes.linear.weight).max() > 0.1


def test_a_layer_within_a_flax_module(projection):
    nnx = pytest.importorskip("flax.nnx")

    class Model(nnx.Module):
        def __init__(self, rngs):
            self.linear = nnx.Linear(3, 4, rngs=rngs)

        def __call__(self, features):
            return projection(box_qp(self.linear(features)))[0]

    model = Model(nnx.Rngs(0))
    features = jnp.asarray(FEATURES, jnp.float32)

    @nnx.jit
    def slope(model):
        return nnx.value_and_grad(lambda m: (m(features) ** 2).sum())(model)

    before, found = slope(model)
    optimizer = nnx.Optimizer(model, optax.sgd(1e-2), wrt=nnx.Param)
    optimizer.update(model, found)
    assert slope(model)[0] < before
