"""A diagnosis as one figure."""

from typing import Any

import numpy as np

from lpgd.core.extras import load
from lpgd.diagnosis.curves import Line, Sweep
from lpgd.diagnosis.elements import Elements

INK, BLUE, ORANGE, GREEN = "#222222", "#0072b2", "#d55e00", "#009e73"  # Okabe and Ito


def draw(
    title: str, elements: Elements, variables: int, sweep: Sweep | None, line: Line | None
) -> Any:
    """Gradients against tau, loss and envelope along the negative gradient, active rows."""
    load("matplotlib", "experiments", "a figure of a diagnosis")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 3)
    figure.suptitle(title, x=0.01, ha="left", color=INK)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    _tau(axes[0], elements, sweep)
    _line(axes[1], line)
    _elements(axes[2], elements, variables)
    return figure


def _tau(axis: Any, elements: Elements, sweep: Sweep | None) -> None:
    axis.set(xlabel="tau", ylabel="size of the gradient", title="at other tau")
    if sweep is None:
        return _nothing(axis, "the loss does not pull")
    fine = np.where(np.isnan(sweep.gradient), np.nan, sweep.gradient)
    sizes = np.array([np.nanmedian(row) if np.isfinite(row).any() else np.nan for row in fine])
    axis.plot(sweep.tau, sizes, "o-", color=BLUE, markersize=3.5, label="median")
    low, high = (
        np.array([f(row[np.isfinite(row)], initial=v) for row in fine])
        for f, v in ((np.min, np.inf), (np.max, -np.inf))
    )
    known = np.isfinite(low) & np.isfinite(high)
    axis.fill_between(sweep.tau[known], low[known], high[known], color=BLUE, alpha=0.15, lw=0)
    axis.set_xscale("log")
    if (sizes[np.isfinite(sizes)] > 0).any():
        axis.set_yscale("symlog", linthresh=float(sizes[sizes > 0].min()))
    axis.set_ylim(bottom=0)
    spans = elements.breakpoints[sweep.elements]
    spans = spans[np.isfinite(spans) & (spans > 0)]
    inside = spans[(spans >= sweep.tau[0]) & (spans <= sweep.tau[-1])]
    for place, span in enumerate(np.unique(inside)[:40]):
        axis.axvline(span, color=GREEN, lw=0.6, alpha=0.35, label="" if place else "breakpoints")
    used = np.median(elements.tau[elements.tau > 0]) if elements.tau.any() else 0
    if used > 0:
        axis.axvline(used, color=ORANGE, lw=1.6, label="tau used")
    axis.legend(frameon=False, fontsize=8)
    return None


def _line(axis: Any, line: Line | None) -> None:
    axis.set(xlabel="relative step", title="along the negative gradient")
    if line is None:
        return _nothing(axis, "the gradient is zero")
    axis.plot(line.step, line.loss, "o-", color=INK, markersize=3.5, label="loss")
    axis.plot(line.step, line.envelope, "s--", color=ORANGE, markersize=3.5, label="envelope")
    axis.set_xscale("symlog", linthresh=float(line.step[1]))
    axis.legend(frameon=False, fontsize=8)
    return None


def _elements(axis: Any, own: Elements, variables: int) -> None:
    axis.set(xlabel="element", ylabel="active rows", title="active rows of each element")
    order = np.arange(len(own))
    moved = own.moved & (own.status == 0)
    axis.scatter(order[moved], own.active[moved], s=14, color=BLUE, label="moved")
    axis.scatter(order[~moved], own.active[~moved], s=18, color=ORANGE, marker="x", label="stayed")
    axis.axhline(variables, color=INK, lw=0.8, ls=":", label="variables")
    axis.set_ylim(0, 1.1 * max(variables, int(own.active.max(initial=0)), 1))
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.yaxis.get_major_locator().set_params(integer=True)
    axis.legend(frameon=False, fontsize=8)


def _nothing(axis: Any, text: str) -> None:
    axis.text(0.5, 0.5, text, ha="center", va="center", transform=axis.transAxes, color=INK)
