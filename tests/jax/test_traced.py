"""What the host asks of compiled programs: no callback waits for JAX, whoever else computes."""

import subprocess
import sys
from threading import Thread

import numpy as np
import pytest

from lpgd.frontend.dialogue import Dialogue

jax = pytest.importorskip("jax")
jnp = jax.numpy

from lpgd.jax import saddle  # noqa: E402
from lpgd.jax.host import HOST  # noqa: E402
from lpgd.jax.traced import Traced, talk, wide  # noqa: E402


def newton(params, tilt):
    """The minimiser of x'x / 2 + q'x + sum x^4 with a tilt."""
    q, x = tilt.cost(np.asarray(params[0])), np.zeros(3)
    for _ in range(60):
        slope = x + q + 4 * x**3 + tilt.rho * x
        x = x - slope / (1 + tilt.rho + 12 * x**2)
    return x


@pytest.fixture
def traced():
    return Traced(2, {"sum": (lambda row: row.sum()[None], 1), "twice": (lambda row: 2 * row, 2)})


@pytest.mark.parametrize("count", [0, 1, 3, 64, 130])
def test_rows_are_answered_alike_alone_and_within_a_program(traced, count):
    rows = np.random.default_rng(count).normal(size=(count, 2))

    def work():
        return [traced("sum", rows).sum(0), traced("twice", rows).sum(0)]

    def program():
        with wide():
            like = [jax.ShapeDtypeStruct((size,), jnp.float64) for size in (1, 2)]
            return talk(traced, work, like, [])

    found = jax.jit(program)()
    for got, alone, want in zip(found, work(), (rows.sum(), 2 * rows.sum(0)), strict=True):
        np.testing.assert_array_equal(got, alone)
        np.testing.assert_allclose(alone, want, atol=1e-12)


def test_shorter_rows_are_filled_up(traced):
    np.testing.assert_array_equal(traced("twice", np.ones((3, 1))), np.tile([2.0, 0.0], (3, 1)))


CODE = """
import faulthandler, threading
faulthandler.dump_traceback_later(100, exit=True)
import numpy as np, jax, jax.numpy as jnp, lpgd
from lpgd.jax import saddle
from lpgd.jax.host import HOST

jax.config.update("jax_enable_x64", True)
n = 150  # products within the Lagrangian are spread over XLA's threads
M = np.random.default_rng(0).normal(size=(n, n))

def lagrangian(x, y, q, M):
    return 0.5 * x @ (M @ M.T / n + jnp.eye(n)) @ x + q @ x

def solve(params, tilt):
    q, M = params
    return np.linalg.solve(tilt.hessian(M @ M.T / n + np.eye(n)), -tilt.cost(q))

layer = saddle(lagrangian, solve, lpgd.LPGD(0.1), like=(np.zeros(n), None), check=False)

def loss(q):
    return (jax.vmap(lambda q: layer(q, M))(q) ** 2).sum()

@jax.jit
def train(q):
    def step(q, _):
        big = jnp.ones((300, 300)) * q[0, 0]
        one, slope = jax.value_and_grad(loss)(q)
        two, other = jax.value_and_grad(lambda q: loss(jnp.cos(q)))(q)
        return q - 0.01 * (slope + other) + 1e-30 * (big @ big)[0, 0], one + two

    return jax.lax.scan(step, q, None, length=3)[0]

start = np.random.default_rng(1).normal(size=(2, n))
want, found = np.asarray(train(start)), []

def work():
    for _ in range(4):
        found.append(np.asarray(train(start)))

threads = [threading.Thread(target=work) for _ in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(found) == 24 and all((own == want).all() for own in found)
assert not HOST.dialogues._open and not HOST.dialogues._results
print("done")
"""


def test_more_threads_than_cores_do_not_wait_for_each_other():
    """Calls of JAX within the callbacks of this program would hang it."""
    path = f"import sys; sys.path[:] = {sys.path!r}\n"
    run = [sys.executable, "-I", "-c", path + CODE]
    done = subprocess.run(run, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == "done"


@pytest.mark.parametrize("derive", ["two pulls", "one solve twice"])
def test_two_derivatives_of_one_solve_do_not_wait_for_each_other(jax, derive):
    """Both are under way at once, and both want the forward pass that was kept."""
    at, ways = np.array([-1.0, -2.0, 3.0]), np.eye(3)[:2]
    layer = saddle(lambda x, y, q: 0.5 * x @ x + q @ x + (x**4).sum(), newton,
                   like=(np.zeros(3), None), linearize=True)  # fmt: skip

    def pulls(q):
        _, pull = jax.vjp(layer, q)
        return pull(ways[0])[0] + 2 * pull(ways[1])[0]

    def twice(q):  # which the compiler solves once
        again = jax.jit(layer)
        return jax.grad(lambda q: ways[0] @ again(q) + 2 * ways[1] @ again(q))(q)

    found, run = [], jax.jit({"two pulls": pulls, "one solve twice": twice}[derive])
    thread = Thread(target=lambda: found.append(np.asarray(run(at))), daemon=True)
    thread.start()
    thread.join(100)
    assert found, "it hangs"
    want = (ways[0] + 2 * ways[1]) @ np.asarray(jax.jacrev(layer)(at))
    np.testing.assert_allclose(found[0], want, atol=1e-10)


def test_another_failure_of_the_program_leaves_a_dialogue_that_can_be_closed(traced):
    """What nobody continues waits, and ends when it is closed."""
    ended = []

    def work():
        try:
            traced("sum", np.ones((1, 2)))
        except RuntimeError as error:
            ended.append(error)

    dialogue = Dialogue(work)
    place, rows = dialogue.begin()
    assert (place, rows.shape) == (0, (1, 2))
    dialogue.close()
    assert dialogue._questions.get(timeout=10).error is None
    assert len(ended) == 1
    assert not HOST.dialogues._open
