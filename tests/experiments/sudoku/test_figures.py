import numpy as np
import pytest
import torch
from matplotlib.image import imread

from lpgd.experiments.runs import RunDirectory
from lpgd.experiments.sudoku.config import SudokuConfig
from lpgd.experiments.sudoku.data import generate
from lpgd.experiments.sudoku.figures import draw_boards, draw_constraints, draw_figures, draw_losses
from lpgd.experiments.sudoku.model import RuleLearner
from lpgd.experiments.sudoku.task import SudokuTask
from lpgd.experiments.training import Trainer


def assert_drawn(run, name):
    picture = imread(run.figure(name))
    assert min(picture.shape[:2]) > 200
    assert np.ptp(picture[..., :3]) > 0.5


def test_figures_of_a_run(tmp_path):
    run, split = RunDirectory(tmp_path), generate(2, 20, 6)
    config = SudokuConfig(batch=10, epochs=1)
    trainer = Trainer(config, SudokuTask(config, split), run)
    trainer.advance()
    trainer.advance()
    draw_figures(trainer, run)
    for name in ("loss", "constraints", "boards"):
        assert_drawn(run, name)


@pytest.mark.parametrize("count", [1, 4])
def test_few_boards(tmp_path, count):
    run, split = RunDirectory(tmp_path), generate(2, 1, count)
    draw_boards(RuleLearner(SudokuConfig()), split.test, run)
    assert_drawn(run, "boards")


def test_constraints_of_large_boards(tmp_path):
    run = RunDirectory(tmp_path)
    draw_constraints(RuleLearner(SudokuConfig(box=3)), 3, run)
    assert_drawn(run, "constraints")


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e308, 1e200])
def test_training_that_diverged_is_drawn(tmp_path, value):
    run, config = RunDirectory(tmp_path), SudokuConfig(batch=10, epochs=1)
    trainer = Trainer(config, SudokuTask(config, generate(2, 10, 6)), run)
    trainer.advance()
    trainer.rows[0] |= {"loss": value, "test_mse": value}
    with torch.no_grad():
        trainer.task.model.A[0] = value
    draw_losses(trainer, run)
    draw_constraints(trainer.task.model, 2, run)
    for name in ("loss", "constraints"):
        assert_drawn(run, name)
