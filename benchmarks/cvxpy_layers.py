"""Layers on CVXPY problems: this library against cvxpylayers with diffcp and with Moreau.

    python benchmarks/cvxpy_layers.py [--size "QP 64x50x50"] [--only ours Moreau] [--slow]

Loss ½‖x‖² summed. All parameters are batched and differentiated, except in "q, b only", where the
rows are a constant of the problem. The quadratic form of a QP is a constant for everybody.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial as make
from typing import Any

import numpy as np
from _cones import ConeRunner, cone_programs, entropy, second_order, semidefinite
from _harness import Row, Table, measure, median_ratio, parse_options
from _problems import linear_programs, quadratic_programs
from _report import BASE, Target, as_records, draw, print_table, print_targets, save_json
from _torch_runner import on_cvxpy, our_layer, peer_layer

import lpgd

TAU = 1e-2
BATCH = 64
MOREAU, ALONE = "cvxpylayers + Moreau", "Moreau alone"
QP, QB, LP = "QP 64x50x50", "QP 64x50x50, q and b only", "LP 64x30x60"
CONES = {
    "SOCP n=10": make(second_order, 10),
    "SOCP n=30": make(second_order, 30),
    "SOCP n=60": make(second_order, 60),
    "exp n=10": make(entropy, 10),
    "exp n=30": make(entropy, 30),
    "exp n=60": make(entropy, 60),
    "SDP 4x4": make(semidefinite, 4),
    "SDP 8x8": make(semidefinite, 8),
    "SDP 12x12": make(semidefinite, 12),
}
POLYHEDRAL = {
    "QP 64x20x20": (quadratic_programs, (BATCH, 20, 20), True),
    QP: (quadratic_programs, (BATCH, 50, 50), True),
    QB: (quadratic_programs, (BATCH, 50, 50), False),
    LP: (linear_programs, (BATCH, 30, 60), True),
}
NAMED = ("SOCP n=30", "exp n=30", "SDP 8x8")
# diffcp's solvers, tightened until the check is passed
SCS = {"solve_method": "SCS", "eps": 1e-8, "mode": "dense"}
CLARABEL = {"solve_method": "CLARABEL", "mode": "dense"}


def rows_for(runner: Callable[[Any], Any], tau: float) -> list[Row]:
    """Every contestant; ``runner(make)`` binds a way to make a layer to one instance."""
    lower, average = lpgd.LPGD(tau=tau, side="lower"), lpgd.LPGD(tau=tau)

    def row(name: str, quantity: str, how: Callable, note: str = "", **options: Any) -> Row:
        return Row(name, quantity, lambda: runner(how(**options)), note)

    return [
        row(BASE, "lower", our_layer, rule=lower),
        row("ours (average)", "average", our_layer, rule=average),
        row("ours (Exact)", "exact", our_layer, rule=lpgd.Exact()),
        row("ours (default)", "exact", our_layer, "LPGD with tau='auto'"),
        row(MOREAU, "exact", peer_layer, interface="MOREAU"),
        row("cvxpylayers + diffcp (default)", "exact", peer_layer, "SCS and LSQR"),
        row("cvxpylayers + diffcp (SCS)", "exact", peer_layer, "1e-8, dense", **SCS),
        row("cvxpylayers + diffcp (Clarabel)", "exact", peer_layer, "dense", **CLARABEL),
    ]


def share_of_canonicalization(runner: Any, steps: int = 15) -> float:
    """Share of a step spent between parameters and the engine's data, and back; median over steps.

    Checks of values and the change of form into a QP or LP are counted too. Measured apart from
    the timings: the maps are wrapped in a clock.
    """
    from lpgd.families.cvxpy import affine
    from lpgd.families.cvxpy import model as cvxpy_model

    clock = {"seconds": 0.0, "depth": 0}

    def timed(function: Callable) -> Callable:
        def call(*args: Any, **kwargs: Any) -> Any:
            clock["depth"] += 1
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                clock["depth"] -= 1
                if not clock["depth"]:
                    clock["seconds"] += time.perf_counter() - start

        return call

    places = [
        (cvxpy_model.CvxpyModel, "data"),
        (affine.Linear, "__call__"),
        (affine.Linear, "pull"),
    ]
    kept = [(owner, name, getattr(owner, name)) for owner, name in places]
    shares = []
    try:
        for owner, name, function in kept:
            setattr(owner, name, timed(function))
        for _ in range(steps):
            clock["seconds"], start = 0.0, time.perf_counter()
            runner.forward()
            runner.backward()
            shares.append(clock["seconds"] / (time.perf_counter() - start))
    finally:
        for owner, name, function in kept:
            setattr(owner, name, function)
    return float(np.median(shares))


def times_faster(table: Table, *names: str) -> float:
    """How often forward + backward of ours fits into that of the fastest of the valid rows."""
    ratios = [median_ratio(table[name], table[BASE], "both") for name in names]
    return min((r for r in ratios if not math.isnan(r)), default=math.nan)


def targets_for(tables: dict[str, Table], shares: dict[str, float]) -> list[Target]:
    """What this library promises, for the instances that were run."""
    diffcp = [f"cvxpylayers + diffcp ({kind})" for kind in ("default", "SCS", "Clarabel")]
    targets = []
    for name, moreau, scs in ((QP, 2.5, 15), (QB, 5, 30)):
        if name in tables:
            for peer, names, limit in (("Moreau", [MOREAU], moreau), ("diffcp", diffcp, scs)):
                ratio = times_faster(tables[name], *names)
                targets.append(Target(f"{name}: {peer} / ours", ratio, limit, at_least=True))
    for name in NAMED:
        if name not in tables:
            continue
        table, least = tables[name], 1 / 1.1 if name.startswith("exp") else 1.0
        within = median_ratio(table[BASE], table[BASE], "backward", "forward")
        moreau = ALONE if name.startswith("SDP") else MOREAU  # see benchmarks/README.md
        targets += [
            Target(f"{name}: {moreau} / ours", times_faster(table, moreau), least, at_least=True),
            Target(f"{name}: diffcp / ours", times_faster(table, *diffcp), 4, at_least=True),
            Target(f"{name}: backward / forward", within, 0.95),
        ]
    if QP in shares:
        targets.append(Target(f"{QP}: share of canonicalization", shares[QP], 0.2))
    return targets


def alone(data: Any) -> Any:
    """Moreau's own layer; imported here, so that it may be missing."""
    from _moreau_alone import MoreauAlone

    return MoreauAlone(data)


