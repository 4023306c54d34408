"""A thousand batches with a fault each: they complete as specified and leave nothing behind.

    python benchmarks/faults.py [--batches 1000] [--backend loky|threading] [--seed 0]

A layer of an oracle on two workers, forward and backward. In every batch one element, drawn at
random, has a fault, forward or in the tilted solve: the oracle raises, kills its worker, hangs,
returns a NaN, a row of a wrong shape or a point outside of its set; or the whole oracle ignores
``sense``. All other elements must have the solutions and gradients of a batch without faults, to
the last bit; the one has to fail with the right status, marked or by an exception as the layer was
told. At the end there must be no processes but the workers, none of them a zombie, and no more
memory than after the first tenth. The exit code is 1 otherwise.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import time
import warnings
from collections import Counter
from typing import Any, NamedTuple

import joblib
import numpy as np
import psutil
import torch

import lpgd
from lpgd.core.solution import Status
from lpgd.torch import OracleLayer

SIZE, ITEMS, CHOSEN = 12, 6, 3
LIMIT = 0.25  # seconds for an element
MOST = 12e6  # bytes that may come or go: what an allocator keeps
EXPECTED = {
    "raise": Status.CRASHED,
    "kill": Status.CRASHED,
    "hang": Status.TIME_LIMIT,
    "nan": Status.NUMERICAL,
    "shape": Status.NUMERICAL,
    "outside": Status.NUMERICAL,
    "sense": None,
}
OF_THREADS = ("raise", "nan", "shape", "outside", "sense")
SLOW = {"kill": 0.2, "hang": 0.2}  # relative frequency of what restarts workers
RULE = lpgd.LPGD(tau=2.0)


class Plan(NamedTuple):
    """What an element's oracle does: the fault, and whether to costs unlike ``own`` only."""

    own: np.ndarray
    fault: str | None = None
    tilted: bool = False


class Chooser:
    """The cheapest few entries, but for planned faults."""

    shape = (ITEMS,)

    def __call__(self, costs: np.ndarray, plans: list[Plan]) -> list[Any]:
        """Solutions, an element after the other."""
        return [self.one(cost, plan) for cost, plan in zip(costs, plans, strict=True)]

    def one(self, cost: np.ndarray, plan: Plan) -> Any:
        """A solution, or a fault."""
        x = np.zeros(ITEMS)
        x[np.argsort(cost, kind="stable")[:CHOSEN]] = 1.0
        if plan.fault is None or plan.tilted == np.array_equal(cost, plan.own):
            return x
        if plan.fault == "raise":
            raise KeyError("planned")
        if plan.fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if plan.fault == "hang":
            time.sleep(1000.0)
        return {"nan": x * np.nan, "shape": np.zeros(ITEMS + 1), "outside": 2.0 * x}[plan.fault]

    def feasible(self, points: np.ndarray) -> np.ndarray:
        """Which points are in the set."""
        return (np.isin(points, (0.0, 1.0)).all(axis=1)) & (points.sum(axis=1) == CHOSEN)


def solved(layer: OracleLayer, costs: torch.Tensor, plans: Any, loss: torch.Tensor) -> Any:
    """Solutions, gradients and warnings of a batch."""
    costs = costs.clone().requires_grad_()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        x = layer(costs, instances=plans)
        torch.nan_to_num(x).mul(loss).sum().backward()
    return x.detach(), costs.grad, [w for w in told if w.category.__module__.startswith("lpgd")]


def told(layer: OracleLayer, costs: torch.Tensor, plans: Any, loss: torch.Tensor) -> Any:
    """The exception of a batch, of the forward or the backward pass."""
    try:
        (layer(costs.clone().requires_grad_(), instances=plans) * loss).sum().backward()
    except lpgd.SolverError as error:
        return error
    return None


