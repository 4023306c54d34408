"""``shard_map`` over two CPU devices: one callback a shard."""

import subprocess
import sys

import pytest

pytest.importorskip("jax")
pytest.importorskip("cvxpy")

CODE = """
from functools import partial

import cvxpy as cp, jax, jax.numpy as jnp, numpy as np
import lpgd
from lpgd.frontend.replay import Replay
from lpgd.frontend.valued import Valued
from lpgd.jax import (
    CvxpyLayer, EnvelopeLoss, NonlinearProgram, argmin, saddle, solve_conic, solve_lp, solve_nlp,
    solve_qp,
)

try:
    from jax import shard_map
    options = {}
except ImportError:  # which asks every primitive for a rule of its own
    from jax.experimental.shard_map import shard_map
    options = {"check_rep": False}
from jax.sharding import Mesh, PartitionSpec as Spec

jax.config.update("jax_enable_x64", True)
assert len(jax.devices()) == 2
mesh = Mesh(np.array(jax.devices()), ("x",))
sizes = []
for host in (Replay, Valued):
    def noted(self, data, *, keep, solved=host.solve):
        sizes.append(self.batch([array.shape for array in data])[0])
        return solved(self, data, keep=keep)

    host.solve = noted

P, rows = 2 * np.eye(3), np.random.default_rng(0).normal(size=(4, 3))
box = {"lb": np.zeros(3), "ub": np.ones(3)}

def objective(x, q):
    return x @ x + q @ x + 0.1 * (x ** 4).sum()

def newton(params, tilt):
    q, x = tilt.cost(params[0]), np.zeros(3)
    for _ in range(30):
        slope = tilt.rho * x + 2 * x + q + 0.4 * x ** 3
        x = x - slope / (2 + tilt.rho + 1.2 * x ** 2)
    return x

own = saddle(lambda x, y, q: objective(x, q), newton, like=(np.zeros(3), None), ranks=(1,),
             linearize=True)
program = NonlinearProgram.of_functions(objective, 3, ranks=(1,))
x, cost = cp.Variable(3), cp.Parameter(3)
distance = cp.Problem(cp.Minimize(cp.sum_squares(x + cost)), [cp.sum(x) == 1])
modelled = CvxpyLayer(distance, [cost], [x])
envelope = EnvelopeLoss(partial(solve_qp, **box), "quadratic", tau=0.5, reduction="none")
LAYERS = {
    "saddle": lambda P, q: own(q @ P),
    "nonlinear": lambda P, q: solve_nlp(program, q @ P, engine="slsqp", **box),
    "qp": lambda P, q: solve_qp(P, q + 0 * P[0], G=-jnp.eye(3), h=jnp.zeros(3) + 0 * q),
    "lp": lambda P, q: solve_lp(q @ P, rule=lpgd.LPGD(1.0, rho=0.1), **box),
    "oracle": lambda P, q: argmin(lambda c: (c < 0) * 1.0, q @ P, rule=lpgd.LPGD(50.0)),
    "conic": lambda P, q: solve_conic(P, q, -jnp.eye(3), jnp.zeros(3), lpgd.Cones(soc=(3,))),
    "cvxpy": lambda P, q: modelled(q @ P)[0],
    "envelope": lambda P, q: envelope(P, q, target=np.ones(3))[..., None],
}
for name, layer in LAYERS.items():
    def loss(P, q):
        return (layer(P, q) ** 2 * jnp.arange(1.0, 4.0)).sum(-1)

    spread = shard_map(loss, mesh=mesh, in_specs=(Spec(), Spec("x")), out_specs=Spec("x"),
                       **options)
    want = jax.grad(lambda P, q: loss(P, q).sum(), (0, 1))(P, rows)
    sizes.clear()
    for run in (spread, jax.jit(spread)):
        np.testing.assert_allclose(np.asarray(run(P, rows)), loss(P, rows), atol=1e-10)
    assert sizes.count(2) == 4, sizes
    for derive in (jax.grad, jax.jacfwd):
        found = jax.jit(derive(lambda P, q: spread(P, q).sum(), (0, 1)))(P, rows)
        if derive is jax.jacfwd:
            want = jax.jacfwd(lambda P, q: loss(P, q).sum(), (0, 1))(P, rows)
        for a, b in zip(found, want):
            np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=1e-9)

    def within(P, q):  # the gradient of each shard
        return jax.grad(lambda q: loss(P, q).sum())(q)

    found = jax.jit(shard_map(within, mesh=mesh, in_specs=(Spec(), Spec("x")),
                              out_specs=Spec("x"), **options))(P, rows)
    want = jax.grad(lambda q: loss(P, q).sum())(rows)
    np.testing.assert_allclose(np.asarray(found), np.asarray(want), atol=1e-9)
print("done")
"""


def test_each_shard_solves_its_own_part():
    flags = "import os; os.environ['XLA_FLAGS'] = '--xla_force_host_platform_device_count=2'\n"
    path = f"import sys; sys.path[:] = {sys.path!r}\n"
    run = [sys.executable, "-I", "-c", flags + path + CODE]
    done = subprocess.run(run, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == "done"
