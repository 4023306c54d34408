"""What `lpgd compare sudoku` leaves behind: a table, results.json, results.csv, compare.png."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from lpgd.experiments.plotting import INK, PALETTE, new_figure, save
from lpgd.experiments.runs import write_bytes, write_json
from lpgd.experiments.sudoku.compare import Final
from lpgd.experiments.sudoku.contest import GOAL, Outcome
from lpgd.experiments.sudoku.methods import Method

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEADING = ["method", "side", "tau", "rho", "lr", "seed", "epochs_to_goal", "seconds_to_goal"]
_HEADING += ["epochs_trained", "seconds_trained", "wrong_percent_at_end", "mse_at_end", "failures"]


def write_results(finals: list[Final], out: Path) -> None:
    """Write the results of all methods as JSON, CSV and a figure."""
    write_json(out / "results.json", [_summary(final) for final in finals])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADING)
    for final in finals:
        writer.writerows(_csv_row(final, outcome) for outcome in final.outcomes)
    write_bytes(out / "results.csv", text.getvalue().encode())
    draw_comparison(finals, out / "compare.png")


def results_table(finals: list[Final]) -> Table:
    """Return the medians over seeds with their range; it fits 80 columns."""
    title = f"Effort to at most {GOAL:g} % wrong boards: median over seeds (least to most)"
    table = Table(title=title, box=SIMPLE_HEAD)
    for name in ("method", "tau", "lr"):
        table.add_column(name, no_wrap=True)
    for name in ("epochs", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for final in finals:
        tau = "-" if final.chosen.rule == "exact" else f"{final.chosen.tau:g}"
        table.add_row(
            final.method.label,
            tau,
            f"{final.chosen.lr:g}",
            _spread(final, "epoch", digits=2),
            _spread(final, "seconds", digits=1),
        )
    return table


def draw_comparison(finals: list[Final], path: Path) -> None:
    """Draw wrong boards against epochs and seconds: median over seeds, and their range."""
    figure, axes = new_figure(1, 2, (10.5, 4.4))
    for axis, name, label in zip(
        axes, ("epoch", "seconds"), ("epochs", "seconds of training"), strict=True
    ):
        for final, color in zip(finals, PALETTE, strict=False):
            _draw_method(axis, final, name, color)
        axis.axhline(GOAL, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
        axis.text(0.99, GOAL * 1.06, "goal", transform=axis.get_yaxis_transform(), ha="right")
        # Linear below the goal, so that zero has a place.
        axis.set_yscale("symlog", linthresh=GOAL, linscale=0.4)
        axis.set_yticks([0, 1, 10, 100], ["0", "1", "10", "100"])
        axis.set(ylim=(-0.05, 115), xlabel=label)
        axis.set_xlim(left=0)
    axes[0].set_ylabel("wrong test boards [%]")
    figure.suptitle(_explain(max(len(final.outcomes) for final in finals)), fontsize=11)
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False
    )
    save(figure, path)


def _draw_method(axis: Axes, final: Final, name: str, color: str) -> None:
    # A run that ended early keeps its last value; the goal had been met for an epoch by then.
    budgets = np.linspace(0, max(getattr(outcome, name)[-1] for outcome in final.outcomes), 400)
    wrong = np.array(
        [np.interp(budgets, getattr(outcome, name), outcome.wrong) for outcome in final.outcomes]
    )
    axis.fill_between(budgets, wrong.min(0), wrong.max(0), color=color, alpha=0.14, linewidth=0)
    axis.plot(budgets, np.median(wrong, axis=0), color=color, label=_label(final.method))


def _label(method: Method) -> str:
    """Add a tau that is fixed to the name; that of the other methods is tuned."""
    fixed = method.rule == "lpgd" and len(method.taus) == 1
    return method.label + (f" ({method.taus[0]:.0e})".replace("e-0", "e-") if fixed else "")


def _explain(seeds: int) -> str:
    if seeds == 1:
        return "Wrong boards while training; one run per method"
    number = {2: "two", 3: "three", 4: "four", 5: "five"}.get(seeds, str(seeds))
    return f"Wrong boards while training; line: median over {number} seeds, band: their range"


def _spread(final: Final, axis: Literal["epoch", "seconds"], digits: int) -> str:
    """Write median and range; a run that never met the goal counts as longer than any other."""
    values = [
        outcome.epochs_to_goal() if axis == "epoch" else outcome.seconds_to_goal()
        for outcome in final.outcomes
    ]
    reached = sorted(value for value in values if value is not None)
    endless = f"> {max(getattr(outcome, axis)[-1] for outcome in final.outcomes):.0f}"
    if not reached:
        return endless
    middle = _median(values)
    median = endless if np.isinf(middle) else f"{middle:.{digits}f}"
    most = endless if len(reached) < len(values) else f"{reached[-1]:.{digits}f}"
    return f"{median} ({reached[0]:.{digits}f} to {most})"


def _median(values: list[float | None]) -> float:
    numbers = sorted(float("inf") if value is None else value for value in values)
    middle = len(numbers) // 2
    return numbers[middle] if len(numbers) % 2 else (numbers[middle - 1] + numbers[middle]) / 2


def _summary(final: Final) -> dict[str, Any]:
    epochs = [outcome.epochs_to_goal() for outcome in final.outcomes]
    seconds = [outcome.seconds_to_goal() for outcome in final.outcomes]
    return {
        "method": final.method.name,
        "label": final.method.label,
        "goal_wrong_percent": GOAL,
        "median_epochs_to_goal": _finite(_median(epochs)),
        "median_seconds_to_goal": _finite(_median(seconds)),
        "epochs_to_goal": epochs,
        "seconds_to_goal": seconds,
        "runs": [outcome.to_json() for outcome in final.outcomes],
    }


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _csv_row(final: Final, outcome: Outcome) -> list[object]:
    config = outcome.config
    lpgd = config.rule == "lpgd"
    return [
        final.method.name,
        config.side if lpgd else "",
        config.tau if lpgd else "",
        config.rho,
        config.lr,
        config.seed,
        outcome.epochs_to_goal(),
        outcome.seconds_to_goal(),
        outcome.epoch[-1],
        outcome.seconds[-1],
        outcome.wrong[-1],
        outcome.mse[-1],
        outcome.failures,
    ]
