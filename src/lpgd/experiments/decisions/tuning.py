"""What tuning leaves behind where costs are predicted: a table, JSON, CSV and a figure."""

from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from lpgd.experiments.comparison import Tuned
from lpgd.experiments.methods import sizes
from lpgd.experiments.plotting import PALETTE, new_figure, save, shown
from lpgd.experiments.runs import write_json
from lpgd.experiments.summaries import write_csv

_HEADING = ["method", "side", "tau", "sigma", "lr", "regret", "chosen"]
_TUNED = ("side", "tau", "sigma")


def write_tuned(tuned: list[Tuned], out: Path, title: str) -> None:
    """Write all settings and their validation regret as JSON, CSV and a figure."""
    write_json(out / "tuned.json", [_summary(each) for each in tuned])
    rows = [
        [each.method.name, *_setting(each, at).values(), at == each.best]
        for each in tuned
        for at in range(len(each.candidates))
    ]
    write_csv(out / "tuned.csv", _HEADING, rows)
    _draw(tuned, out / "tuned.png", title)


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
    """Return one setting and its regret; what the rule does not have is empty."""
    config = each.candidates[at]
    own = config.rules[config.rule]
    named = {name: getattr(config, name) if name in own else "" for name in _TUNED}
    return {**named, "lr": config.lr, "regret": each.scores[at][0]}


def _summary(each: Tuned) -> dict[str, Any]:
    return {
        "method": each.method.name,
        "label": each.method.label,
        "chosen": _setting(each, each.best),
        "tried": [_setting(each, at) for at in range(len(each.candidates))],
    }


def _draw(tuned: list[Tuned], path: Path, title: str) -> None:
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
