import numpy as np
import pytest
import torch
from matplotlib.image import imread

from lpgd.experiments.markowitz.accounts import Account
from lpgd.experiments.markowitz.figures import (
    draw_accounts,
    draw_figures,
    draw_losses,
    draw_parameters,
)
from lpgd.experiments.markowitz.policy import make_policy
from lpgd.experiments.markowitz.task import MarkowitzTask
from lpgd.experiments.runs import RunDirectory
from lpgd.experiments.training import Trainer

from .worlds import historical_world, synthetic_world, tiny_config


@pytest.mark.parametrize("objective", ["tracking", "utility"])
@pytest.mark.parametrize("make_world", [synthetic_world, historical_world])
def test_figures_of_a_run(tmp_path, objective, make_world):
    config, run = tiny_config(objective=objective, epochs=1, lr=1e-3), RunDirectory(tmp_path)
    trainer = Trainer(config, MarkowitzTask(config, make_world()), run)
    while trainer.step < trainer.total_steps:
        trainer.advance()
    draw_figures(trainer, run)
    for name in ("loss", "wealth", "parameters"):
        picture = imread(run.figure(name))
        assert min(picture.shape[:2]) > 200
        assert np.ptp(picture[..., :3]) > 0.5


@pytest.mark.parametrize("objective", ["tracking", "utility"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e308])
def test_training_that_diverged_is_drawn(tmp_path, objective, value):
    config, run = tiny_config(objective=objective), RunDirectory(tmp_path)
    trainer = Trainer(config, MarkowitzTask(config, synthetic_world()), run)
    trainer.rows = [dict.fromkeys(("epoch", "seconds"), 1.0)] * 2
    trainer.rows = [row | {"loss": value, "validation_loss": value} for row in trainer.rows]
    start = make_policy(config, trainer.task.world.beliefs)
    with torch.no_grad():
        for parameter in trainer.task.model.parameters():
            parameter.fill_(value)
    draw_losses(trainer, run)
    draw_accounts({"policy": Account([1.0, value], 0.1)}, run)
    draw_parameters(trainer.task.model, start, None, run)
    for name in ("loss", "wealth", "parameters"):
        assert imread(run.figure(name)).shape[0] > 200
