import numpy as np
import pytest

from lpgd.experiments.sudoku.solver import (
    all_grids,
    count_solutions,
    is_valid_grid,
    rules_matrix,
    rules_rank,
    solutions,
)


def test_all_288_small_grids():
    grids = all_grids(2)
    assert grids.shape == (288, 16)
    assert len(np.unique(grids, axis=0)) == 288
    assert all(is_valid_grid(grid, 2) for grid in grids)


def test_large_grids_cannot_be_listed():
    with pytest.raises(ValueError, match="box=3"):
        all_grids(3)


@pytest.mark.parametrize("box", [2, 3])
def test_rank_of_the_rules(box):
    rules = rules_matrix(box)
    assert rules.shape == (4 * box**4, box**6)
    assert np.linalg.matrix_rank(rules) == rules_rank(box)
    assert (rules.sum(axis=1) == box**2).all()


def test_known_large_puzzle():
    puzzle = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
    answer = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"
    board = np.array([int(symbol) for symbol in puzzle.replace(".", "0")], np.uint8)
    (found,) = solutions(board, 3)
    assert "".join(map(str, found)) == answer
    assert is_valid_grid(found, 3)


def test_clashing_clues_have_no_completion_and_an_empty_board_has_many():
    board = np.zeros(16, np.uint8)
    assert count_solutions(board, 2, limit=1000) == 288
    assert count_solutions(board, 2) == 2
    board[:2] = 1
    assert count_solutions(board, 2) == 0


def test_random_grids_depend_on_the_generator_only():
    def draw(seed):
        return next(solutions(np.zeros(81, np.uint8), 3, np.random.default_rng(seed)))

    assert np.array_equal(draw(1), draw(1))
    assert not np.array_equal(draw(1), draw(2))
    assert is_valid_grid(draw(3), 3)