class Session:
    """Layers that see many batches."""

    def __init__(self, seed: int) -> None:
        self.draw = np.random.default_rng(seed)
        oracle = Chooser()
        self.plain = OracleLayer(oracle, RULE)
        self.marking = OracleLayer(oracle, RULE, on_failure="nan", n_jobs=2, timeout=LIMIT)
        self.raising = OracleLayer(oracle, RULE, n_jobs=2, timeout=LIMIT)

    def batch(self, fault: str) -> None:
        """One batch; AssertionError if it does not go as specified."""
        costs = self.draw.normal(size=(SIZE, ITEMS))
        loss = torch.from_numpy(self.draw.normal(size=(SIZE, ITEMS)))
        given, sound = torch.from_numpy(costs), [Plan(cost) for cost in costs]
        x, gradient, _ = solved(self.plain, given, sound, loss)
        if fault == "sense":
            return self.other_sense(costs, given, loss)
        row, tilted = int(self.draw.integers(SIZE)), bool(self.draw.integers(2))
        plans = [*sound]
        plans[row] = Plan(costs[row], fault, tilted)
        others = np.arange(SIZE) != row
        if self.draw.integers(4) == 0:
            error = told(self.raising, given, plans, loss)
            assert error is not None
            assert error.indices == (row,), error
            assert error.statuses == (EXPECTED[fault],), error
            return None
        got, slope, messages = solved(self.marking, given, plans, loss)
        assert len(messages) == 1, messages
        assert str(row) in str(messages[0].message), messages
        assert torch.equal(got[others], x[others]), "other elements' solutions"
        assert torch.equal(slope[others], gradient[others]), "other elements' gradients"
        assert not slope[row].any(), "a gradient of what failed"
        assert torch.equal(got[row], x[row]) if tilted else got[row].isnan().all(), "its solution"
        return None

    def other_sense(self, costs: np.ndarray, given: torch.Tensor, loss: torch.Tensor) -> None:
        """An oracle that minimises for a layer that says it maximises."""
        layer = OracleLayer(Chooser(), RULE, sense="max", n_jobs=2, timeout=LIMIT)
        *_, messages = solved(layer, given, [Plan(cost) for cost in costs], loss)
        assert layer.stats.contradictions, "nothing noticed"
        assert [m.category for m in messages] == [lpgd.OracleWarning], messages


def order(batches: int, kinds: tuple[str, ...], draw: np.random.Generator) -> list[str]:
    """Faults in random order, each kind by its frequency."""
    weights = np.array([SLOW.get(kind, 1.0) for kind in kinds])
    return [str(kind) for kind in draw.choice(kinds, batches, p=weights / weights.sum())]


def processes() -> list[psutil.Process]:
    """Those that this one has started."""
    return psutil.Process().children(recursive=True)


def main() -> int:
    """Run all batches and look around."""
    parser = argparse.ArgumentParser(description="Batches with faults.")
    parser.add_argument("--batches", type=int, default=1000)
    parser.add_argument("--backend", choices=("loky", "threading"), default="loky")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="joblib")
    kinds = OF_THREADS if options.backend == "threading" else tuple(EXPECTED)
    session, wrong, here = Session(options.seed), 0, psutil.Process()
    counts, memory, began = Counter[str](), [0.0], time.perf_counter()
    with joblib.parallel_config(backend=options.backend):
        for number, fault in enumerate(order(options.batches, kinds, session.draw)):
            try:
                session.batch(fault)
            except AssertionError as error:
                wrong += 1
                print(f"batch {number}, {fault}: {error}", flush=True)
            counts[fault] += 1
            if number in (options.batches // 10, options.batches - 1):
                gc.collect()
                memory.append(float(here.memory_info().rss))
            if number % 100 == 99:
                print(f"{number + 1} batches, {time.perf_counter() - began:.0f} s, "
                      f"{here.memory_info().rss / 1e6:.0f} MB, {len(processes())} processes",
                      flush=True)  # fmt: skip
    return report(counts, wrong, memory[-1] - memory[1])


def report(counts: Counter[str], wrong: int, growth: float) -> int:
    """Look at what is left, print, and return the exit code."""
    from joblib.externals.loky import get_reusable_executor

    left = processes()
    zombies = [p for p in left if p.status() == psutil.STATUS_ZOMBIE]
    get_reusable_executor().shutdown(wait=True, kill_workers=True)
    stray = [p for p in processes() if "resource_tracker" not in " ".join(p.cmdline())]
    print(", ".join(f"{count} {fault}" for fault, count in sorted(counts.items())))
    print(f"{counts.total()} batches, {wrong} not as specified; {len(left)} processes at the end, "
          f"{len(zombies)} zombies, {len(stray)} stray after the workers' end; "
          f"memory {growth / 1e6:+.1f} MB since the first tenth")  # fmt: skip
    return bool(wrong or zombies or stray or growth > MOST)


if __name__ == "__main__":
    sys.exit(main())
