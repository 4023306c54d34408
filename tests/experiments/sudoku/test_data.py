import numpy as np
import pytest

from lpgd.experiments.runs import ExperimentError
from lpgd.experiments.sudoku.data import Boards, Split, from_file, generate, one_hot
from lpgd.experiments.sudoku.puzzle_file import format_board
from lpgd.experiments.sudoku.solver import count_solutions, is_valid_grid


@pytest.fixture(scope="module")
def split() -> Split:
    return generate(2, None, None)


def as_set(boards: Boards) -> set[bytes]:
    return {puzzle.tobytes() for puzzle in boards.puzzles}


def test_sizes_and_clues(split):
    assert (len(split.train), len(split.test)) == (9000, 1000)
    clues = np.count_nonzero(split.train.puzzles, axis=1)
    assert set(clues.tolist()) == {4, 5, 6, 7, 8}


def test_no_puzzle_twice(split):
    assert len(as_set(split.train)) == 9000
    assert len(as_set(split.test)) == 1000
    assert not as_set(split.train) & as_set(split.test)


def test_every_completion_is_the_only_one(split):
    for boards in (split.train[:300], split.test[:100]):
        assert all(count_solutions(puzzle, 2) == 1 for puzzle in boards.puzzles)
    for boards in (split.train, split.test):
        given = boards.puzzles > 0
        assert (boards.puzzles[given] == boards.solutions[given]).all()
    assert all(is_valid_grid(grid, 2) for grid in split.train.solutions[:300])


def test_same_seed_same_puzzles(split):
    again = generate(2, 100, 1000)
    assert np.array_equal(again.test.puzzles, split.test.puzzles)
    assert np.array_equal(again.train.puzzles, split.train.puzzles[:100])
    other = generate(2, 100, 1000, seed=1)
    assert not np.array_equal(other.test.puzzles, split.test.puzzles)


def test_validation_comes_from_training_puzzles(split):
    tuning = split.for_tuning()
    assert (len(tuning.train), len(tuning.test)) == (8100, 900)
    assert as_set(tuning.train) | as_set(tuning.test) == as_set(split.train)
    assert not as_set(tuning.test) & as_set(split.test)


def test_one_hot_index():
    board = np.zeros((1, 16), np.uint8)
    board[0, 4 * 2 + 1] = 3
    code = one_hot(board, 2)
    assert code.shape == (1, 64)
    assert np.flatnonzero(code).tolist() == [(2 * 4 + 1) * 4 + 2]


def test_large_puzzles():
    split = generate(3, 3, 1)
    boards = split.train
    assert boards.inputs().shape == (3, 729)
    assert (boards.labels().sum(axis=1) == 81).all()
    assert all(count_solutions(puzzle, 3) == 1 for puzzle in boards.puzzles)
    clues = np.count_nonzero(boards.puzzles, axis=1)
    assert ((clues >= 30) & (clues <= 40)).all()
    assert np.array_equal(generate(3, 3, 1).train.puzzles, boards.puzzles)


def test_what_cannot_be_generated():
    with pytest.raises(ExperimentError, match="at most 100000"):
        generate(2, 100_000, 1)
    with pytest.raises(ExperimentError, match="box=4"):
        generate(4, 1, 1)


def write(path, boards):
    path.write_text("".join(f"{format_board(puzzle)}\n" for puzzle in boards.puzzles))


def test_split_of_a_file(tmp_path, split):
    path = tmp_path / "puzzles.txt"
    write(path, split.train[np.r_[0:30, 0:30]])
    mine = from_file(path, 2, (None, None))
    assert (len(mine.train), len(mine.test)) == (27, 3)
    assert as_set(mine.train) | as_set(mine.test) == as_set(split.train[:30])
    small = from_file(path, 2, (5, 2), seed=1)
    assert (len(small.train), len(small.test)) == (5, 2)
    with pytest.raises(ExperimentError, match="30 different puzzles, too few for 29"):
        from_file(path, 2, (29, 2))
