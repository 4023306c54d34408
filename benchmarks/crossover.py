"""Where ``engine="auto"`` changes its mind: DAQP against HiGHS on LPs, DAQP against Moreau on cone
programs with linear rows, and one thread against all.

    python benchmarks/crossover.py [lp | conic | threads]

Times are those of a forward solve that keeps its workspace plus one tilted re-solve, per element;
the least of several interleaved rounds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

from lpgd import Cones, DaqpEngine, HighsEngine, MoreauEngine
from lpgd.core.params import Params, batched, shared
from lpgd.core.pattern import Pattern
from lpgd.core.problem import Problem
from lpgd.core.tilt import Tilt
from lpgd.engines.batch import processors
from lpgd.families.conic.conic import Conic
from lpgd.families.conic.polyhedral import Polyhedral
from lpgd.families.qp.qp import QP

Array = np.ndarray
ROUNDS = 5


def assignment(k: int, batch: int, rng: np.random.Generator) -> tuple[QP, Params]:
    """Assignment of k to k: k^2 variables, 2 k sparse rows, stored dense."""
    A = np.concatenate([np.kron(np.eye(k), np.ones(k)), np.kron(np.ones(k), np.eye(k))])
    data = {"A": A, "b": np.ones(2 * k), "lb": np.zeros(k * k), "ub": np.ones(k * k)}
    params = {name: shared(value, batch) for name, value in data.items()}
    params["q"] = batched(rng.uniform(size=(batch, k * k)))
    return QP.of({"A": 2 * k, "lb": k * k, "ub": k * k}, k * k, {}), params


def packed(n: int, m: int, batch: int, rng: np.random.Generator) -> tuple[QP, Params]:
    """m rows without zeros, variables in [0, 1]."""
    G = rng.standard_normal((batch, m, n))
    h = (G @ rng.uniform(size=(batch, n, 1)))[..., 0] + rng.uniform(0, 0.5, (batch, m))
    params = {"q": batched(rng.standard_normal((batch, n))), "G": batched(G), "h": batched(h)}
    params |= {"lb": shared(np.zeros(n), batch), "ub": shared(np.ones(n), batch)}
    return QP.of({"G": m, "lb": n, "ub": n}, n, {}), params


def strictly_convex(n: int, m: int, batch: int, rng: np.random.Generator) -> tuple[QP, Params]:
    """A QP with m rows, each element its own G."""
    problem, params = packed(n, m, batch, rng)
    root = rng.standard_normal((n, n))
    P = shared(root @ root.T / n + 0.1 * np.eye(n), batch)
    return QP(n, problem.blocks), {"P": P, **params}


def residuals(n: int, k: int, batch: int, rng: np.random.Generator) -> tuple[Conic, Params]:
    """Lasso as CVXPY states it: r = Fx - g and bounds of |x| are variables, P has empty rows."""
    F, eye = rng.standard_normal((batch, k, n)) / np.sqrt(n), np.eye(n)
    A = np.zeros((batch, k + 2 * n, 2 * n + k))
    A[:, :k, :n], A[:, :k, n : n + k] = -F, np.eye(k)
    A[:, k:, :n] = np.concatenate([eye, -eye])
    A[:, k:, n + k :] = -np.concatenate([eye, eye])
    b = np.concatenate([-rng.standard_normal((batch, k)), np.zeros((batch, 2 * n))], axis=1)
    q = np.concatenate([np.zeros(n + k), np.full(n, 0.1)])
    curved = Pattern(np.arange(n, n + k), np.arange(n, n + k), (2 * n + k, 2 * n + k))
    rows, cols = np.nonzero(A.any(axis=0))
    patterns = {"P": curved, "A": Pattern(rows, cols, A.shape[1:])}
    params = {"P": shared(np.ones(k), batch), "A": batched(A[:, rows, cols])}
    params |= {"b": batched(b), "q": shared(q, batch)}
    return Conic(2 * n + k, Cones(zero=k, nonneg=2 * n), patterns), params


def control(steps: int, batch: int, rng: np.random.Generator) -> tuple[Conic, Params]:
    """Linear quadratic control of four states by two bounded inputs, from many states."""
    n, m = 6 * steps, 4 * steps
    step = 0.9 * np.eye(4) + 0.1 * rng.standard_normal((4, 4))
    one = np.concatenate([-rng.standard_normal((4, 2)), np.eye(4)], axis=1)
    A = np.kron(np.eye(steps), one)
    A += np.kron(np.eye(steps, k=-1), np.concatenate([np.zeros((4, 2)), -step], axis=1))
    inputs = np.eye(n)[np.arange(n) % 6 < 2]
    A = np.concatenate([A, inputs, -inputs])
    rows, cols = np.nonzero(A)
    b = np.full((batch, len(A)), 0.3)
    b[:, :m] = 0
    b[:, :4] = 3 * rng.standard_normal((batch, 4))
    patterns = {"P": Pattern(np.arange(n), np.arange(n), (n, n)), "A": Pattern(rows, cols, A.shape)}
    params = {"P": shared(np.ones(n), batch), "A": shared(A[rows, cols], batch)}
    params |= {"b": batched(b), "q": shared(np.zeros(n), batch)}
    return Conic(n, Cones(zero=m, nonneg=len(A) - m), patterns), params


def full(n: int, batch: int, rng: np.random.Generator) -> tuple[Conic, Params]:
    """A strictly convex QP without zeros as a cone program."""
    root = rng.standard_normal((n, n))
    params = {"P": shared(root @ root.T / n + 0.1 * np.eye(n), batch)}
    params |= {name: batched(rng.standard_normal((batch, *shape)))
               for name, shape in (("A", (n, n)), ("q", (n,)))}  # fmt: skip
    params["b"] = batched(rng.uniform(0.5, 1.5, (batch, n)))
    return Conic(n, Cones(nonneg=n)), params


def seconds(engine: object, case: tuple[Problem, Params], threads: int) -> float:
    """Forward and one re-solve, per element."""
    family, params = case
    batch, problem = len(params["q"].index), family.program
    zero = np.zeros((batch, problem.m))
    direction = np.random.default_rng(1).standard_normal((batch, problem.n))
    start = time.perf_counter()
    params, _ = family.check(params, 2.0**-52)
    answer = engine.solve(problem, params, keep=True, threads=threads)
    rows, step = np.arange(batch), np.full(batch, 0.05)
    tilt = Tilt(rows, step, direction, zero, np.zeros(batch), answer.solution.x)
    answer.workspace.resolve(tilt)
    return (time.perf_counter() - start) / batch


def compare(name: str, first: Callable[[], float], second: Callable[[], float]) -> None:
    """Print the least times of two contestants that take turns, and their ratio."""
    times = np.array([[first(), second()] for _ in range(ROUNDS)]).min(axis=0) * 1e3
    print(f"{name:34s} {times[0]:9.3f} ms {times[1]:9.3f} ms   ratio {times[0] / times[1]:7.2f}")


def lp() -> None:
    """DAQP over HiGHS: above 1, HiGHS is the faster one."""
    print("LP (variables x rows), daqp, highs")
    rng = np.random.default_rng(0)
    cases = {f"assignment {k * k} x {2 * k}": assignment(k, 8, rng) for k in (7, 9, 10, 12, 15, 20)}
    for n in (50, 100, 150, 200, 300):
        cases[f"packed {n} x {n // 2}"] = packed(n, n // 2, 8, rng)
        cases[f"packed {n} x {2 * n}"] = packed(n, 2 * n, 8, rng)
    for name, case in cases.items():
        compare(
            name,
            lambda case=case: seconds(DaqpEngine(), case, 1),
            lambda case=case: seconds(HighsEngine(), case, 1),
        )


def conic() -> None:
    """DAQP on dense matrices over Moreau on patterns: above 1, Moreau is the faster one."""
    print("cone programs with linear rows, daqp, moreau")
    rng = np.random.default_rng(0)
    cases = {f"full {n} x {n}": full(n, max(4, 800 // n), rng) for n in (20, 50, 100, 200)}
    for n, k in ((5, 10), (20, 30), (30, 50), (50, 100), (100, 100)):
        cases[f"lasso {2 * n + k} x {2 * n + k}"] = residuals(n, k, 16, rng)
    for steps in (5, 10, 20, 40, 80):
        cases[f"control {6 * steps} x {8 * steps}"] = control(steps, 16, rng)
    for name, case in cases.items():
        flat = Polyhedral(case[0]), case[1]
        compare(
            name,
            lambda flat=flat: seconds(DaqpEngine(), flat, 2),
            lambda case=case: seconds(MoreauEngine(), case, 2),
        )


def threads() -> None:
    """One thread over all: above 1, threads pay."""
    from lpgd.engines.daqp import engine as _daqp
    from lpgd.engines.highs import engine as _highs

    _daqp.PAYS = _highs.PAYS = 0  # or small elements would not be spread
    print(f"(variables x rows), 1 thread, {processors()} threads")
    rng = np.random.default_rng(0)
    contests = [(f"daqp QP {n} x {n}", DaqpEngine(), strictly_convex(n, n, 32, rng))
                for n in (20, 50, 100, 150, 200)]  # fmt: skip
    contests += [(f"daqp LP {n} x {n}", DaqpEngine(), packed(n, n, 32, rng)) for n in (20, 50, 100)]
    contests += [
        (f"highs LP {n} x {n}", HighsEngine(), packed(n, n, 32, rng)) for n in (20, 50, 100)
    ]
    for name, engine, case in contests:
        compare(
            name,
            lambda engine=engine, case=case: seconds(engine, case, 1),
            lambda engine=engine, case=case: seconds(engine, case, processors()),
        )


def main() -> None:
    """Run the named measurements, or all."""
    known = {"lp": lp, "conic": conic, "threads": threads}
    for name in sys.argv[1:] or known:
        known[name]()


if __name__ == "__main__":
    main()
