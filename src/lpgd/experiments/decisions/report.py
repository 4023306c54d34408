"""What comparing and tuning leave behind where costs are predicted: tables, JSON, CSV, figures."""

import math
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from lpgd.experiments.comparison import Final, Tuned
from lpgd.experiments.contest import Outcome
from lpgd.experiments.decisions.figures import draw_comparison
from lpgd.experiments.decisions.methods import AUTO, BLACKBOX
from lpgd.experiments.decisions.task import last_regret
from lpgd.experiments.methods import show_tau, sizes
from lpgd.experiments.plotting import PALETTE, new_figure, save, shown
from lpgd.experiments.runs import write_json
from lpgd.experiments.summaries import write_csv

_HEADING = ["method", "side", "tau", "sigma", "lr", "seed", "epochs", "regret", "optimal"]
_HEADING += ["seconds", "solved", "failures"]
_TUNED_HEADING = ["method", "side", "tau", "sigma", "lr", "regret", "chosen"]
_OWN = ("side", "tau", "sigma")


def write_results(finals: list[Final], out: Path, title: str) -> None:
    """Write the results of all methods as JSON, CSV and a figure."""
    write_json(out / "results.json", [_summary(final, finals) for final in finals])
    rows = [_csv_row(final, outcome) for final in finals for outcome in final.outcomes]
    write_csv(out / "results.csv", _HEADING, rows)
    draw_comparison(finals, out / "compare.png", title)


def results_table(finals: list[Final]) -> Table:
    """Return means over seeds with their standard error; it fits 80 columns."""
    title = "Test regret at the end [%]: mean over seeds, and paired with LPGD auto"
    table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name in ("method", "setting", "lr"):
        table.add_column(name, no_wrap=True)
    for name in ("regret", "minus auto", "seconds", "solved"):
        table.add_column(name, justify="right", no_wrap=True)
    for final in finals:
        difference = _minus_auto(final, finals)
        table.add_row(
            final.method.label,
            " ".join(sizes(final.chosen)) or "-",
            f"{final.chosen.lr:g}",
            f"{100 * fmean(map(last_regret, final.outcomes)):.2f}",
            "-" if difference is None else _mean_and_error(difference),
            f"{fmean(outcome.seconds[-1] for outcome in final.outcomes):.1f}",
            f"{fmean(outcome.curves['solved'][-1] or 0 for outcome in final.outcomes):.3g}",
        )
    return table


def auto_verdict(finals: list[Final]) -> str | None:
    """Compare tau = "auto" with the fixed tau and side that did best in tuning."""
    auto, best = _find(finals, AUTO), best_fixed(finals)
    if auto is None or best is None:
        return None
    means = [fmean(map(last_regret, final.outcomes)) for final in (auto, best)]
    ratio = f"{100 * (means[0] / means[1] - 1):+.1f} %" if means[1] > 0 else "-"
    return (
        f"Test regret, mean over seeds: tau auto {100 * means[0]:.2f} %, best fixed tau "
        f"{100 * means[1]:.2f} % ({best.method.label}, tau {show_tau(best.chosen.tau)}): {ratio}"
    )


def best_fixed(finals: list[Final]) -> Final | None:
    """Return the side whose fixed tau had the least regret in tuning; None without any."""
    fixed = [f for f in finals if f.method.taus and f.method.name not in (AUTO, BLACKBOX, "imle")]
    return min(fixed, key=lambda final: final.tuned, default=None)


def _find(finals: list[Final], name: str) -> Final | None:
    return next((final for final in finals if final.method.name == name), None)


def _minus_auto(final: Final, finals: list[Final]) -> list[float] | None:
    """Return the differences of regrets from those of tau = "auto", in per cent, seed by seed."""
    auto = _find(finals, AUTO)
    if auto is None or auto is final:
        return None
    pairs = zip(final.outcomes, auto.outcomes, strict=True)
    return [100 * (last_regret(mine) - last_regret(its)) for mine, its in pairs]


