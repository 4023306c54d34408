"""The look shared by all figures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from lpgd.experiments.runs import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lpgd.experiments.training import Trainer

_MOST = 1e100  # matplotlib's own arithmetic overflows somewhat above

INK = "#222222"
MUTED = "#8a8a8a"
# Okabe and Ito's colours: told apart by colour-blind readers too.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")

STYLE: dict[Any, object] = {
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def new_figure(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """Return a styled figure of ``size`` inches and its axes, row by row.

    The figure belongs to no window system, so this works without a display and in any thread.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size)
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.ravel())


def shown(values: Any) -> NDArray[np.float64]:
    """Return numbers with gaps where one is missing, infinite or beyond all scales.

    Training that diverges leaves such numbers, and deserves its figures nonetheless.
    """
    numbers = np.array(values, dtype=np.float64)
    return np.where(np.abs(numbers) < _MOST, numbers, np.nan)


def use_log_scale(axis: Axes) -> None:
    """Make the y axis logarithmic, if anything on it can be shown so."""
    if any(np.any(shown(line.get_ydata()) > 0) for line in axis.get_lines()):
        axis.set_yscale("log")


def draw_band(
    axis: Axes,
    curves: Sequence[tuple[Sequence[float], Sequence[Any]]],
    color: str,
    label: str,
    line: Any = "-",
) -> None:
    """Draw the median of several curves (x, y) and their range; each keeps its last value."""
    grid = np.linspace(min(x[0] for x, _ in curves), max(x[-1] for x, _ in curves), 400)
    # Before its first judgement a run has no value, and is drawn as if it had that one already.
    values = np.array([np.interp(grid, x, shown(y)) for x, y in curves])
    axis.fill_between(grid, values.min(0), values.max(0), color=color, alpha=0.14, linewidth=0)
    axis.plot(grid, np.median(values, axis=0), color=color, label=label, linestyle=line)


def draw_training(
    axes: Sequence[Axes], trainer: Trainer, judged: Sequence[tuple[str, str]]
) -> None:
    """Draw the loss of the batches against epochs and seconds, and judged columns with labels."""
    labels = ("epoch", "wall-clock time in training steps [s]")
    for axis, time, label in zip(axes, ("epoch", "seconds"), labels, strict=True):
        curves = [("loss", "training batch", trainer.rows)]
        curves += [(column, words, trainer.judgements()) for column, words in judged]
        for (column, words, rows), color in zip(curves, PALETTE, strict=False):
            axis.plot(
                shown([row[time] for row in rows]),
                shown([row[column] for row in rows]),
                color=color,
                label=words,
                linewidth=1.2 if column == "loss" else None,
                marker=None if column == "loss" else "o",
            )
        axis.set_xlabel(label)
        axis.set_xlim(left=0)
    axes[0].xaxis.set_major_locator(MaxNLocator(integer=True))


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, in one step."""
    picture = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(picture, format="png", dpi=150, facecolor="white")
    write_bytes(path, picture.getvalue())
