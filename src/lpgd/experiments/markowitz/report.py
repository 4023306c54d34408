"""What `lpgd compare markowitz` leaves behind: tables, results.json, results.csv, compare.png."""

from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from lpgd.experiments.comparison import Final
from lpgd.experiments.contest import Outcome
from lpgd.experiments.markowitz.compare import (
    Axis,
    efforts,
    goals,
    last_loss,
    median_last_loss,
    start_loss,
    tau_of,
)
from lpgd.experiments.markowitz.comparison_figure import draw_comparison
from lpgd.experiments.markowitz.methods import AUTO, EXACT
from lpgd.experiments.markowitz.task import least_loss
from lpgd.experiments.runs import write_json
from lpgd.experiments.summaries import median, median_or_none, spread, write_csv

TRADERS = ("policy", "start", "expert")
_ECONOMICS = ("annual_return", "volatility", "monthly_turnover")
_HEADING = ["method", "side", "tau", "rho", "lr", "seed", "start_loss", "goal", "epochs_to_goal"]
_HEADING += ["seconds_to_goal", "least_loss", "last_loss", "test_loss", "seconds", "failures"]
_HEADING += [f"policy_{name}" for name in _ECONOMICS]


def write_results(finals: list[Final], out: Path) -> None:
    """Write the results of all methods as JSON, CSV and a figure."""
    reach = goals(finals)
    write_json(out / "results.json", [_summary(final, reach) for final in finals])
    rows = [_csv_row(final, outcome, reach) for final in finals for outcome in final.outcomes]
    write_csv(out / "results.csv", _HEADING, rows)
    draw_comparison(finals, out / "compare.png")


def results_table(finals: list[Final]) -> Table:
    """Return medians over seeds with their range; it fits 80 columns."""
    reach = goals(finals)
    title = "Effort to a tenth of the way left: median over seeds (least to most)"
    table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("method", no_wrap=True)
    for name in ("tau", "rho", "lr", "epochs", "seconds", "loss"):
        table.add_column(name, justify="right", no_wrap=True)
    for final in finals:
        table.add_row(
            final.method.label,
            tau_of(final),
            f"{final.chosen.rho:g}",
            f"{final.chosen.lr:g}",
            _spread(final, "epoch", reach),
            _spread(final, "seconds", reach),
            f"{median_last_loss(final):.2g}",
        )
    return table


def economics_table(finals: list[Final]) -> Table:
    """Return what trading over the test period came to: medians over seeds."""
    table = Table(title="Test period: return and volatility a year, turnover a month [%]",
                  box=SIMPLE_HEAD)  # fmt: skip
    table.add_column("trader", no_wrap=True)
    for name in ("return", "volatility", "turnover"):
        table.add_column(name, justify="right", no_wrap=True)
    shown = [final for final in finals if final.method in (EXACT, AUTO)]
    rows = [(f"policy, {final.method.label}", final, "policy") for final in shown]
    rows += [("policy before training", finals[0], "start"), ("expert", finals[0], "expert")]
    for label, final, trader in rows:
        accounts = [outcome.result["economics"][trader] for outcome in final.outcomes]
        table.add_row(
            label, *(f"{100 * median([a[name] for a in accounts]):.2f}" for name in _ECONOMICS)
        )
    return table


def auto_verdict(finals: list[Final]) -> str | None:
    """Compare the loss at the end of tau = "auto" with that of the best fixed tau without rho.

    A full loss is another method.
    """
    auto = [final for final in finals if final.method == AUTO]
    plain = [f for f in finals if f.method.taus and not f.method.rho]
    fixed = [f for f in plain if f.method != AUTO and f.method.loss == "linearised"]
    if not auto or not fixed:
        return None
    best = min(fixed, key=median_last_loss)
    return (
        f"Validation loss at the end, median: tau auto {median_last_loss(auto[0]):.3g}, "
        f"best fixed tau {median_last_loss(best):.3g} ({best.method.label}, tau {tau_of(best)})"
    )


def _spread(final: Final, axis: Axis, reach: dict[int, float]) -> str:
    spent = max(getattr(outcome, axis)[-1] for outcome in final.outcomes)
    return spread(efforts(final, axis, reach), spent, digits=1)


def _summary(final: Final, reach: dict[int, float]) -> dict[str, Any]:
    epochs, seconds = efforts(final, "epoch", reach), efforts(final, "seconds", reach)
    return {
        "method": final.method.name,
        "label": final.method.label,
        "goals": [reach[outcome.config.seed] for outcome in final.outcomes],
        "median_epochs_to_goal": median_or_none(epochs),
        "median_seconds_to_goal": median_or_none(seconds),
        "epochs_to_goal": epochs,
        "seconds_to_goal": seconds,
        "runs": [outcome.to_json() for outcome in final.outcomes],
    }


def _csv_row(final: Final, outcome: Outcome, reach: dict[int, float]) -> list[object]:
    config, goal = outcome.config, reach[outcome.config.seed]
    policy = outcome.result["economics"]["policy"]
    return [
        final.method.name,
        config.side if config.rule == "lpgd" else "",
        config.tau if config.rule == "lpgd" else "",
        config.rho,
        config.lr,
        config.seed,
        start_loss(outcome),
        goal,
        outcome.when("epoch", "validation_loss", goal),
        outcome.when("seconds", "validation_loss", goal),
        least_loss(outcome),
        last_loss(outcome),
        outcome.result["test_loss"],
        outcome.seconds[-1],
        outcome.failures,
        *(policy[name] for name in _ECONOMICS),
    ]
