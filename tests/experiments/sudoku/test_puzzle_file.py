import numpy as np
import pytest

from lpgd.experiments.sudoku.puzzle_file import PuzzleFileError, format_board, read_puzzles

PUZZLE, ANSWER = "1.34.4.2.143.3.1", "1234341221434321"
SWAP = str.maketrans("12", "21")


def read(tmp_path, text, box=2):
    path = tmp_path / "puzzles.txt"
    path.write_text(text)
    return read_puzzles(path, box)


@pytest.mark.parametrize(
    "text",
    [
        PUZZLE,
        PUZZLE.replace(".", "0"),
        f"{PUZZLE} {ANSWER}",
        f"{PUZZLE},{ANSWER}",
        f"{PUZZLE}\t{ANSWER}\r\n\n",
        f"puzzle,solution\n# mine\n\n{PUZZLE} , {ANSWER}\n",
    ],
)
def test_forms_of_a_line(tmp_path, text):
    puzzles, answers = read(tmp_path, text)
    assert [format_board(board) for board in puzzles] == [PUZZLE]
    assert [format_board(board) for board in answers] == [ANSWER]
    assert puzzles.dtype == answers.dtype == np.uint8


def test_box_of_three(tmp_path):
    puzzle = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
    puzzles, answers = read(tmp_path, puzzle, box=3)
    assert puzzles.shape == answers.shape == (1, 81)
    assert answers.all()


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("123", "expected 16 cells for --box 2, got 3"),
        (PUZZLE.replace("4", "5"), "unknown cell '5': use 1 to 4 or a dot"),
        ("." * 16, "more than one completion"),
        ("11" + "." * 14, "no completion"),
        (f"{PUZZLE} {ANSWER.translate(SWAP)}", "contradicts the clues"),
        (f"{PUZZLE} {PUZZLE}", "breaks the rules of Sudoku or is incomplete"),
        (f"{PUZZLE} {'1234' * 4}", "breaks the rules"),
        (f"{PUZZLE} {ANSWER} 7", "got 3 columns"),
    ],
)
def test_complaints_name_file_and_line(tmp_path, line, complaint):
    with pytest.raises(PuzzleFileError, match=complaint) as caught:
        read(tmp_path, f"{PUZZLE}\n\n{line}\n")
    assert "puzzles.txt, line 3: " in str(caught.value)


def test_empty_file(tmp_path):
    with pytest.raises(PuzzleFileError, match="holds no puzzles"):
        read(tmp_path, "# nothing\n")


def test_only_one_heading_is_skipped(tmp_path):
    with pytest.raises(PuzzleFileError, match="line 3: expected 16 cells"):
        read(tmp_path, f"# mine\npuzzle,solution\nhello\n{PUZZLE}\n")
    with pytest.raises(PuzzleFileError, match="line 2: expected 16 cells"):
        read(tmp_path, f"{PUZZLE}\npuzzle,solution\n")
