"""Forward passes kept on the host: found again, and never missed in the answer."""

import gc
import threading
from functools import partial

import numpy as np
import pytest

import lpgd
from lpgd import rules
from lpgd.frontend.replay import Replay
from tests.frontends.operations import OPERATIONS, qp_data

jax = pytest.importorskip("jax")
jnp = jax.numpy

from lpgd.jax import (  # noqa: E402
    EnvelopeLoss,
    NonlinearProgram,
    argmin,
    saddle,
    solve_lp,
    solve_nlp,
    solve_qp,
)
from lpgd.jax.host import HOST  # noqa: E402
from tests.jax.layers import ball, projected  # noqa: E402

DATA = qp_data()
BATCH = np.random.default_rng(0).normal(size=(4, 5))


def solve(q, **options):
    return solve_qp(**{**DATA, "q": q}, **options)


def loss(q, **options):
    return (jnp.arange(1.0, 6.0) * solve(q, **options) ** 2).sum()


KINDS = ["qp", "lp", "second-order cone", "cvxpy, quadratic", "oracle", "saddle, linearised",
         "nonlinear"]  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("push", [False, True])
def test_what_was_evicted_is_made_again_and_answers_alike(name, push, store):
    operation = next(own for own in OPERATIONS if own.name == name)
    places = list(operation.data).index(operation.moved)
    data = list(operation.batch(3).values())
    found, follow = (jax.linearize if push else jax.vjp)(
        lambda moved: operation.jax(*data[:places], moved, *data[places + 1 :]), data[places]
    )
    vector = data[places] if push else type(found)(*found) if hasattr(found, "x") else found
    kept = jax.tree.leaves(follow(vector))
    assert (store.hits, store.misses) == (1, 0)
    store.clear()
    lost = jax.tree.leaves(follow(vector))
    assert (store.hits, store.misses) == (1, 1)
    for a, b in zip(kept, lost, strict=True):
        size = max(1.0, np.abs(a).max(initial=0.0))
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10 * size)


def test_a_full_store_gives_up_the_oldest_and_answers_alike(store):
    store.entries = 3
    wants = [jax.grad(loss)(q) for q in BATCH]
    store.clear()
    pulls = [jax.vjp(loss, q)[1] for q in BATCH]
    assert len(store) == 3
    store.hits = store.misses = 0
    for pull, want in zip(pulls, wants, strict=True):
        np.testing.assert_allclose(pull(1.0)[0], want, rtol=1e-10, atol=1e-10)
    assert (store.hits, store.misses) == (3, 1)


def test_a_store_is_bounded_in_bytes_but_keeps_the_newest(store):
    store.size = 1
    for q in BATCH:
        np.testing.assert_allclose(jax.grad(loss)(q), jax.jit(jax.grad(loss))(q), atol=1e-10)
    assert len(store) == 1
    assert store.misses == 0


def test_few_used_ones_stay(store):
    for q in np.repeat(BATCH, 10, axis=0):
        jax.grad(loss)(q)
    assert len(store) == store.used


@pytest.mark.parametrize("order", [[2, 0, 3, 1], [1, 1, 2, 3], [3, 2]])
def test_reordered_residuals_are_those_of_their_rows(order, store):
    """A vjp is a pytree: its leaves may be stacked, permuted and mapped over."""
    solved, pull = jax.vmap(lambda q: jax.vjp(loss, q))(BATCH)
    order = np.array(order)
    turned = jax.tree.map(lambda leaf: leaf[order] if leaf.shape[:1] == (4,) else leaf, pull)
    found = jax.vmap(lambda own: own(1.0)[0])(turned)
    assert store.misses == 1
    want = jax.vmap(jax.grad(loss))(BATCH)[order]
    np.testing.assert_allclose(found, want, rtol=1e-10, atol=1e-10)
    assert solved.shape == (4,)


def test_a_compiled_function_that_runs_twice_keeps_both_apart(store):
    forward = jax.jit(lambda q: jax.vjp(loss, q))
    backward = jax.jit(lambda pull: pull(1.0)[0])
    pulls = [forward(q)[1] for q in BATCH]
    for pull, q in reversed(list(zip(pulls, BATCH, strict=True))):
        np.testing.assert_allclose(backward(pull), jax.grad(loss)(q), rtol=1e-10, atol=1e-10)
    assert store.misses == 0


def test_two_threads_find_their_own(store):
    run = jax.jit(jax.value_and_grad(loss))
    wants = [run(q) for q in BATCH]
    found = [[] for _ in range(4)]

    def work(place):
        for _ in range(20):
            found[place].append(jax.block_until_ready(run(BATCH[place])))

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for own, want in zip(found, wants, strict=True):
        assert len(own) == 20
        for value, slope in own:
            np.testing.assert_array_equal(value, want[0])
            np.testing.assert_array_equal(slope, want[1])
    assert store.misses == 0


