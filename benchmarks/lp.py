"""Linear programs: this library against plain solver loops and cvxpylayers.

    python benchmarks/lp.py [--size 64x50x100] [--only ours HiGHS] [--slow]

Loss ½‖x‖² summed; G ~ N(0, 1), m inequality rows, costs and right-hand sides such that each LP has
one non-degenerate vertex. tau is half of what would change an optimal basis, so every side of LPGD
and every exact method must give the same gradients of G and h (and zero for the costs).
"""

from __future__ import annotations

from functools import partial as make

from _harness import Row, mark_slow, measure, parse_options
from _problems import Instance, linear_programs
from _report import as_records, draw, print_table, save_json
from _solver_runner import DaqpLoop, HighsCold
from _torch_runner import cvxpylayers, ours

import lpgd

SIZES = {
    "64x50x100": ((64, 50, 100), False),
    "256x20x40": ((256, 20, 40), False),
    "512x10x20": ((512, 10, 20), False),
    "16x200x400": ((16, 200, 400), False),
    "64x50x100 shared": ((64, 50, 100), True),
}
# interior-point and first-order errors are divided by tau, so tight tolerances are needed
CLARABEL = {
    "solve_method": "Clarabel",
    "tol_gap_abs": 1e-11,
    "tol_gap_rel": 1e-11,
    "tol_feas": 1e-11,
}


SLOW = ("diffcp", "HiGHS", "Moreau")  # with more than 100 variables


def rows_for(data: Instance, tau: float) -> list[Row]:
    """Every contestant, bound to one instance."""
    lower, average = lpgd.LPGD(tau=tau, side="lower"), lpgd.LPGD(tau=tau)
    peer, fresh = make(cvxpylayers, data), "also the tilted problem from scratch"
    dense = make(peer, mode="dense", **CLARABEL)
    tilted = make(peer, **CLARABEL, derivative_kwargs={"tau": tau, "rho": 0.0})
    one_side, both_sides = make(tilted, mode="lpgd_right"), make(tilted, mode="lpgd")
    rows = [
        Row("ours (lower)", "lower", make(ours, data, lower)),
        Row("ours (average)", "average", make(ours, data, average)),
        Row("ours (lower, daqp)", "lower", make(ours, data, lower, engine="daqp")),
        Row("ours (lower, HiGHS)", "lower", make(ours, data, lower, engine="highs")),
        Row("ours (Exact)", "exact", make(ours, data, lpgd.Exact())),
        Row("daqp loop", "solution", make(DaqpLoop, data), "its default tolerances; forward only"),
        Row("HiGHS cold (lower)", "lower", make(HighsCold, data, tau), fresh),
        Row("cvxpylayers + Moreau", "exact", make(peer, "MOREAU")),
        Row("cvxpylayers + diffcp (default)", "exact", peer, "SCS and LSQR"),
        Row("cvxpylayers + diffcp (dense)", "exact", dense, "Clarabel at 1e-11"),
        Row("cvxpylayers + diffcp (LPGD lower)", "lower", one_side, "Clarabel at 1e-11"),
        Row("cvxpylayers + diffcp (LPGD average)", "average", both_sides, "Clarabel at 1e-11"),
    ]
    return mark_slow(rows, SLOW) if data.sizes[1] > 100 else rows


def main() -> None:
    """Run the chosen sizes; print, save and draw."""
    options = parse_options("Linear programs.")
    parts, tables = {}, {}
    for name, (sizes, shared) in SIZES.items():
        if options.size and name not in options.size:
            continue
        data, references, tau = linear_programs(name, sizes, options.seed, shared=shared)
        tables[name] = measure(rows_for(data, tau), references, options)
        print_table(f"LP {name} (batch x variables x rows), tau = {tau:.2g}", tables[name])
        parts[name] = {"tau": tau, "rows": as_records(tables[name])}
    save_json(options.out / "lp.json", {"instances": parts}, [])
    draw(options.out / "lp.png", "LP layers, batch x variables x rows", tables)


if __name__ == "__main__":
    main()
