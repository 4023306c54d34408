import torch

from lpgd.experiments.runs import RunDirectory
from lpgd.experiments.sudoku.config import SudokuConfig
from lpgd.experiments.sudoku.data import generate
from lpgd.experiments.sudoku.task import COLUMNS, SudokuTask
from lpgd.experiments.training import Trainer


def trainer(path, **changes):
    path.mkdir(exist_ok=True)
    settings = {"batch": 20, "epochs": 4} | changes
    config = SudokuConfig(**settings)
    return Trainer(config, SudokuTask(config, generate(2, 90, 10)), RunDirectory(path))


def numbers(rows):
    return [{name: row[name] for name in COLUMNS if not name.startswith("seconds")} for row in rows]


def test_loss_falls_and_last_batch_may_be_smaller(tmp_path):
    run = trainer(tmp_path)
    assert (run.steps_per_epoch, run.total_steps) == (5, 20)
    rows = [run.advance() for _ in range(20)]
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
    assert [row["step"] for row in rows if run.is_judged(row)] == [5, 10, 15, 20]
    assert rows[-1]["epoch"] == 4
    assert all(row["seconds_forward"] > 0 and row["seconds_backward"] > 0 for row in rows)
    assert rows[-1]["failures"] == 0


def test_judgements_are_spread_over_the_epoch(tmp_path):
    run = trainer(tmp_path, evaluations=2, epochs=2)
    rows = [run.advance() for _ in range(10)]
    assert [row["step"] for row in rows if run.is_judged(row)] == [3, 5, 8, 10]


def test_seeds_decide_the_numbers(tmp_path):
    runs = [trainer(tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    rows = [numbers([run.advance() for _ in range(3)]) for run in runs]
    assert rows[0] == rows[1]
    assert rows[0] != rows[2]


def test_lost_steps_are_made_again_to_the_same_numbers(tmp_path):
    unbroken = trainer(tmp_path / "unbroken")
    for _ in range(20):
        unbroken.advance()
    broken = trainer(tmp_path / "broken")
    for _ in range(17):
        broken.advance()
    resumed = trainer(tmp_path / "broken")
    assert resumed.step == 10
    assert len(resumed.rows) == 10
    assert numbers(resumed.rows) == numbers(broken.rows[:10])
    assert resumed.rows[-1]["seconds"] == broken.rows[9]["seconds"]
    while resumed.step < resumed.total_steps:
        resumed.advance()
    assert numbers(resumed.rows) == numbers(unbroken.rows)
    assert torch.equal(resumed.task.model.A, unbroken.task.model.A)
    reread = trainer(tmp_path / "broken")
    assert numbers(reread.rows) == numbers(unbroken.rows)
    assert reread.rows[-1]["seconds"] == resumed.rows[-1]["seconds"]
