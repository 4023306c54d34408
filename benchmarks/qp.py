"""Quadratic programs: this library against a plain daqp loop and other differentiable layers.

    python benchmarks/qp.py [--size 64x50x50] [--only ours daqp] [--slow]

Loss ½‖x‖² summed, m inequality rows, G, q ~ N(0, 1), h ~ U(0.5, 1.5), P = HHᵀ/n + 0.1·I shared,
the rest batched unless "shared". q, G and h are differentiated, P is a constant for everybody.
"""

from __future__ import annotations

from functools import partial as make

from _harness import Row, Table, mark_slow, measure, median_ratio, parse_options
from _problems import Instance, quadratic_programs
from _report import BASE, Target, as_records, draw, print_table, print_targets, save_json
from _solver_runner import DaqpLoop, Qpax
from _torch_runner import cvxpylayers, ours, ours_copied, proxsuite

import lpgd

TAU = 1e-2
SIZES = {
    "64x50x50": ((64, 50, 50), False),
    "256x20x20": ((256, 20, 20), False),
    "512x10x10": ((512, 10, 10), False),
    "64x200x200": ((64, 200, 200), False),
    "64x50x50 shared": ((64, 50, 50), True),
}
# as this library sets them, so that the loop does the same work
OUR_TOLERANCES = {"primal_tol": 1e-9}
# SCS at this tolerance is diffcp's fastest configuration that passes the check
SCS = {"solve_method": "SCS", "eps": 1e-8}


SLOW = ("diffcp", "qpax")  # with more than 100 variables


def our_rows(data: Instance) -> list[Row]:
    """This library, and a plain loop over its solver."""
    lower, average = lpgd.LPGD(tau=TAU, side="lower"), lpgd.LPGD(tau=TAU)
    loop = make(DaqpLoop, data)
    learn_P = make(ours, data, lower, learn_P=True)
    return [
        Row("ours (lower)", "lower", make(ours, data, lower)),
        Row("ours (average)", "average", make(ours, data, average)),
        Row("ours (lower, P learned too)", "lower", learn_P),
        Row("ours (default)", "exact", make(ours, data, lpgd.LPGD()), "the derivative, verified"),
        Row("ours (Exact)", "exact", make(ours, data, lpgd.Exact())),
        Row("daqp loop", "solution", make(loop, OUR_TOLERANCES), "our tolerances; forward only"),
        Row("daqp loop (its defaults)", "solution", loop, "forward only"),
    ]


def cvxpylayers_rows(data: Instance) -> list[Row]:
    """Layers built on CVXPY."""
    peer = make(cvxpylayers, data)
    tilted = make(peer, **SCS, derivative_kwargs={"tau": TAU, "rho": 0.0})
    lower, average = make(tilted, mode="lpgd_right"), make(tilted, mode="lpgd")
    return [
        Row("cvxpylayers + Moreau", "exact", make(peer, "MOREAU")),
        Row("cvxpylayers + diffcp (default)", "exact", peer, "SCS and LSQR"),
        Row(
            "cvxpylayers + diffcp (dense)", "exact", make(peer, mode="dense", **SCS), "SCS at 1e-8"
        ),
        Row("cvxpylayers + diffcp (LPGD lower)", "lower", lower, "SCS at 1e-8"),
        Row("cvxpylayers + diffcp (LPGD average)", "average", average, "SCS at 1e-8"),
    ]


def other_rows(data: Instance) -> list[Row]:
    """qpax and proxsuite."""
    explicit = make(Qpax, data, wanted=("q", "h"), solver_tol=1e-10, target_kappa=1e-10)
    implicit = make(Qpax, data, backend="i", solver_tol=1e-8, target_kappa=1e-8)
    constant = "explicit backend, tight; its gradient of G is wrong, so G is a constant here"
    return [
        Row("qpax (default)", "exact", make(Qpax, data), "explicit backend, its tolerances"),
        Row("qpax (q and h only)", "exact", explicit, constant),
        Row("qpax (implicit)", "exact", implicit, "tight"),
        Row("proxsuite", "exact", make(proxsuite, data), "also computes the gradient of P"),
    ]


def rows_for(data: Instance) -> list[Row]:
    """Every contestant, bound to one instance."""
    rows = our_rows(data)
    if data.G.ndim == 2:
        lower = lpgd.LPGD(tau=TAU, side="lower")
        copied = make(ours_copied, data, lower)
        rows.insert(1, Row("ours (lower, G batched)", "lower", copied, "the same G, copied"))
    rows += cvxpylayers_rows(data) + other_rows(data)
    return mark_slow(rows, SLOW) if data.sizes[1] > 100 else rows


def within(table: Table, name: str) -> float:
    """Backward over forward of one row."""
    return median_ratio(table[name], table[name], "backward", "forward")


def targets_50(table: Table) -> list[Target]:
    """What is promised at 64 x 50 x 50, everything batched but P."""
    loop = median_ratio(table[BASE], table["daqp loop"], "forward")
    targets = [Target("64x50x50 forward / daqp loop", loop, 1.5)]
    # backward against its own forward, and against 1.5 loops, the slowest forward allowed
    for side, name, limit in (("lower", BASE, 0.3), ("average", "ours (average)", 0.45)):
        label = f"64x50x50 backward ({side})"
        targets.append(Target(f"{label} / forward", within(table, name), limit))
        ratio = median_ratio(table[name], table["daqp loop"], "backward", "forward")
        targets.append(Target(f"{label} / daqp loop", ratio, 1.5 * limit))
    peers = {
        "cvxpylayers + Moreau": 4,
        "cvxpylayers + diffcp (dense)": 25,
        "cvxpylayers + diffcp (LPGD lower)": 25,
        "qpax (q and h only)": 1.5,
        "qpax (implicit)": 1.5,
    }
    for name, limit in peers.items():
        ratio = median_ratio(table[name], table[BASE], "both")
        targets.append(Target(f"64x50x50 {name} / ours", ratio, limit, at_least=True))
    return targets


def targets_for(tables: dict[str, Table]) -> list[Target]:
    """The figures this library promises, for the sizes that were run."""
    targets = []
    if found := tables.get("64x50x50"):
        targets += targets_50(found)
    if found := tables.get("64x200x200"):
        loop = median_ratio(found[BASE], found["daqp loop"], "forward")
        targets.append(Target("64x200x200 forward / daqp loop", loop, 1.1))
        targets.append(Target("64x200x200 backward (lower) / forward", within(found, BASE), 0.2))
    if shared := tables.get("64x50x50 shared"):
        targets.append(Target("shared: backward (lower) / forward", within(shared, BASE), 0.6))
        ratio = median_ratio(shared["ours (lower, G batched)"], shared[BASE], "forward")
        targets.append(Target("shared: forward, batched / shared", ratio, 2, at_least=True))
    return targets


def main() -> None:
    """Run the chosen sizes; print, save and draw."""
    options = parse_options("Quadratic programs.")
    parts, tables = {}, {}
    for name, (sizes, shared) in SIZES.items():
        if options.size and name not in options.size:
            continue
        data, references = quadratic_programs(name, sizes, TAU, options.seed, shared=shared)
        tables[name] = measure(rows_for(data), references, options)
        print_table(f"QP {name} (batch x variables x rows)", tables[name])
        parts[name] = as_records(tables[name])
    targets = targets_for(tables)
    print_targets(targets)
    save_json(options.out / "qp.json", {"tau": TAU, "instances": parts}, targets)
    draw(options.out / "qp.png", "QP layers, batch x variables x rows", tables)


if __name__ == "__main__":
    main()
