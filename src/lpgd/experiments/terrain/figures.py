"""Maps, what a model takes them to cost, and paths on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lpgd.experiments.decisions.task import DecisionTask
from lpgd.experiments.plotting import INK, PALETTE, new_figure, save
from lpgd.experiments.runs import RunDirectory
from lpgd.experiments.terrain.paths import grid_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SAMPLES = 4


def draw_maps(task: DecisionTask, run: RunDirectory) -> None:
    """Draw images with the best path and the one decided, and true and predicted costs."""
    cases, (rows, columns) = task.split.test[:_SAMPLES], grid_of(task.split)
    predicted, decided = task.predict(cases), task.decide(cases)
    figure, axes = new_figure(3, len(cases), (2.5 * len(cases), 7.6))
    for column in range(len(cases)):
        own = axes[column :: len(cases)]
        own[0].imshow(cases.inputs[column].numpy(), extent=(0, columns, rows, 0))
        pictures = (cases.costs[column].numpy(), predicted[column])
        for axis, costs in zip(own[1:], pictures, strict=True):
            axis.imshow(costs.reshape(rows, columns), cmap="Greys", extent=(0, columns, rows, 0))
        best, mine = cases.best[column].numpy(), decided[column]
        _draw_path(own[0], best.reshape(rows, columns), PALETTE[4], 7.0)
        _draw_path(own[0], mine.reshape(rows, columns), PALETTE[1], 3.0)
        _draw_path(own[1], best.reshape(rows, columns), PALETTE[4], 5.0)
        _draw_path(own[2], mine.reshape(rows, columns), PALETTE[1], 3.0)
        for axis in own:
            axis.set(xticks=[], yticks=[])
            axis.grid(visible=False)
    labels = ("best and decided", "true costs, best path", "predicted, decided")
    for axis, label in zip(axes[:: len(cases)], labels, strict=True):
        axis.set_ylabel(label, color=INK)
    save(figure, run.figure("maps"))


def _draw_path(axis: Axes, path: Any, color: str, width: float) -> None:
    """Join the tiles of a path: neighbours on it that follow one another."""
    line = in_order(path)
    axis.plot(line[:, 1] + 0.5, line[:, 0] + 0.5, color=color, linewidth=width, alpha=0.85,
              solid_capstyle="round")  # fmt: skip


def in_order(path: Any) -> Any:
    """Return the tiles (row, column) of a shortest path (rows, columns), from its start on.

    Costs are not negative, so of the tiles of a path only those that follow one another touch, but
    for ties; the nearest tile that is left comes next.
    """
    left = [tuple(tile) for tile in np.argwhere(path > 0)]
    line = [left.pop(0)]
    while left:
        last = line[-1]
        away = [max(abs(r - last[0]), abs(c - last[1])) for r, c in left]
        line.append(left.pop(int(np.argmin(away))))
    return np.array(line)
