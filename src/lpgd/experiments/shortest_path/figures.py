"""Grids of edges, their costs and the paths on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import LineCollection

from lpgd.experiments.decisions.task import DecisionTask
from lpgd.experiments.plotting import INK, PALETTE, new_figure, save
from lpgd.experiments.runs import RunDirectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SAMPLES = 4


def draw_paths(task: DecisionTask, run: RunDirectory) -> None:
    """Draw true costs with the best path, and predicted costs with the path decided, by sample."""
    cases = task.split.test[:_SAMPLES]
    predicted, decided = task.predict(cases), task.decide(cases)
    side = task.config.grid  # type: ignore[attr-defined]
    figure, axes = new_figure(2, len(cases), (2.7 * len(cases), 5.6))
    for column in range(len(cases)):
        pairs = (
            (cases.costs[column].numpy(), cases.best[column].numpy()),
            (predicted[column], decided[column]),
        )
        for axis, pair, color in zip(axes[column :: len(cases)], pairs, PALETTE, strict=False):
            _draw_grid(axis, side, *pair, color)
    for axis, label in zip(axes[:: len(cases)], ("true costs, best path", "predicted, decided"),
                           strict=True):  # fmt: skip
        axis.set_ylabel(label)
    save(figure, run.figure("paths"))


def ends(side: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return the ends (column, row) of the edges, in the order of the costs."""
    found: list[tuple[tuple[int, int], tuple[int, int]]] = []
    for row in range(side):
        found += [((column, row), (column + 1, row)) for column in range(side - 1)]
        found += [((column, row), (column, row + 1)) for column in range(side) if row + 1 < side]
    return found


def _draw_grid(axis: Axes, side: int, costs: Any, path: Any, color: str) -> None:
    """Draw costs as grey, dark where an edge is dear, and a path on them."""
    lines = ends(side)
    order = np.argsort(np.argsort(costs)) / max(len(costs) - 1, 1)  # ranks: no unit to choose
    axis.add_collection(
        LineCollection(lines, colors=[str(0.92 - 0.75 * rank) for rank in order], linewidths=1.6)
    )
    used = [line for line, edge in zip(lines, path, strict=True) if edge > 0]
    axis.add_collection(LineCollection(used, colors=color, linewidths=4.5, alpha=0.75))
    axis.plot([0, side - 1], [0, side - 1], "o", color=INK, markersize=4)
    axis.set(xlim=(-0.3, side - 0.7), ylim=(side - 0.7, -0.3), xticks=[], yticks=[])
    axis.set_aspect("equal")
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
