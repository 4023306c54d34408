"""Figures of one run: its losses, what it learned, and some boards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from lpgd.experiments.plotting import (
    INK,
    PALETTE,
    draw_training,
    new_figure,
    save,
    shown,
    use_log_scale,
)
from lpgd.experiments.runs import RunDirectory
from lpgd.experiments.sudoku.data import Boards
from lpgd.experiments.sudoku.model import RuleLearner, decode
from lpgd.experiments.sudoku.puzzle_file import format_board
from lpgd.experiments.sudoku.solver import rules_matrix
from lpgd.experiments.training import Trainer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SAMPLES = 4
_WRONG = "#fbd5c4"


def draw_figures(trainer: Trainer, run: RunDirectory) -> None:
    """Draw everything there is to see of a run."""
    model, test = trainer.task.model, trainer.task.split.test
    draw_losses(trainer, run)
    draw_constraints(model, test.box, run)
    draw_boards(model, test[:_SAMPLES], run)


def draw_losses(trainer: Trainer, run: RunDirectory) -> None:
    """Draw the loss against epochs and against seconds of training."""
    figure, axes = new_figure(1, 2, (9, 3.6))
    draw_training(axes, trainer, [("test_mse", "test puzzles")])
    for axis in axes:
        use_log_scale(axis)
    axes[0].set_ylabel("mean-squared error")
    axes[0].legend(frameon=False)
    save(figure, run.figure("loss"))


def draw_constraints(model: RuleLearner, box: int, run: RunDirectory) -> None:
    """Draw A, and compare the space its rows span with that of the true rules.

    Another A with the same row space states the same equations, so the entries of A itself need
    not look like the rules even when the rules are learned; the projections do.
    """
    learned = shown(model.A.detach().numpy())
    panels = (
        ("learned constraints A", learned, "equation"),
        ("projection onto the rows of A", _row_projection(learned), "variable"),
        ("the same for the true rules", _row_projection(rules_matrix(box)), "variable"),
    )
    figure, axes = new_figure(1, 3, (12.5, 4))
    for axis, (title, matrix, label) in zip(axes, panels, strict=True):
        # The diagonal of a projection would otherwise wash out all other entries.
        sizes = np.abs(matrix[np.isfinite(matrix)])
        reach = float(np.quantile(sizes, 0.98)) if sizes.size else 1.0
        picture = axis.imshow(
            matrix, cmap="RdBu_r", vmin=-reach, vmax=reach, aspect="auto", interpolation="nearest"
        )
        axis.set_title(title)
        axis.set_xlabel("variable (cell by cell, then digit)")
        axis.set_ylabel(label)
        axis.grid(visible=False)
        _mark_rows_of_cells(axis, box)
        figure.colorbar(picture, ax=axis, shrink=0.8, extend="both")
    save(figure, run.figure("constraints"))


def draw_boards(model: RuleLearner, samples: Boards, run: RunDirectory) -> None:
    """Draw puzzles, what the model makes of them, and the solutions."""
    with torch.no_grad():
        boards = model(torch.from_numpy(samples.inputs()))
    predictions = decode(boards, samples.box).numpy().astype(np.uint8)
    side = 1.7 if samples.box == 2 else 3.2
    names = ("puzzle", "prediction", "solution")
    figure, axes = new_figure(3, len(samples), (len(samples) * side, 3 * side))
    for column in range(len(samples)):
        puzzle, solution = samples.puzzles[column], samples.solutions[column]
        stack = (puzzle, predictions[column], solution)
        for axis, board in zip(axes[column :: len(samples)], stack, strict=True):
            _draw_board(axis, board, puzzle, solution)
    for axis, name in zip(axes[:: len(samples)], names, strict=True):
        axis.set_ylabel(name)
    save(figure, run.figure("boards"))


def _row_projection(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the orthogonal projection (n, n) onto the space spanned by the rows, or a gap."""
    if not np.isfinite(matrix).all():
        return np.full((matrix.shape[1], matrix.shape[1]), np.nan)
    return np.linalg.pinv(matrix, rcond=1e-9) @ matrix


def _mark_rows_of_cells(axis: Axes, box: int) -> None:
    per_row = box**4
    axis.set_xticks(np.arange(0, box**6 + 1, per_row) - 0.5, np.arange(0, box**6 + 1, per_row))


def _draw_board(
    axis: Axes, board: NDArray[np.uint8], puzzle: NDArray[np.uint8], solution: NDArray[np.uint8]
) -> None:
    size = round(len(board) ** 0.5)
    box = round(size**0.5)
    for line in range(size + 1):
        width = 1.6 if line % box == 0 else 0.5
        axis.plot([0, size], [line, line], color=INK, linewidth=width, solid_capstyle="projecting")
        axis.plot([line, line], [0, size], color=INK, linewidth=width, solid_capstyle="projecting")
    for cell, symbol in enumerate(format_board(board)):
        row, column = divmod(cell, size)
        given = puzzle[cell] > 0
        if board[cell] and board[cell] != solution[cell]:
            axis.fill_between([column, column + 1], row, row + 1, color=_WRONG, linewidth=0)
        axis.text(
            column + 0.5,
            row + 0.52,
            "" if symbol == "." else symbol,
            ha="center",
            va="center",
            color=INK if given else PALETTE[0],
            fontweight="bold" if given else "normal",
            fontsize=12,
        )
    axis.set(xlim=(-0.05, size + 0.05), ylim=(size + 0.05, -0.05), xticks=[], yticks=[])
    axis.set_aspect("equal")
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
