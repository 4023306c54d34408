import json

import pytest

from lpgd.experiments.contest import Contest, Outcome, play
from lpgd.experiments.runs import DamagedFileError, RunDirectory, write_json
from lpgd.experiments.sudoku.config import SudokuConfig
from lpgd.experiments.sudoku.task import GOAL, SUDOKU

CONFIG = SudokuConfig(train_size=60, test_size=10, batch=10, evaluations=3)


def outcome(wrong, mse=0.1):
    steps = [float(at + 1) for at in range(len(wrong))]
    seconds = [2 * step for step in steps]
    return Outcome(CONFIG, 9, False, steps, seconds, {"wrong": wrong, "mse": [mse] * len(wrong)}, 0)


def test_goal_is_the_first_judgement_with_at_most_one_per_cent():
    reached = outcome([50.0, 1.0, 3.0, 0.0])
    assert reached.when("epoch", "wrong", GOAL) == 2.0
    assert reached.when("seconds", "wrong", GOAL) == 4.0
    assert outcome([50.0, 1.1]).when("epoch", "wrong", GOAL) is None


def test_order_of_scores():
    ranked = [outcome([1.0]), outcome([9.0, 0.0]), outcome([9.0], 0.01), outcome([9.0], 0.2)]
    mixed = [ranked[at] for at in (2, 0, 3, 1)]
    assert sorted(mixed, key=SUDOKU.score) == ranked
    assert SUDOKU.score(outcome([9.0], None)) > SUDOKU.score(ranked[-1])


def test_outcome_is_kept_continued_and_read_back(tmp_path):
    contest = Contest(SUDOKU, tmp_path, CONFIG, epochs=1, hold=1)
    first = play(contest)
    assert first.epoch == [1 / 3, 2 / 3, 1.0]
    assert (
        Outcome.from_json(SudokuConfig, json.loads(RunDirectory(tmp_path).result.read_text()))
        == first
    )
    before = RunDirectory(tmp_path).checkpoint.stat().st_mtime_ns
    assert play(contest) == first
    assert RunDirectory(tmp_path).checkpoint.stat().st_mtime_ns == before
    longer = play(Contest(SUDOKU, tmp_path, CONFIG, epochs=2, hold=1))
    assert longer.curves["wrong"][:3] == first.curves["wrong"]
    assert longer.seconds[:3] == first.seconds
    assert len(longer.epoch) == 6


def test_a_run_ends_when_the_goal_is_held(tmp_path, monkeypatch):
    monkeypatch.setattr("lpgd.experiments.sudoku.task.GOAL", 100.0)
    ended = play(Contest(SUDOKU, tmp_path, CONFIG, epochs=5, hold=2))
    assert ended.ended
    assert len(ended.curves["wrong"]) == 2
    assert play(Contest(SUDOKU, tmp_path, CONFIG, epochs=9, hold=2)) == ended


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": []},
        {"epoch": ["a"], "seconds": ["b"]},
        {"seconds": [1.0]},
        {"curves": {"wrong": [1.0], "mse": [1.0]}},
        {"curves": {}},
        {"epochs": None},
    ],
)
def test_a_damaged_outcome_is_said_in_a_line(tmp_path, change):
    contest = Contest(SUDOKU, tmp_path, CONFIG, epochs=1)
    content = outcome([50.0, 1.0]).to_json() | change
    write_json(RunDirectory(tmp_path).result, content)
    with pytest.raises(DamagedFileError, match=r"result\.json is damaged"):
        play(contest)
