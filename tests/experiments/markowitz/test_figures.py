import numpy as np
import pytest
from matplotlib.image import imread

from lpgd.experiments.markowitz.figures import draw_figures
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