def test_one_forward_pass_serves_two_threads(store):
    rule = lpgd.LPGD(0.3, rho=0.1)  # re-solves, from the workspace that both share
    pull = jax.vjp(lambda q: solve(q, rule=rule), BATCH)[1]
    want = pull(np.ones((4, 5)))[0]
    found = []
    work = lambda: found.extend(pull(np.ones((4, 5)))[0] for _ in range(10))  # noqa: E731
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 30
    for slope in found:
        np.testing.assert_array_equal(slope, want)


def test_a_compiled_training_loop_finds_its_forward_pass(store):
    step = jax.jit(lambda q: q - 0.01 * jax.vmap(jax.grad(loss))(q))
    q = BATCH
    for _ in range(200):
        q = step(q)
    jax.block_until_ready(q)
    assert store.hits == 200
    assert store.misses == 0


def test_nothing_is_kept_where_nothing_is_differentiated(store, monkeypatch):
    kept = []
    own = Replay.solve

    def noted(self, data, *, keep):
        kept.append(keep)
        return own(self, data, keep=keep)

    monkeypatch.setattr(Replay, "solve", noted)
    solve(BATCH)
    jax.block_until_ready(jax.jit(jax.vmap(solve))(BATCH))
    assert kept == [False, False]
    assert len(store) == 0


def test_float64_state_survives_where_jax_has_none(jax, store):
    jax.config.update("jax_enable_x64", False)
    rule = lpgd.LPGD(1e-6)
    given = {name: array.astype(np.float32) for name, array in DATA.items()}
    run = jax.jit(lambda q: jax.vjp(lambda q: solve_qp(**{**given, "q": q}, rule=rule), q)[1])
    pull = run(given["q"])
    kept = pull(np.ones(5, np.float32))[0]
    store.clear()
    np.testing.assert_array_equal(pull(np.ones(5, np.float32))[0], kept)
    assert store.misses == 1


def objective(x, q):
    return 0.5 * x @ x + q @ x


def minimiser(params, tilt):
    q = params[0] if tilt.dx is None else tilt.cost(params[0])
    return np.linalg.solve(tilt.hessian(np.eye(4)), -q)


def loops():
    """Losses of q (4,), which sinks to 0, and steps that are watched."""
    ones, box = np.ones(4), {"lb": np.zeros(4)}
    own = saddle(lambda x, y, q: objective(x, q), minimiser, lpgd.LPGD(0.1),
                 like=(np.zeros(4), None), check=False)  # fmt: skip
    program = NonlinearProgram.of_functions(objective, 4)
    qp, modelled = partial(solve_qp, np.eye(4), **box), projected()
    envelope = EnvelopeLoss(qp, "quadratic", tau=0.5)
    lp = partial(solve_lp, rule=lpgd.LPGD(1.0, rho=0.1), **box, ub=ones)
    drawn = partial(argmin, lambda c: (c < 0) * 1.0, rule=rules.IMLE(5.0, samples=3))
    return {
        "qp": (lambda q: ((qp(q) - 1) ** 2).sum(), 250),
        "lp": (lambda q: (lp(q) ** 2).sum(), 250),
        "conic": (lambda q: ((ball(q) - 1) ** 2).sum(), 100),
        "cvxpy": (lambda q: ((modelled(q) - np.eye(4)[0]) ** 2).sum(), 100),
        "envelope": (lambda q: envelope(q, target=ones), 100),
        "saddle": (lambda q: ((own(q) - 1) ** 2).sum(), 50),
        "nonlinear": (
            lambda q: ((solve_nlp(program, q, engine="slsqp", **box) - 1) ** 2).sum(),
            25,
        ),
        "oracle, noise": (lambda q: ((drawn(q, key=0) - 1) ** 2).sum(), 100),
    }


@pytest.mark.parametrize(
    "kind", ["qp", "lp", "conic", "cvxpy", "oracle, noise", "envelope", "saddle", "nonlinear"]
)
def test_a_long_scan_does_not_grow(store, kind):
    """Steps of training in a compiled loop, of which all but the first quarter are watched."""
    resource = pytest.importorskip("resource")
    own, length = loops()[kind]

    @jax.jit
    def train(q):
        def step(q, _):
            value, slope = jax.value_and_grad(own)(q)
            return q - 1e-2 * slope, value

        return jax.lax.scan(step, q, None, length=length)

    def peak():
        gc.collect()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB on Linux

    q, values = jax.block_until_ready(train(-0.1 * np.ones(4)))
    before = peak()
    for _ in range(3):
        q, later = jax.block_until_ready(train(q))
    assert peak() - before < 2048
    assert later[-1] < 0.5 * values[0]
    assert len(store) == store.used
    assert (store.hits, store.misses) == (4 * length, 0)
    assert not HOST.dialogues._open
    assert not HOST.dialogues._results
