"""What `lpgd compare sudoku` leaves behind: a table, results.json, results.csv, compare.png."""

from pathlib import Path
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table

from lpgd.experiments.comparison import Final
from lpgd.experiments.contest import Outcome
from lpgd.experiments.methods import Method, show_tau
from lpgd.experiments.plotting import INK, PALETTE, draw_band, new_figure, save
from lpgd.experiments.runs import write_json
from lpgd.experiments.sudoku.task import GOAL
from lpgd.experiments.summaries import in_words, median_or_none, spread, write_csv

_HEADING = ["method", "side", "tau", "rho", "lr", "seed", "epochs_to_goal", "seconds_to_goal"]
_HEADING += ["epochs_trained", "seconds_trained", "wrong_percent_at_end", "mse_at_end", "failures"]


def write_results(finals: list[Final], out: Path) -> None:
    """Write the results of all methods as JSON, CSV and a figure."""
    write_json(out / "results.json", [_summary(final) for final in finals])
    rows = [_csv_row(final, outcome) for final in finals for outcome in final.outcomes]
    write_csv(out / "results.csv", _HEADING, rows)
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
        table.add_row(
            final.method.label,
            "-" if final.chosen.rule == "exact" else show_tau(final.chosen.tau),
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
            # A run that ended early keeps its last value; the goal had been met for an epoch then.
            curves = [(getattr(o, name), o.curves["wrong"]) for o in final.outcomes]
            draw_band(axis, curves, color, _label(final.method))
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


def _label(method: Method) -> str:
    """Add a tau that is fixed to the name; that of the other methods is tuned."""
    fixed = len(method.taus) == 1
    return method.label + (f" ({method.taus[0]:.0e})".replace("e-0", "e-") if fixed else "")


def _explain(seeds: int) -> str:
    if seeds == 1:
        return "Wrong boards while training; one run per method"
    return (
        f"Wrong boards while training; line: median over {in_words(seeds)} seeds, band: their range"
    )


def _efforts(final: Final, axis: Literal["epoch", "seconds"]) -> list[float | None]:
    return [outcome.when(axis, "wrong", GOAL) for outcome in final.outcomes]


def _spread(final: Final, axis: Literal["epoch", "seconds"], digits: int) -> str:
    spent = max(getattr(outcome, axis)[-1] for outcome in final.outcomes)
    return spread(_efforts(final, axis), spent, digits)


def _summary(final: Final) -> dict[str, Any]:
    epochs, seconds = _efforts(final, "epoch"), _efforts(final, "seconds")
    return {
        "method": final.method.name,
        "label": final.method.label,
        "goal_wrong_percent": GOAL,
        "median_epochs_to_goal": median_or_none(epochs),
        "median_seconds_to_goal": median_or_none(seconds),
        "epochs_to_goal": epochs,
        "seconds_to_goal": seconds,
        "runs": [outcome.to_json() for outcome in final.outcomes],
    }


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
        outcome.when("epoch", "wrong", GOAL),
        outcome.when("seconds", "wrong", GOAL),
        outcome.epoch[-1],
        outcome.seconds[-1],
        outcome.curves["wrong"][-1],
        outcome.curves["mse"][-1],
        outcome.failures,
    ]
