"""Ten thousand calls, forward and backward, of every kind of layer: the memory in use stays flat.

    python benchmarks/memory.py [--calls 10000] [--only "dense QP" HiGHS] [--seed 0]

Small programs with new data in every call. After a fifth of the calls the resident size may not
grow by more than the limit below, about what an allocator keeps back and far less than an array
kept for each call would take; nor may the number of Python's objects. Those of JAX are called in
compiled loops (``lax.scan``) of a thousand steps of training. Each kind runs in a process of its
own. The exit code is 1 if anything grows.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
import warnings
from collections.abc import Callable
from multiprocessing import get_context
from typing import Any

import numpy as np
import psutil
import torch

import lpgd
from lpgd.oracles import GridPath, Knapsack, PyEPOGrid
from lpgd.torch import ConicLayer, CvxpyLayer, LPLayer, OracleLayer, QPLayer

T = torch.float64
MOST = 6e6  # bytes
OBJECTS = 2000
Call = Callable[[torch.Generator], torch.Tensor]
LOOP = 1000  # steps of a compiled loop
KINDS: dict[str, tuple[Callable[[], Call], int]] = {}
B, N, M = 2, 6, 8


def kind(name: str, steps: int = 1) -> Any:
    """Enter a maker of calls, each of which calls the layer that often."""

    def entered(make: Callable[[], Call]) -> Callable[[], Call]:
        KINDS[name] = make, steps
        return make

    return entered


def rows(draw: torch.Generator) -> dict[str, torch.Tensor]:
    """q, G and h of a batch."""
    q = torch.randn(B, N, generator=draw, dtype=T).requires_grad_()
    G = torch.randn(B, M, N, generator=draw, dtype=T).requires_grad_()
    h = (1 + torch.rand(B, M, generator=draw, dtype=T)).requires_grad_()
    return {"q": q, "G": G, "h": h}


def _quadratic(layer: QPLayer) -> Call:
    P = torch.eye(N, dtype=T)
    return lambda draw: layer(P, **rows(draw))


@kind("dense QP")
def _() -> Call:
    return _quadratic(QPLayer())


@kind("dense QP, Exact")
def _() -> Call:
    return _quadratic(QPLayer(lpgd.Exact()))


@kind("dense QP, fixed tau")
def _() -> Call:
    return _quadratic(QPLayer(lpgd.LPGD(5.0, rho=0.1)))


@kind("dense QP, failures marked")
def _() -> Call:
    layer, P = QPLayer(on_failure="nan"), torch.eye(N, dtype=T)

    def call(draw: torch.Generator) -> torch.Tensor:
        data = rows(draw)
        G = torch.cat([data["G"], -data["G"][:, :1]], 1)
        h = torch.cat([data["h"], 1e3 * torch.randn(B, 1, generator=draw, dtype=T)], 1)
        return torch.nan_to_num(layer(P, data["q"], G, h))

    return call


@kind("sparse QP")
def _() -> Call:
    layer = QPLayer()
    at = torch.nonzero(torch.rand(M, N, generator=torch.Generator().manual_seed(0)) < 0.4).T
    eye = torch.eye(N, dtype=T).to_sparse_coo()

    def call(draw: torch.Generator) -> torch.Tensor:
        data = rows(draw)
        values = torch.randn(at.shape[1], generator=draw, dtype=T).requires_grad_()
        G = torch.sparse_coo_tensor(at, values, (M, N))
        return layer(eye, data["q"], G, data["h"])

    return call


@kind("LP, DAQP")
def _() -> Call:
    return _linear("daqp")


@kind("LP, HiGHS")
def _() -> Call:
    return _linear("highs")


def _linear(engine: str) -> Call:
    layer, box = LPLayer(engine=engine), torch.ones(N, dtype=T)

    def call(draw: torch.Generator) -> torch.Tensor:
        data = rows(draw)
        return layer(data["q"], data["G"], data["h"], lb=-box, ub=box)

    return call


@kind("cone program, Moreau")
def _() -> Call:
    return _conic("moreau")


@kind("cone program, Clarabel")
def _() -> Call:
    return _conic("clarabel")


@kind("cone program, SCS")
def _() -> Call:
    return _conic("scs")


def _conic(engine: str) -> Call:
    layer = ConicLayer(lpgd.Cones(nonneg=2, soc=(3,)), engine=engine)
    A = torch.cat([torch.eye(5, 3, dtype=T)[[0, 1]], -torch.eye(3, dtype=T)])
    P = torch.eye(3, dtype=T)

    def call(draw: torch.Generator) -> torch.Tensor:
        q = torch.randn(B, 3, generator=draw, dtype=T).requires_grad_()
        b = torch.rand(B, 5, generator=draw, dtype=T) * 0.1
        b = (b + torch.tensor([1.0, 1.0, 2.0, 0.0, 0.0], dtype=T)).requires_grad_()
        return layer(P, q, A, b)

    return call


@kind("CVXPY")
def _() -> Call:
    import cvxpy as cp

    x, q, G, h = cp.Variable(N), cp.Parameter(N), cp.Parameter((M, N)), cp.Parameter(M)
    goal = cp.Minimize(cp.sum_squares(x) + q @ x)
    layer = CvxpyLayer(cp.Problem(goal, [G @ x <= h, cp.norm(x) <= 5]), [q, G, h], [x])
    return lambda draw: layer(*rows(draw).values())[0]


@kind("oracle, paths")
def _() -> Call:
    grid = PyEPOGrid(4, 4)
    return _oracle(OracleLayer(grid), len(grid.edges))


@kind("oracle, cached")
def _() -> Call:
    return _oracle(OracleLayer(Knapsack([1, 2, 3, 4], 5), cache=100_000), 4)


@kind("oracle, knapsack by HiGHS")
def _() -> Call:
    return _oracle(OracleLayer(Knapsack([1.0, 2, 3, 4], 5, "highs")), 4)


@kind("oracle, flow")
def _() -> Call:
    return _oracle(OracleLayer(GridPath((3, 3), negative="flow")), 3, 3)


def _oracle(layer: OracleLayer, *shape: int) -> Call:
    return lambda draw: layer(torch.randn(B, *shape, generator=draw, dtype=T).requires_grad_())


@kind("JAX, QP", LOOP)
def _() -> Call:
    from lpgd.jax import solve_qp

    eye, low = np.eye(N), np.zeros(N)
    return _trained(lambda q: solve_qp(eye, q, lb=low))


@kind("JAX, LP", LOOP)
def _() -> Call:
    from lpgd.jax import solve_lp

    rows, box = np.ones((1, N)), {"lb": np.zeros(N), "ub": np.ones(N)}
    rule = lpgd.LPGD(1.0, rho=0.1)
    return _trained(lambda q: solve_lp(q, G=rows, h=2 * rows[0, :1], rule=rule, **box))


@kind("JAX, cone program", LOOP)
def _() -> Call:
    from lpgd.jax import solve_conic

    eye, cones = np.eye(N), lpgd.Cones(soc=(N + 1,))
    A, b = np.concatenate([np.zeros((1, N)), -eye]), np.eye(N + 1)[0]
    return _trained(lambda q: solve_conic(eye, q, A, b, cones))


@kind("JAX, CVXPY", LOOP)
def _() -> Call:
    import cvxpy as cp

    from lpgd.jax import CvxpyLayer

    x, q = cp.Variable(N), cp.Parameter(N)
    goal = cp.Minimize(cp.sum_squares(x) + q @ x)
    layer = CvxpyLayer(cp.Problem(goal, [cp.norm(x) <= 0.5]), [q], [x])
    return _trained(lambda q: layer(q)[0])


@kind("JAX, oracle", LOOP)
def _() -> Call:
    from lpgd.jax import argmin

    rule = lpgd.rules.IMLE(5.0, samples=3)
    return _trained(lambda q: argmin(lambda c: (c < 0) * 1.0, q, rule=rule, key=0))


@kind("JAX, envelope", LOOP)
def _() -> Call:
    from lpgd.jax import EnvelopeLoss, solve_qp

    eye, low, target = np.eye(N), np.zeros(N), np.ones(N)
    envelope = EnvelopeLoss(solve_qp, "quadratic", tau=0.5)
    return _trained(lambda q: envelope(eye, q, lb=low, target=target))


@kind("JAX, saddle", LOOP)
def _() -> Call:
    from lpgd.jax import saddle

    def solve(params: Any, tilt: Any) -> Any:
        return np.linalg.solve(tilt.hessian(np.eye(N)), -tilt.cost(np.asarray(params[0])))

    like = np.zeros(N), None
    return _trained(saddle(lambda x, y, q: _cost(x, q), solve, lpgd.LPGD(0.1), like=like))


@kind("JAX, nonlinear", LOOP)
def _() -> Call:
    from lpgd.jax import NonlinearProgram, solve_nlp

    program, low = NonlinearProgram.of_functions(_cost, N), np.zeros(N)
    return _trained(lambda q: solve_nlp(program, q, engine="slsqp", lb=low))


def _cost(x: Any, q: Any) -> Any:
    return 0.5 * x @ x + q @ x


def _trained(layer: Callable[[Any], Any]) -> Call:
    """Steps of training in one compiled loop."""
    import jax

    jax.config.update("jax_enable_x64", val=True)

    @jax.jit
    def train(q: Any) -> Any:
        def step(q: Any, _: None) -> Any:
            return q - 1e-2 * jax.grad(lambda q: ((layer(q) - 1) ** 2).sum())(q), None

        return jax.lax.scan(step, q, None, length=LOOP)[0]

    def call(draw: torch.Generator) -> torch.Tensor:
        jax.block_until_ready(train(torch.randn(N, generator=draw, dtype=T).numpy()))
        return torch.zeros(1, requires_grad=True)

    return call


def measured(name: str, turns: int, seed: int) -> tuple[float, float, float, float]:
    """Growth in bytes and objects after a fifth of the turns, bytes in use, seconds of CPU."""
    torch.set_num_threads(1)
    call, draw = KINDS[name][0](), torch.Generator().manual_seed(seed)
    here, marks = psutil.Process(), []
    began = time.process_time()
    warnings.simplefilter("ignore", UserWarning)
    for number in range(turns):
        call(draw).square().sum().backward()
        if number in (turns // 5, turns - 1):
            gc.collect()
            marks.append((here.memory_info().rss, len(gc.get_objects())))
    (first, before), (last, after) = marks
    return last - first, after - before, last, time.process_time() - began


def main() -> int:
    """Measure all kinds."""
    parser = argparse.ArgumentParser(description="Memory of many calls.")
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--only", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"{'layer':28}{'calls':>8}{'growth':>12}{'objects':>9}{'in use':>10}{'CPU':>9}")
    wrong = 0
    for name in options.only:
        steps = KINDS[name][1]
        turns = max(5, options.calls // steps)
        with get_context("spawn").Pool(1) as pool:
            growth, objects, used, seconds = pool.apply(measured, (name, turns, options.seed))
        bad = growth > MOST or objects > OBJECTS
        wrong += bad
        print(f"{name:28}{turns * steps:8}{growth / 1e6:+9.1f} MB{objects:+9.0f}"
              f"{used / 1e6:7.0f} MB{seconds:7.1f} s{'  GROWS' * bad}", flush=True)  # fmt: skip
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
