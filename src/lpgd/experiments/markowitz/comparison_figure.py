"""The figure of `lpgd compare markowitz`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lpgd.experiments.comparison import Final
from lpgd.experiments.markowitz.compare import goals, start_loss
from lpgd.experiments.markowitz.methods import AUTO, EXACT
from lpgd.experiments.markowitz.report import efforts, last_loss, median_last_loss, tau_of
from lpgd.experiments.plotting import INK, PALETTE, draw_band, new_figure, save
from lpgd.experiments.summaries import in_words, median

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLORS = {"exact": INK, "auto": PALETTE[3]}
_SIDES = {"average": PALETTE[0], "lower": PALETTE[1], "upper": PALETTE[2]}


def draw_comparison(finals: list[Final], path: Path) -> None:
    """Draw the loss against epochs and seconds, and effort and last loss against tau."""
    figure, axes = new_figure(2, 2, (10.5, 8))
    for axis, name, label in zip(
        axes[:2], ("epoch", "seconds"), ("epochs", "seconds of training"), strict=True
    ):
        for final in _shown(finals):
            _draw_curves(axis, final, name)
        axis.set(xlabel=label, yscale="log")
        axis.set_xlim(left=0)
    axes[0].set_ylabel("validation loss")
    axes[0].legend(frameon=False, fontsize=8)
    _draw_efforts(axes[2], finals)
    _draw_last_losses(axes[3], finals)
    seeds = max(len(final.outcomes) for final in finals)
    band = "" if seeds == 1 else f"; median over {in_words(seeds)} seeds and their range"
    figure.suptitle(
        f"Tuning a Markowitz policy ({finals[0].chosen.data} market){band}", fontsize=11
    )
    save(figure, path)


def _shown(finals: list[Final]) -> list[Final]:
    """Return Exact, auto, and of each side the tau with the least loss at the end."""
    shown = [final for final in finals if final.method in (EXACT, AUTO)]
    for side in _SIDES:
        taus = _of_side(finals, side)
        if taus:
            shown.append(min(taus, key=median_last_loss))
    return shown


def _of_side(finals: list[Final], side: str) -> list[Final]:
    fixed = [final for final in finals if final.method not in (EXACT, AUTO)]
    return [final for final in fixed if final.method.side == side]


def _color(final: Final) -> str:
    return _COLORS.get(final.method.name) or _SIDES[final.method.side]


def _draw_curves(axis: Axes, final: Final, name: str) -> None:
    curves = [
        ([0.0, *getattr(o, name)], [start_loss(o), *o.curves["validation_loss"]])
        for o in final.outcomes
    ]
    fixed = final.method not in (EXACT, AUTO)
    label = final.method.label + (f", tau {tau_of(final)}" if fixed else "")
    draw_band(axis, curves, _color(final), label)


def _draw_efforts(axis: Axes, finals: list[Final]) -> None:
    """Draw the epochs to the goal against tau; a run that did not get there is left out."""
    reach = goals(finals)
    values = {final.method.name: efforts(final, "epoch", reach) for final in finals}
    _draw_against_tau(axis, finals, values)
    axis.set(xlabel="tau", ylabel="epochs to a tenth of the way left")
    axis.set_ylim(bottom=0)


def _draw_last_losses(axis: Axes, finals: list[Final]) -> None:
    values = {f.method.name: [last_loss(outcome) for outcome in f.outcomes] for f in finals}
    _draw_against_tau(axis, finals, values)
    axis.set(xlabel="tau", ylabel="validation loss at the end", yscale="log")


def _draw_against_tau(
    axis: Axes, finals: list[Final], values: Mapping[str, Sequence[float | None]]
) -> None:
    axis.set_xscale("log")
    for side, color in _SIDES.items():
        taus = _of_side(finals, side)
        rows = np.array([values[final.method.name] for final in taus], dtype=np.float64)
        if not len(rows):
            continue
        x = [final.chosen.tau for final in taus]
        rows[~np.isfinite(rows)] = np.nan
        middle = [median([None if np.isnan(v) else v for v in row]) for row in rows]
        axis.plot(x, [m if np.isfinite(m) else np.nan for m in middle], "o-", color=color,
                  markersize=4, label=f"LPGD {side}")  # fmt: skip
        axis.fill_between(x, np.fmin.reduce(rows, 1), np.fmax.reduce(rows, 1), color=color,
                          alpha=0.14, linewidth=0)  # fmt: skip
    for final in finals:
        if final.method in (EXACT, AUTO):
            axis.axhline(median(values[final.method.name]), color=_color(final),
                         linestyle=(0, (4, 3)), label=final.method.label)  # fmt: skip
    axis.legend(frameon=False, fontsize=8)
