"""Sudoku grids and a small backtracking solver, for boxes of any side."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

Board = NDArray[np.uint8]  # (N*N,) row by row: 0 for an empty cell, otherwise the digit 1..N


def rules_rank(box: int) -> int:
    """Return the rank of the Sudoku rules as linear equations in one-hot variables.

    The 4*N*N rules (cell, row, column, box) are dependent. Counting functions of (row, column),
    of (row, digit), of (column, digit) and of (box, digit) without what an earlier family already
    holds gives the four terms: 40 of 64 for ``box=2``, 249 of 324 for ``box=3``.
    """
    size = box * box
    free = size - 1
    return size * size + size * free + free * free + (box - 1) ** 2 * free


def rules_matrix(box: int) -> NDArray[np.float64]:
    """Return the true rules as rows (4*N*N, N**3); only figures and tests look at them."""
    size = box * box
    row, column, digit = (axis.ravel() for axis in np.indices((size, size, size)))
    block = _box_of(row, column, box)
    pairs = ((row, column), (row, digit), (column, digit), (block, digit))
    keys = [first * size + second for first, second in pairs]
    return np.concatenate([np.eye(size * size)[key].T for key in keys])


def is_valid_grid(board: Board, box: int) -> bool:
    """Tell whether every cell is filled and every rule holds."""
    size = box * box
    if not board.all():
        return False
    one_hot = np.eye(size)[board.astype(int) - 1].ravel()
    return bool((rules_matrix(box) @ one_hot == 1).all())


def solutions(board: Board, box: int, rng: np.random.Generator | None = None) -> Iterator[Board]:
    """Yield every completion of ``board``; none if its clues clash.

    ``rng`` shuffles the order in which digits are tried, which turns the first completion of an
    empty board into a random grid.
    """
    search = _Search(board.astype(int).tolist(), box, rng)
    if search.consistent:
        yield from search.run()


def count_solutions(board: Board, box: int, limit: int = 2) -> int:
    """Count completions, stopping at ``limit``."""
    return sum(1 for _ in islice(solutions(board, box), limit))


def all_grids(box: int) -> NDArray[np.uint8]:
    """Return all full grids (K, N*N): 288 for ``box=2``; hopeless beyond that."""
    if box != 2:
        raise ValueError(f"only the grids of box=2 can be listed, not those of box={box}")
    return np.stack(list(solutions(np.zeros(16, np.uint8), box)))


def _box_of(row: NDArray[np.int_], column: NDArray[np.int_], box: int) -> NDArray[np.int_]:
    return row // box * box + column // box


@dataclass
class _Search:
    """Depth-first search that always fills the cell with the fewest candidates."""

    cells: list[int]
    box: int
    rng: np.random.Generator | None
    consistent: bool = True
    empty: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        size = self.box * self.box
        row, column = np.divmod(np.arange(size * size), size)
        # One list of 3*N bit masks: the digits used in every row, column and box.
        units = (row, size + column, 2 * size + _box_of(row, column, self.box))
        self.units: list[list[int]] = np.stack(units, axis=1).tolist()
        self.used = [0] * (3 * size)
        self.full = (1 << size) - 1
        for cell, digit in enumerate(self.cells):
            if not digit:
                self.empty.append(cell)
            elif self._candidates(cell) >> (digit - 1) & 1:
                self._toggle(cell, 1 << (digit - 1))
            else:
                self.consistent = False

    def run(self) -> Iterator[Board]:
        if not self.empty:
            yield np.array(self.cells, np.uint8)
            return
        position = self._tightest()
        # Swapping with the last makes removal and restoration cheap; the order does not matter.
        self.empty[position], self.empty[-1] = self.empty[-1], self.empty[position]
        cell = self.empty.pop()
        for digit in self._digits(cell):
            self._toggle(cell, 1 << (digit - 1))
            self.cells[cell] = digit
            yield from self.run()
            self._toggle(cell, 1 << (digit - 1))
        self.cells[cell] = 0
        self.empty.append(cell)

    def _candidates(self, cell: int) -> int:
        row, column, box = self.units[cell]
        return self.full & ~(self.used[row] | self.used[column] | self.used[box])

    def _toggle(self, cell: int, bit: int) -> None:
        for unit in self.units[cell]:
            self.used[unit] ^= bit

    def _tightest(self) -> int:
        best, fewest = 0, len(self.cells)
        for position, cell in enumerate(self.empty):
            count = self._candidates(cell).bit_count()
            if count < fewest:
                best, fewest = position, count
                if count <= 1:
                    break
        return best

    def _digits(self, cell: int) -> list[int]:
        mask = self._candidates(cell)
        digits = [
            digit for digit in range(1, self.full.bit_length() + 1) if mask >> (digit - 1) & 1
        ]
        if self.rng is not None:
            digits = self.rng.permutation(digits).tolist()
        return digits
