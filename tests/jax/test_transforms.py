"""Every transformation of JAX, for every kind of layer."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from tests.frontends.operations import OPERATIONS

jax = pytest.importorskip("jax")
jnp = jax.numpy

from lpgd.jax import EnvelopeLoss, solve_qp  # noqa: E402

KINDS = ("qp", "lp", "second-order cone", "cvxpy, quadratic", "oracle")
KINDS += ("saddle", "saddle, linearised", "nonlinear")
SIZE = 3


def envelope():
    """The envelope of a loss, which is no program of its own."""
    qp = next(own for own in OPERATIONS if own.name == "qp")
    target = np.arange(len(qp.data["q"])) / 3

    def valued(*arrays):
        own = EnvelopeLoss(partial(solve_qp, **dict(zip(qp.data, arrays, strict=True))),
                           "quadratic", tau=0.3, reduction="none")  # fmt: skip
        return [own(target=target)[..., None]]

    return replace(qp, name="envelope", jax=valued)


EVERY = [*(own for own in OPERATIONS if own.name in KINDS), envelope()]


@pytest.fixture(params=EVERY, ids=lambda own: own.name)
def operation(request):
    return request.param


@pytest.fixture
def loss(operation):
    """A loss of all outputs, of the argument that batches vary."""
    data = dict(operation.data)

    def of(moved):
        found = operation.jax(*{**data, operation.moved: moved}.values())
        return sum((jnp.arange(1.0, o.size + 1).reshape(o.shape) * o**2).sum() for o in found)

    return of


@pytest.fixture
def moved(operation):
    return operation.batch(SIZE)[operation.moved]


def close(found, expected, tolerance=1e-10):
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def each(function, rows):
    return np.stack([function(row) for row in rows])


def test_vmap_of_grad_and_grad_of_vmap_are_one_call_each_way(loss, moved, calls):
    want = each(jax.grad(loss), moved)
    calls.clear()
    inner = jax.vmap(jax.grad(loss))
    outer = jax.grad(lambda rows: jax.vmap(loss)(rows).sum())
    for run in (inner, jax.jit(inner), outer, jax.jit(outer)):
        close(run(moved), want)
    assert calls == ["solve", "pullback"] * 4


def test_nested_vmap_is_one_call_each_way(loss, moved, calls):
    rows = np.stack([moved, moved + 0.01])
    want = each(jax.vmap(jax.grad(loss)), rows)
    calls.clear()
    close(jax.jit(jax.vmap(jax.vmap(jax.grad(loss))))(rows), want)
    close(jax.vmap(jax.vmap(jax.grad(loss), 0), 1)(rows.swapaxes(0, 1)), want)
    assert calls == ["solve", "pullback"] * 2


def test_jacobians_take_one_call_each(operation, moved, calls):
    data = dict(operation.data)

    def first(row):
        return operation.jax(*{**data, operation.moved: row}.values())[0]

    back = jax.block_until_ready(jax.jit(jax.vmap(jax.jacrev(first)))(moved))
    forth = jax.block_until_ready(jax.jit(jax.vmap(jax.jacfwd(first)))(moved))
    assert calls == ["solve", "pullback", "solve", "pushforward"]
    assert back.shape == forth.shape == (SIZE, *first(moved[0]).shape, *moved.shape[1:])
    if operation.name in ("second-order cone", "cvxpy, quadratic", "saddle, linearised"):
        # both are the derivative
        close(back, forth, 1e-6)
    close(forth[0], jax.jacfwd(first)(moved[0]), 1e-6)


def test_linearize_and_vjp_may_be_used_several_times(loss, moved, calls):
    way = np.ones_like(moved[0])
    value, along = jax.linearize(loss, moved[0])
    close(along(way), jax.jvp(loss, (moved[0],), (way,))[1])
    close(along(2 * way), 2 * along(way))
    again, pull = jax.vjp(loss, moved[0])
    close(again, value)
    close(pull(1.0)[0], jax.grad(loss)(moved[0]))
    close(pull(jnp.array(2.0))[0], jax.grad(lambda row: 2 * loss(row))(moved[0]))


def test_checkpoint_solves_again_and_changes_nothing(loss, moved, calls):
    want = jax.grad(loss)(moved[0])
    close(jax.grad(jax.checkpoint(loss))(moved[0]), want, 1e-12)
    calls.clear()
    close(jax.jit(jax.grad(jax.checkpoint(loss)))(moved[0]), want, 1e-12)
    assert calls[-1] == "pullback"


def test_scan_within_and_around(loss, moved):
    """Gradients of a loop, and a loop of gradients."""

    def loop(start):
        def step(row, _):
            return row * 0.99, loss(row)

        return jax.lax.scan(step, start, None, length=3)[1].sum()

    row = moved[0]
    want = sum(0.99**k * jax.grad(loss)(row * 0.99**k) for k in range(3))
    close(jax.jit(jax.grad(loop))(row), want)

    def descend(row, _):
        value, slope = jax.value_and_grad(loss)(row)
        return row - 1e-3 * slope, value

    found, _ = jax.jit(lambda row: jax.lax.scan(descend, row, None, length=3))(row)
    for _ in range(3):
        row = row - 1e-3 * jax.grad(loss)(row)
    close(found, row)


@pytest.mark.parametrize("outer", [jax.jacfwd, jax.jacrev])
@pytest.mark.parametrize("inner", [jax.jacfwd, jax.grad])
def test_there_is_no_second_derivative(loss, moved, outer, inner):
    second = outer(inner(loss))
    with pytest.raises(RuntimeError, match="lpgd layers have no second derivative"):
        jax.eval_shape(second, moved[0])
    with pytest.raises(RuntimeError, match="lpgd layers have no second derivative"):
        jax.eval_shape(jax.vmap(jax.jit(second)), moved)


def test_a_stopped_gradient_has_none_to_differentiate(loss, moved):
    def weighed(row):
        return (jax.lax.stop_gradient(jax.grad(loss)(jax.lax.stop_gradient(row))) * row).sum()

    close(jax.grad(weighed)(moved[0]), jax.grad(loss)(moved[0]))


def test_push_is_transposed_to_pull_and_back(loss, moved):
    """Twice transposed, a linear map is itself: here the derivative, whatever the rule."""
    _, along = jax.linearize(loss, moved[0])
    (back,) = jax.linear_transpose(along, moved[0])(1.0)
    close(back, jax.grad(loss)(moved[0]))
    pull = jax.linear_transpose(along, moved[0])
    (forth,) = jax.linear_transpose(lambda c: pull(c)[0], 1.0)(np.ones_like(moved[0]))
    close(forth, along(np.ones_like(moved[0])))


def test_a_gradient_at_constants_has_a_derivative(loss, moved):
    """What docs/jax.md gives in place of a second derivative."""
    row = moved[0]
    fixed = jax.grad(loss)(row)
    found = jax.jit(jax.grad(lambda q: jax.grad(loss)(jax.lax.stop_gradient(q)) @ q))(row)
    close(found, fixed)
