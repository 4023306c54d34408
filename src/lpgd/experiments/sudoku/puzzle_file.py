"""Reading the user's own puzzles: one line each, with or without the solution."""

from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lpgd.experiments.runs import ExperimentError
from lpgd.experiments.sudoku.solver import Board, is_valid_grid, solutions

_SYMBOLS = "123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class PuzzleFileError(ExperimentError):
    """A line of a puzzle file cannot be used; the message names file and line."""


def read_puzzles(path: Path, box: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read puzzles and solutions, each (K, N*N).

    A line holds the N*N cells row by row, ``.`` or ``0`` for an empty one, then perhaps, after a
    comma or blanks, the solution. Without it the puzzle is solved and must have exactly one
    completion. Empty lines and lines that start with ``#`` are skipped, and so is a heading: words
    instead of cells in the first of the other lines.
    """
    pairs: list[tuple[Board, Board]] = []
    heading_may_come = True
    for number, line in enumerate(_lines(path), start=1):
        fields = line.replace(",", " ").split()
        if not fields or fields[0].startswith("#"):
            continue
        skip, heading_may_come = heading_may_come and _is_heading(fields[0], box), False
        if skip:
            continue
        try:
            pairs.append(_parse(fields, box))
        except PuzzleFileError as error:
            raise PuzzleFileError(f"{path}, line {number}: {error}") from None
    if not pairs:
        raise PuzzleFileError(f"{path} holds no puzzles")
    puzzles, answers = zip(*pairs, strict=True)
    return np.stack(puzzles), np.stack(answers)


def format_board(board: Board) -> str:
    """Write a board as one line, the way `read_puzzles` reads it."""
    return "".join(_SYMBOLS[digit - 1] if digit else "." for digit in board.tolist())


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise PuzzleFileError(f"{path} is not a text file in UTF-8") from None


def _is_heading(first: str, box: int) -> bool:
    return first.isalpha() and len(first) != box**4


def _parse(fields: list[str], box: int) -> tuple[Board, Board]:
    if len(fields) > 2:
        raise PuzzleFileError(
            f"expected a puzzle and perhaps a solution, got {len(fields)} columns"
        )
    puzzle = _parse_board(fields[0], box)
    if len(fields) == 1:
        return puzzle, _solve(puzzle, box)
    answer = _parse_board(fields[1], box)
    if not is_valid_grid(answer, box):
        raise PuzzleFileError("the solution breaks the rules of Sudoku or is incomplete")
    if not np.array_equal(answer[puzzle > 0], puzzle[puzzle > 0]):
        raise PuzzleFileError("the solution contradicts the clues")
    return puzzle, answer


def _parse_board(text: str, box: int) -> Board:
    if len(text) != box**4:
        raise PuzzleFileError(f"expected {box**4} cells for --box {box}, got {len(text)}")
    symbols = "0" + _SYMBOLS[: box * box]
    digits = [symbols.find(symbol) for symbol in text.replace(".", "0").upper()]
    if -1 in digits:
        raise PuzzleFileError(
            f"unknown cell {text[digits.index(-1)]!r}: use 1 to {symbols[-1]} or a dot"
        )
    return np.array(digits, np.uint8)


def _solve(puzzle: Board, box: int) -> Board:
    found = list(islice(solutions(puzzle, box), 2))
    if not found:
        raise PuzzleFileError("the puzzle has no completion")
    if len(found) == 2:
        raise PuzzleFileError("the puzzle has more than one completion; give the solution you mean")
    return found[0]
