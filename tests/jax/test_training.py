"""Training loops with optax, and layers within modules of equinox and flax."""

import numpy as np
import pytest

jax = pytest.importorskip("jax")
jnp = jax.numpy
optax = pytest.importorskip("optax")

from lpgd.jax import CvxpyLayer  # noqa: E402
from tests.jax.layers import KINDS, box_qp, modelled  # noqa: E402

FEATURES = np.random.default_rng(0).normal(size=(16, 3))
TRUE = np.array([[1.0, -0.5, 0.3, 0.1], [-0.7, 0.2, 0.9, -0.4], [0.1, 0.8, -0.6, 0.5]])


@pytest.fixture(params=list(KINDS))
def kind(request):
    return KINDS[request.param]


def test_a_compiled_loop_of_optax_learns(kind):
    """Costs from solutions, in one compiled loop."""
    features = FEATURES[: max(4, 16 * kind.steps // 60)]
    targets, error = jax.vmap(kind.make())(features @ TRUE), kind.error()
    optimizer = optax.adam(0.05)

    def loss(weights):
        return jax.vmap(error)(features @ weights, targets).sum()

    def step(state, _):
        weights, memory = state
        value, slope = jax.value_and_grad(loss)(weights)
        updates, memory = optimizer.update(slope, memory)
        return (optax.apply_updates(weights, updates), memory), value

    weights = 0.1 * np.random.default_rng(1).normal(size=TRUE.shape)
    start = weights, optimizer.init(weights)
    losses = jax.jit(lambda start: jax.lax.scan(step, start, None, length=kind.steps))(start)[1]
    assert losses[-1] < kind.share * losses[0]


def in_equinox(error, features, targets):
    """The gradient of a module's bias."""
    eqx = pytest.importorskip("equinox")

    class Model(eqx.Module):
        linear: eqx.nn.Linear
        error: object = eqx.field(static=True)

        def __call__(self, features, target):
            return self.error(self.linear(features), target)

    model = Model(eqx.nn.Linear(3, 4, key=jax.random.key(0)), error)
    slope = eqx.filter_grad(lambda m: jax.vmap(m)(features, targets).sum())
    return model.linear.weight.T, model.linear.bias, eqx.filter_jit(slope)(model).linear.bias


def in_flax(error, features, targets):
    """The same of a module of flax."""
    nnx = pytest.importorskip("flax.nnx")

    class Model(nnx.Module):
        def __init__(self, rngs):
            self.linear = nnx.Linear(3, 4, rngs=rngs, dtype=float, param_dtype=float)

        def __call__(self, features, target):
            return error(self.linear(features), target)

    model = Model(nnx.Rngs(0))
    slope = nnx.jit(nnx.grad(lambda m: jax.vmap(m)(features, targets).sum()))(model)
    return model.linear.kernel[...], model.linear.bias[...], slope.linear.bias[...]


@pytest.mark.parametrize("within", [in_equinox, in_flax])
def test_a_layer_within_a_module_has_its_own_gradients(kind, within):
    features, error = FEATURES[:2], kind.error()
    targets = jax.vmap(kind.make())(features @ TRUE)
    weights, bias, found = within(error, features, targets)

    def loss(bias):
        return jax.vmap(error)(features @ weights + bias, targets).sum()

    want = jax.grad(loss)(bias)
    assert np.abs(want).max() > 1e-3
    np.testing.assert_allclose(found, want, rtol=1e-8, atol=1e-10)


def test_a_cvxpy_layer_is_a_static_field_of_equinox():
    eqx = pytest.importorskip("equinox")

    class Model(eqx.Module):
        linear: eqx.nn.Linear
        layer: CvxpyLayer = eqx.field(static=True)

        def __call__(self, features):
            return self.layer(self.linear(features))[0]

    model = Model(eqx.nn.Linear(3, 4, key=jax.random.key(0)), modelled())
    run = eqx.filter_jit(lambda model: jax.vmap(model)(FEATURES))
    np.testing.assert_allclose(run(model).sum(axis=1), 1.0, atol=1e-9)
    slopes = eqx.filter_jit(eqx.filter_grad(lambda m: (jax.vmap(m)(FEATURES) ** 2).sum()))(model)
    assert np.abs(slopes.linear.weight).max() > 0.1


def test_a_layer_within_a_flax_module():
    nnx, layer = pytest.importorskip("flax.nnx"), modelled()

    class Model(nnx.Module):
        def __init__(self, rngs):
            self.linear = nnx.Linear(3, 4, rngs=rngs)

        def __call__(self, features):
            return layer(box_qp(self.linear(features)))[0]

    model = Model(nnx.Rngs(0))
    features = jnp.asarray(FEATURES, jnp.float32)

    @nnx.jit
    def slope(model):
        return nnx.value_and_grad(lambda m: (m(features) ** 2).sum())(model)

    before, found = slope(model)
    optimizer = nnx.Optimizer(model, optax.sgd(1e-2), wrt=nnx.Param)
    optimizer.update(model, found)
    assert slope(model)[0] < before
