import csv
import io
import json
from dataclasses import replace

import pytest
from matplotlib.image import imread
from rich.console import Console

from lpgd.experiments.comparison import Final
from lpgd.experiments.contest import Outcome
from lpgd.experiments.sudoku.config import SudokuConfig
from lpgd.experiments.sudoku.methods import METHODS
from lpgd.experiments.sudoku.report import draw_comparison, results_table, write_results


def outcome(wrong, seed):
    steps = [(at + 1) / 2 for at in range(len(wrong))]
    seconds = [(4 + seed) * step for step in steps]
    curves = {"wrong": wrong, "mse": [0.1] * len(wrong)}
    return Outcome(SudokuConfig(seed=seed), 2, False, steps, seconds, curves, 0)


@pytest.fixture
def finals():
    quick = [outcome([50.0, 1.0, 0.0], 0), outcome([0.5, 0.5], 1), outcome([9.0, 7.0, 2.0, 1.0], 2)]
    slow = [outcome([99.0, 90.0, 60.0, 1.0], 0), *(outcome([99.0] * 4, seed) for seed in (1, 2))]
    config = SudokuConfig()
    return [Final(METHODS[0], config, quick), Final(METHODS[-1], config, slow)]


def test_files(finals, tmp_path):
    write_results(finals, tmp_path)
    quick, slow = json.loads((tmp_path / "results.json").read_text())
    assert quick["epochs_to_goal"] == [1.0, 0.5, 2.0]
    assert (quick["median_epochs_to_goal"], quick["median_seconds_to_goal"]) == (1.0, 4.0)
    assert slow["epochs_to_goal"] == [2.0, None, None]
    assert slow["median_epochs_to_goal"] is None
    with (tmp_path / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["seed"] for row in rows] == ["0", "1", "2"] * 2
    assert rows[-1]["epochs_to_goal"] == ""
    assert imread(tmp_path / "compare.png").shape[1] > 1000


def test_table_shows_median_and_range(finals):
    console = Console(file=io.StringIO(), width=80)
    console.print(results_table(finals))
    text = console.file.getvalue()
    assert "1.00 (0.50 to 2.00)" in text
    assert "4.0 (2.5 to 12.0)" in text
    assert "> 2 (2.00 to > 2)" in text


def test_figure_explains_itself(finals, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "lpgd.experiments.sudoku.report.save", lambda figure, _path: drawn.append(figure)
    )
    small = replace(finals[0], method=METHODS[3])
    draw_comparison([*finals, small], tmp_path / "compare.png")
    (figure,) = drawn
    assert "median over three seeds" in figure.get_suptitle()
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["LPGD average", "Exact, ρ = 0.1", "LPGD, small τ (1e-4)"]
