"""One sparse LP with 5,000 variables in [0, 1], 2,000 rows and 0.2 % non-zeros, through HiGHS.

    python benchmarks/highs.py

One row has a tau below the breakpoint, where the kept linearisation knows the tilted solutions.
For the others tau is the largest power of ten at which raw highspy, started from the forward basis,
needs under a tenth of the forward simplex iterations on both sides. Then this library's layer is
timed against the same work in raw highspy, and its peak memory is set against a dense 5,000 x 2,000
array.
"""

from __future__ import annotations

import functools
import os
import resource
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

from _harness import Row, measure, median_ratio, parse_options
from _report import BASE, Target, as_records, draw, print_table, print_targets, save_json
from _sparse_lp import Ours, RawHighs, SparseLP

import lpgd

VARIABLES, ROWS, DENSITY = 5_000, 2_000, 0.002
DENSE_MB = VARIABLES * ROWS * 8 / 1e6
WITHIN = 1e-6  # a tau below the breakpoint


def choose_tau(data: SparseLP) -> tuple[float, dict[str, int]]:
    """Count iterations in raw highspy; every tau starts from the forward basis."""
    raw = RawHighs(data, 0.0)
    raw.forward()
    count = {"forward": raw.iterations()}
    basis = raw.solver.getBasis()
    for tau in (1.0, 0.1, 0.01, 1e-3, 1e-4):
        for side, t in (("lower", tau), ("upper", -tau)):
            raw.solver.setBasis(basis)
            raw.tilted(t)
            count[side] = raw.iterations()
        if max(count["lower"], count["upper"]) < count["forward"] / 10:
            return tau, count
    raise RuntimeError("no tau leaves the re-solve under a tenth of the iterations")


def references(data: SparseLP, tau: float) -> dict[str, dict]:
    """Both rules from raw highspy, each tilted problem solved by a solver of its own."""
    forward, plus, minus = (RawHighs(data, tau) for _ in range(3))
    for raw in (forward, plus, minus):
        raw.forward()
    base, high, low = (forward.x, forward.z), plus.tilted(tau), minus.tilted(-tau)
    return {
        "lower": {"x": forward.x, **forward.difference(high, base, tau)},
        "average": {"x": forward.x, **forward.difference(high, low, 2 * tau)},
        "within": {"x": forward.x, **forward.difference(plus.tilted(WITHIN), base, WITHIN)},
    }


def peak_growth(step: Callable[[], None]) -> float:
    """Growth of the resident memory's peak over a step, in MB; solver and torch included."""
    reset, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    if reset.exists() and os.access(reset, os.W_OK):
        reset.write_text("5")  # Linux: forget the peak that imports left behind

        def peak() -> float:
            line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
            return float(line.split()[1]) / 1e3
    else:

        def peak() -> float:
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3

    before = peak()
    step()
    return peak() - before


def memory(data: SparseLP, tau: float) -> dict[str, float]:
    """Peak memory of one forward and backward pass, in MB."""
    small = Ours(SparseLP.draw(50, 20, 0.1, 0), lpgd.LPGD(tau=tau, side="lower"))
    small.forward()  # loads the libraries, which is not what is measured
    small.backward()
    large = Ours(data, lpgd.LPGD(tau=tau, side="lower"))

    def step() -> None:
        large.forward()
        large.backward()

    growth = peak_growth(step)
    tracemalloc.start()
    step()
    traced = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return {"resident": growth, "numpy": traced, "dense array": DENSE_MB}


def tilted_solves(data: SparseLP) -> int:
    """How many a backward pass below the breakpoint makes."""
    ours = Ours(data, lpgd.LPGD(tau=WITHIN, side="lower"))
    ours.forward()
    ours.backward()
    return ours.layer.stats.re_solves


def main() -> None:
    """Choose tau, measure memory and time; print, save and draw."""
    # no vertex moves below its breakpoint, which is what that row measures
    warnings.simplefilter("ignore", lpgd.StuckWarning)
    options = parse_options("One large sparse LP through HiGHS.", rounds=10)
    data = SparseLP.draw(VARIABLES, ROWS, DENSITY, options.seed)
    tau, count = choose_tau(data)
    used = memory(data, tau)
    make = functools.partial
    lower, average = lpgd.LPGD(tau=tau, side="lower"), lpgd.LPGD(tau=tau)
    within = lpgd.LPGD(tau=WITHIN, side="lower")
    rows = [
        Row("ours (lower)", "lower", make(Ours, data, lower)),
        Row("ours (average)", "average", make(Ours, data, average)),
        Row(
            "ours (within)",
            "within",
            make(Ours, data, within),
            f"tau = {WITHIN:g}, no tilted solve",
        ),
        Row("raw highspy (lower)", "lower", make(RawHighs, data, tau), "same solves, no layer"),
    ]
    table = measure(rows, references(data, tau), options)
    print_table(
        f"sparse LP, {VARIABLES} variables, {ROWS} rows, {data.G.nnz} non-zeros, tau = {tau:g}",
        table,
    )
    print(f"\nsimplex iterations in raw highspy: {count}")
    print("peak memory, MB: " + ", ".join(f"{k} {v:.1f}" for k, v in used.items()))
    targets = [
        Target(
            "backward (lower) / forward",
            median_ratio(table[BASE], table[BASE], "backward", "forward"),
            0.35,
        ),
        Target(
            "backward (within) / forward",
            median_ratio(table["ours (within)"], table["ours (within)"], "backward", "forward"),
            0.06,
        ),
        Target("tilted solves (within)", tilted_solves(data), 0),
        Target(
            "tilted / forward iterations",
            max(count["lower"], count["upper"]) / count["forward"],
            0.1,
        ),
        Target("resident growth / dense array", used["resident"] / DENSE_MB, 1.0),
        Target("numpy peak / dense array", used["numpy"] / DENSE_MB, 1.0),
    ]
    print_targets(targets)
    parts = {"tau": tau, "iterations": count, "peak memory in MB": used, "rows": as_records(table)}
    save_json(options.out / "highs.json", parts, targets)
    draw(options.out / "highs.png", "One sparse LP through HiGHS", {f"tau = {tau:g}": table})


if __name__ == "__main__":
    main()
