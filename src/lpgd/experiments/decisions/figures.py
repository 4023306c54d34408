"""Figures that experiments with predicted costs share."""

from pathlib import Path

from matplotlib.ticker import LogLocator

from lpgd.experiments.comparison import Final
from lpgd.experiments.contest import Outcome
from lpgd.experiments.plotting import (
    PALETTE,
    draw_band,
    new_figure,
    save,
    shown,
    use_log_scale,
)
from lpgd.experiments.runs import RunDirectory
from lpgd.experiments.summaries import in_words
from lpgd.experiments.training import Trainer

_AXES = {"epoch": "epochs", "seconds": "seconds of training", "solved": "instances solved"}
_DASHES = ("-", (0, (4, 2)))


def draw_regret(trainer: Trainer, run: RunDirectory) -> None:
    """Draw the loss of the batches and the regret on test instances against epochs."""
    figure, axes = new_figure(1, 2, (9, 3.6))
    curves = (("loss", trainer.rows, "loss, summed over a batch"),
              ("regret", trainer.judgements(), "test regret [%]"))  # fmt: skip
    for axis, (column, rows, label), color in zip(axes, curves, PALETTE, strict=False):
        factor = 100 if column == "regret" else 1
        values = factor * shown([row[column] for row in rows])
        axis.plot(shown([row["epoch"] for row in rows]), values, color=color)
        axis.set(xlabel="epoch", ylabel=label)
        axis.set_xlim(left=0)
    save(figure, run.figure("loss"))


def draw_comparison(finals: list[Final], path: Path, title: str) -> None:
    """Draw regret against epochs, seconds and instances solved: median over seeds and range."""
    figure, axes = new_figure(1, 3, (13, 4.8))
    for axis, (name, label) in zip(axes, _AXES.items(), strict=True):
        for number, final in enumerate(finals):
            curves = [
                (_places(o, name), (100 * shown(o.curves["regret"])).tolist())
                for o in final.outcomes
            ]
            if name == "solved" and not any(x[-1] for x, _ in curves):
                continue  # a method that solves nothing in training
            line = _DASHES[number // len(PALETTE) % 2]
            draw_band(axis, curves, PALETTE[number % len(PALETTE)], final.method.label, line)
        axis.set_xlabel(label)
        use_log_scale(axis)
        if axis.get_yscale() == "log":
            axis.yaxis.set_minor_locator(
                LogLocator(subs=(2, 3, 5, 7))
            )  # those that fit two decades
        for formatter in (axis.yaxis.set_major_formatter, axis.yaxis.set_minor_formatter):
            formatter("{x:g}")  # per cent of a decade or two
    axes[0].set_ylabel("test regret [%]")
    axes[0].set_xlim(left=0)
    for axis in axes[1:]:
        axis.set_xscale("log")
        axis.xaxis.set_minor_formatter("")
    seeds = max(len(final.outcomes) for final in finals)
    band = "" if seeds == 1 else f"; median over {in_words(seeds)} seeds and their range"
    figure.suptitle(f"{title}{band}", fontsize=11)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    save(figure, path)


def _places(outcome: Outcome, name: str) -> list[float]:
    places = outcome.curves[name] if name == "solved" else getattr(outcome, name)
    return [float(place or 0) for place in places]
