"""One training step of the Sudoku experiment: this library against cvxpylayers with diffcp's LPGD.

    python benchmarks/sudoku_step.py

Batch 150, lower side, tau 1e4, rho 0.1; at the start of training and at its end (A close to the
true rules). x and gradients are compared on costs with added noise, where they are unique; on the
costs that are timed, the optimal values and Ax = b are.
"""

from __future__ import annotations

import functools

import numpy as np
from _harness import Row, measure, median_ratio, parse_options
from _report import BASE, Target, as_records, draw, print_table, print_targets, save_json
from _sudoku import State, cvxpylayers, first_state, generic, late_state, ours, reference

import lpgd

BATCH, TAU, RHO = 150, 1e4, 0.1
STATES = {"start": first_state, "end": late_state}


def rows_for(timed: State, checked: State) -> list[Row]:
    """Ours and diffcp with two solvers."""
    make = functools.partial
    rule = lpgd.LPGD(tau=TAU, rho=RHO, side="lower")
    peer = make(cvxpylayers, timed, checked, TAU, RHO)
    return [
        Row("ours (lower)", "lower", make(ours, timed, checked, rule)),
        Row(
            "cvxpylayers + diffcp (Clarabel)",
            "lower",
            make(peer, solve_method="Clarabel"),
            "its default tolerances",
        ),
        Row(
            "cvxpylayers + diffcp (SCS)",
            "lower",
            make(peer, solve_method="SCS", eps=1e-7),
            "tolerance 1e-7",
        ),
    ]


def main() -> None:
    """Check and time both states; print, save and draw."""
    options = parse_options("One Sudoku training step.", rounds=10)
    parts, groups, targets = {}, {}, []
    for name, make_state in STATES.items():
        rng = np.random.default_rng(options.seed)
        timed = make_state(BATCH, rng)
        checked = generic(timed, rng)
        wanted = {"lower": reference(timed, checked, TAU, RHO)}
        table = measure(rows_for(timed, checked), wanted, options)
        print_table(f"Sudoku training step, batch {BATCH}, at the {name} of training", table)
        ratios = [
            median_ratio(r, table[BASE], "both") for r in table.values() if r is not table[BASE]
        ]
        fastest = min((r for r in ratios if not np.isnan(r)), default=float("nan"))
        targets.append(
            Target(f"{name}: fastest of Clarabel and SCS / ours", fastest, 4, at_least=True)
        )
        parts[name] = as_records(table)
        groups[f"{name} of training"] = table
    print_targets(targets)
    save_json(options.out / "sudoku_step.json", {"tau": TAU, "rho": RHO, "states": parts}, targets)
    draw(options.out / "sudoku_step.png", "One Sudoku training step, batch 150", groups)


if __name__ == "__main__":
    main()
