"""The figure of `lpgd compare markowitz`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lpgd.experiments.comparison import Final
from lpgd.experiments.markowitz.compare import (
    efforts,
    goals,
    last_loss,
    median_last_loss,
    start_loss,
    tau_of,
)
from lpgd.experiments.markowitz.methods import AUTO, RHO
from lpgd.experiments.plotting import (
    INK,
    PALETTE,
    draw_band,
    new_figure,
    save,
    shown,
    use_log_scale,
)
from lpgd.experiments.summaries import in_words, median

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIDES = {"average": PALETTE[0], "lower": PALETTE[1], "upper": PALETTE[2]}
_FULL = "full"  # the loss itself, on the lower side; others are sides of the linearised one
_COLORS = _SIDES | {_FULL: PALETTE[4]}
_KINDS = (*((side, rho) for side in _SIDES for rho in (0.0, RHO)), (_FULL, 0.0))
_DASHES = (0, (4, 2))


def draw_comparison(finals: list[Final], path: Path) -> None:
    """Draw the loss against epochs and seconds, and effort and last loss against tau."""
    reach = goals(finals)
    figure, axes = new_figure(2, 2, (10.5, 8.4))
    labels = ("epochs", "seconds of training")
    for axis, name, label in zip(axes[:2], ("epoch", "seconds"), labels, strict=True):
        for final in _shown(finals, reach):
            _draw_curves(axis, final, name)
        axis.set(xlabel=label, ylabel="validation loss")
        use_log_scale(axis)
        axis.set_xlim(left=0)
    _draw_against_tau(axes[2], finals, {f.method.name: efforts(f, "epoch", reach) for f in finals})
    axes[2].set(ylabel="epochs to a tenth of the way left", ylim=(0, None))
    last = {f.method.name: [last_loss(outcome) for outcome in f.outcomes] for f in finals}
    _draw_against_tau(axes[3], finals, last)
    axes[3].set(ylabel="validation loss at the end")
    use_log_scale(axes[3])
    for axis in (axes[0], axes[2]):
        axis.legend(frameon=False, fontsize=7.5)
    seeds = max(len(final.outcomes) for final in finals)
    band = "" if seeds == 1 else f"; median over {in_words(seeds)} seeds and their range"
    market = f"{finals[0].chosen.data} market"
    figure.suptitle(f"Tuning a Markowitz policy ({market}){band}", fontsize=11)
    save(figure, path)


def _shown(finals: list[Final], reach: dict[int, float]) -> list[Final]:
    """Return the methods without a tau to choose, and of the others the quickest of each side."""

    def effort(final: Final) -> tuple[float, float]:
        return median(efforts(final, "epoch", reach)), median_last_loss(final)

    shown = [final for final in finals if _has_no_tau(final)]
    for kind in _KINDS:
        taus = _taus(finals, kind)
        if taus:
            shown.append(min(taus, key=effort))
    return shown


def _has_no_tau(final: Final) -> bool:
    return final.method.rule == "exact" or final.method == AUTO


def _kind(final: Final) -> tuple[str, float]:
    """Return the side and the rho of a method, a full loss being a side of its own."""
    return _FULL if final.method.loss == "full" else final.method.side, final.method.rho


def _taus(finals: list[Final], kind: tuple[str, float]) -> list[Final]:
    """Return the methods of a side, by tau."""
    return [final for final in finals if not _has_no_tau(final) and _kind(final) == kind]


def _style(final: Final) -> tuple[str, Any]:
    """Return colour and line of a method: dashed with augmentation."""
    if final.method.rule == "exact":
        color = INK
    else:
        color = PALETTE[3] if final.method == AUTO else _COLORS[_kind(final)[0]]
    return color, _DASHES if final.method.rho else "-"


def _label(final: Final, *, with_tau: bool) -> str:
    tau = f", τ {tau_of(final)}" if with_tau and not _has_no_tau(final) else ""
    return final.method.label + tau + (f", ρ {final.method.rho:g}" if final.method.rho else "")


def _draw_curves(axis: Axes, final: Final, name: str) -> None:
    curves = [
        ([0.0, *getattr(o, name)], [start_loss(o), *o.curves["validation_loss"]])
        for o in final.outcomes
    ]
    color, line = _style(final)
    draw_band(axis, curves, color, _label(final, with_tau=True), line)


def _draw_against_tau(
    axis: Axes, finals: list[Final], values: Mapping[str, Sequence[float | None]]
) -> None:
    """Draw medians and ranges of one number per run; what is missing or infinite is left out."""
    for kind in _KINDS:
        taus = _taus(finals, kind)
        if not taus:
            continue
        rows = shown([values[final.method.name] for final in taus])
        middle = shown([median(values[final.method.name]) for final in taus])
        color, line = _style(taus[0])
        x = [float(final.chosen.tau) for final in taus]
        axis.plot(
            x,
            middle,
            color=color,
            linestyle=line,
            marker="o",
            markersize=8 if kind[1] else 4,
            markerfacecolor="none" if kind[1] else color,
            label=_label(taus[0], with_tau=False),
        )
        axis.fill_between(
            x, np.fmin.reduce(rows, 1), np.fmax.reduce(rows, 1),
            color=color, alpha=0.14, linewidth=0,
        )  # fmt: skip
        if np.isfinite(middle).any():  # else matplotlib finds nothing to scale
            axis.set_xscale("log")
    for final in filter(_has_no_tau, finals):
        color, line = _style(final)
        level = float(shown(median(values[final.method.name])))
        label = _label(final, with_tau=False)
        axis.axhline(level, color=color, linestyle=line, linewidth=1.2, label=label)
    axis.set_xlabel("tau")