def _mean_and_error(values: list[float]) -> str:
    error = f" ± {stdev(values) / math.sqrt(len(values)):.2f}" if len(values) > 1 else ""
    return f"{fmean(values):+.2f}{error}"


def _summary(final: Final, finals: list[Final]) -> dict[str, Any]:
    return {
        "method": final.method.name,
        "label": final.method.label,
        "regrets": [last_regret(outcome) for outcome in final.outcomes],
        "minus_auto_percent": _minus_auto(final, finals),
        "regret_in_tuning": final.tuned[0],
        "runs": [outcome.to_json() for outcome in final.outcomes],
    }


def _csv_row(final: Final, outcome: Outcome) -> list[object]:
    config = outcome.config
    return [
        final.method.name,
        *_owned(config).values(),
        config.lr,
        config.seed,
        outcome.epoch[-1],
        last_regret(outcome),
        outcome.curves["optimal"][-1],
        outcome.seconds[-1],
        outcome.curves["solved"][-1],
        outcome.failures,
    ]


def write_tuned(tuned: list[Tuned], out: Path, title: str) -> None:
    """Write all settings and their validation regret as JSON, CSV and a figure."""
    write_json(out / "tuned.json", [_tuned_summary(each) for each in tuned])
    rows = [
        [each.method.name, *_setting(each, at).values(), at == each.best]
        for each in tuned
        for at in range(len(each.candidates))
    ]
    write_csv(out / "tuned.csv", _TUNED_HEADING, rows)
    _draw_tuned(tuned, out / "tuned.png", title)


def tuned_table(tuned: list[Tuned]) -> Table:
    """Return the chosen settings; it fits 80 columns."""
    table = Table(title="Least validation regret [%]", box=SIMPLE_HEAD, pad_edge=False)
    for name in ("method", "setting", "lr"):
        table.add_column(name, no_wrap=True)
    for name in ("regret", "of settings"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in tuned:
        table.add_row(
            each.method.label,
            " ".join(sizes(each.chosen)) or "-",
            f"{each.chosen.lr:g}",
            f"{100 * each.scores[each.best][0]:.2f}",
            str(len(each.candidates)),
        )
    return table


def _setting(each: Tuned, at: int) -> dict[str, Any]:
    """Return one setting and its regret."""
    config = each.candidates[at]
    return {**_owned(config), "lr": config.lr, "regret": each.scores[at][0]}


def _owned(config: Any) -> dict[str, Any]:
    """Return what is tuned of a rule; what it does not have is empty."""
    own = config.rules[config.rule]
    return {name: getattr(config, name) if name in own else "" for name in _OWN}


def _tuned_summary(each: Tuned) -> dict[str, Any]:
    return {
        "method": each.method.name,
        "label": each.method.label,
        "chosen": _setting(each, each.best),
        "tried": [_setting(each, at) for at in range(len(each.candidates))],
    }


def _draw_tuned(tuned: list[Tuned], path: Path, title: str) -> None:
    """Draw the regret against tau, other settings at their best; others as lines across."""
    figure, (axis,) = new_figure(1, 1, (8, 4.5))
    for number, each in enumerate(tuned):
        color = PALETTE[number % len(PALETTE)]
        line = "-" if number < len(PALETTE) else (0, (4, 2))
        numbers = [tau for tau in each.method.taus if not isinstance(tau, str)]
        if len(numbers) > 1:
            settings = [_setting(each, at) for at in range(len(each.candidates))]
            least = [min(s["regret"] for s in settings if s["tau"] == tau) for tau in numbers]
            heights = 100 * shown(least)
            axis.plot(numbers, heights, "o", color=color, linestyle=line, label=each.method.label)
        else:
            height = 100 * float(shown(each.scores[each.best][0]))
            axis.axhline(height, color=color, linestyle=line, label=each.method.label, linewidth=1)
    axis.set(xscale="log", xlabel="tau", ylabel="validation regret [%]")
    figure.suptitle(title, fontsize=11)
    figure.legend(loc="outside lower center", ncols=5)
    save(figure, path)
