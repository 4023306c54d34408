"""Where ``engine="auto"`` changes its mind: DAQP against HiGHS on LPs, and one thread against all.

    python benchmarks/crossover.py [lp | threads]

Times are those of a forward solve that keeps its workspace plus one tilted re-solve, per element;
the least of several interleaved rounds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

from lpgd import DaqpEngine, HighsEngine
from lpgd.engines.batch import processors
from lpgd.params import Params, batched, shared
from lpgd.problems.qp import QP
from lpgd.tilt import Tilt

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


def seconds(engine: object, case: tuple[QP, Params], threads: int) -> float:
    """Forward and one re-solve, per element."""
    problem, params = case
    batch = len(params["q"].index)
    zero = np.zeros((batch, problem.m))
    direction = np.random.default_rng(1).standard_normal((batch, problem.n))
    start = time.perf_counter()
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


def threads() -> None:
    """One thread over all: above 1, threads pay."""
    from lpgd.engines import _daqp, _highs

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
    """Run the named measurement, or both."""
    chosen = sys.argv[1:] or ["lp", "threads"]
    for name in chosen:
        {"lp": lp, "threads": threads}[name]()


if __name__ == "__main__":
    main()
