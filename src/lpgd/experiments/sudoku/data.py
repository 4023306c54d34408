"""Sudoku puzzles with exactly one completion, and their one-hot form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lpgd.experiments.runs import ExperimentError
from lpgd.experiments.sudoku.puzzle_file import read_puzzles
from lpgd.experiments.sudoku.solver import Board, all_grids, count_solutions, solutions

_DRAWS = 8192  # puzzles of 4x4 tried at a time; part of what a seed means
_MOST = 100_000  # far fewer than there are, so that new ones are found quickly
_HELD_OUT = 10  # one training puzzle in so many serves for validation when tuning


@dataclass(frozen=True)
class Boards:
    """Puzzles with their solutions.

    ``puzzles`` and ``solutions`` are (K, N*N), row by row: digits 1..N, and 0 for an empty cell.
    """

    box: int
    puzzles: NDArray[np.uint8]
    solutions: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.puzzles)

    def __getitem__(self, rows: slice | NDArray[np.int_]) -> Boards:
        return Boards(self.box, self.puzzles[rows], self.solutions[rows])

    def inputs(self) -> NDArray[np.float64]:
        """Return the clues one-hot (K, N**3); an empty cell is all zeros."""
        return one_hot(self.puzzles, self.box)

    def labels(self) -> NDArray[np.float64]:
        """Return the solutions one-hot (K, N**3)."""
        return one_hot(self.solutions, self.box)


@dataclass(frozen=True)
class Split:
    """Puzzles to learn from and puzzles to judge by; no puzzle is in both."""

    train: Boards
    test: Boards

    def for_tuning(self) -> Split:
        """Hold out the last tenth of the training puzzles; the test puzzles stay unseen."""
        held_out = max(1, len(self.train) // _HELD_OUT)
        return Split(self.train[:-held_out], self.train[-held_out:])


@dataclass(frozen=True)
class Recipe:
    """How many puzzles, and with how many clues (both ends included)."""

    train_size: int
    test_size: int
    fewest_clues: int
    most_clues: int


# 9x9: with 30 clues or more nearly every puzzle can be thinned out to the number drawn, and the
# solver stays quick; the sets are small because a 9x9 program costs some hundred 4x4 ones.
RECIPES = {2: Recipe(9000, 1000, 4, 8), 3: Recipe(900, 100, 30, 40)}


def one_hot(boards: NDArray[np.uint8], box: int) -> NDArray[np.float64]:
    """Encode (K, N*N) as (K, N**3), index (row*N + column)*N + digit - 1."""
    digits = np.arange(1, box * box + 1, dtype=np.uint8)
    return (boards[:, :, None] == digits).reshape(len(boards), -1).astype(np.float64)


def generate(box: int, train_size: int | None, test_size: int | None, seed: int = 0) -> Split:
    """Draw distinct puzzles with one completion each; None stands for the recipe's size.

    The test puzzles come first in the stream, so they do not depend on ``train_size``.
    """
    if box not in RECIPES:
        raise ExperimentError(f"puzzles are generated for box=2 and box=3, not for box={box}")
    recipe = RECIPES[box]
    train_size = recipe.train_size if train_size is None else train_size
    test_size = recipe.test_size if test_size is None else test_size
    count = train_size + test_size
    if count > _MOST:
        raise ExperimentError(f"at most {_MOST} puzzles are generated, not {count}")
    draw = _draw_small if box == 2 else _draw_large
    boards = draw(recipe, count, np.random.default_rng(seed))
    return Split(boards[test_size:], boards[:test_size])


def from_file(path: Path, box: int, sizes: tuple[int | None, int | None], seed: int = 0) -> Split:
    """Read, shuffle and split the user's own puzzles; repeated puzzles count once.

    ``sizes`` are those of training and test set; None means a tenth for testing and all the
    others for training.
    """
    puzzles, answers = read_puzzles(path, box)
    first = _first_of_each(puzzles)
    order = np.random.default_rng(seed).permutation(first)
    test_size = sizes[1] if sizes[1] is not None else max(1, len(order) // 10)
    train_size = sizes[0] if sizes[0] is not None else len(order) - test_size
    if train_size < 1 or train_size + test_size > len(order):
        raise ExperimentError(
            f"{path} holds {len(order)} different puzzles, too few for {max(train_size, 1)} to "
            f"train and {test_size} to test"
        )
    boards = Boards(box, puzzles, answers)
    return Split(boards[order[test_size : test_size + train_size]], boards[order[:test_size]])


def _draw_small(recipe: Recipe, count: int, rng: np.random.Generator) -> Boards:
    """Draw grid, number of clues and cells uniformly; keep unique and new puzzles."""
    grids = all_grids(2)
    codes = one_hot(grids, 2)
    puzzles, answers = np.empty((0, 16), np.uint8), np.empty((0, 16), np.uint8)
    while len(puzzles) < count:
        answer = grids[rng.integers(len(grids), size=_DRAWS)]
        clues = rng.integers(recipe.fewest_clues, recipe.most_clues + 1, size=(_DRAWS, 1))
        rank = rng.random((_DRAWS, 16)).argsort(axis=1).argsort(axis=1)
        puzzle = np.where(rank < clues, answer, 0).astype(np.uint8)
        # A grid completes a puzzle if it agrees with every clue.
        unique = (one_hot(puzzle, 2) @ codes.T == clues).sum(axis=1) == 1
        puzzles = np.concatenate([puzzles, puzzle[unique]])
        answers = np.concatenate([answers, answer[unique]])
        first = _first_of_each(puzzles)
        puzzles, answers = puzzles[first], answers[first]
    return Boards(2, puzzles[:count], answers[:count])


def _draw_large(recipe: Recipe, count: int, rng: np.random.Generator) -> Boards:
    """Draw a random grid each time and remove clues while the completion stays unique."""
    found: dict[bytes, tuple[Board, Board]] = {}
    while len(found) < count:
        grid = next(solutions(np.zeros(81, np.uint8), 3, rng))
        clues = int(rng.integers(recipe.fewest_clues, recipe.most_clues + 1))
        puzzle = _thin_out(grid, clues, rng)
        if puzzle is not None:
            found.setdefault(puzzle.tobytes(), (puzzle, grid))
    puzzles, answers = zip(*found.values(), strict=True)
    return Boards(3, np.stack(puzzles), np.stack(answers))


def _thin_out(grid: Board, clues: int, rng: np.random.Generator) -> Board | None:
    """Remove random clues until ``clues`` are left; None if uniqueness forbids that."""
    puzzle = grid.copy()
    for cell in rng.permutation(len(grid)):
        if np.count_nonzero(puzzle) == clues:
            break
        digit = puzzle[cell]
        puzzle[cell] = 0
        if count_solutions(puzzle, 3) > 1:
            puzzle[cell] = digit
    return puzzle if np.count_nonzero(puzzle) == clues else None


def _first_of_each(puzzles: NDArray[np.uint8]) -> NDArray[np.int_]:
    """Return the indices of the first occurrences, in order."""
    return np.sort(np.unique(puzzles, axis=0, return_index=True)[1])