def instances(options: Any):
    """Name, rows, references of each chosen instance."""
    for name, (programs, sizes, learn_rows) in POLYHEDRAL.items():
        if options.size and name not in options.size:
            continue
        if programs is linear_programs:
            data, references, tau = programs(name, sizes, options.seed, shared=False)
        else:
            data, references = programs(name, sizes, TAU, options.seed, shared=not learn_rows)
            tau = TAU
        rows = rows_for(make(on_cvxpy, data, learn_rows=learn_rows), tau)
        if programs is linear_programs:  # at a vertex the default rule takes steps on purpose
            rows = [row for row in rows if row.name != "ours (default)"]
        yield name, rows, references
    for name, family in CONES.items():
        if options.size and name not in options.size:
            continue
        if not options.size and name not in NAMED and not options.slow:
            continue
        data = cone_programs(family(), BATCH, TAU, options.seed)
        rows = rows_for(make(ConeRunner, data), TAU)
        rows.append(Row(ALONE, "exact", make(alone, data), "no CVXPY in the timed part"))
        yield name, rows, data.references


def main() -> None:
    """Run the chosen instances; print, save and draw."""
    options = parse_options("CVXPY layers.")
    parts, tables, shares = {}, {}, {}
    for name, rows, references in instances(options):
        tables[name] = measure(rows, references, options)
        print_table(f"{name} (batch {BATCH})", tables[name])
        if tables[name][BASE].times:
            shares[name] = share_of_canonicalization(rows[0].build())
            print(f"canonicalization and back: {shares[name]:.1%} of {BASE}", flush=True)
        parts[name] = as_records(tables[name])
    targets = targets_for(tables, shares)
    print_targets(targets)
    record = {"tau": TAU, "instances": parts, "canonicalization": shares}
    save_json(options.out / "cvxpy_layers.json", record, targets)
    draw(options.out / "cvxpy_layers.png", f"Layers on CVXPY problems, batch {BATCH}", tables)


if __name__ == "__main__":
    main()
