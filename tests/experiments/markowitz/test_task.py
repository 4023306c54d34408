import pytest
import torch

from lpgd import EngineError
from lpgd.experiments.markowitz.policy import make_policy
from lpgd.experiments.markowitz.task import MARKOWITZ, MarkowitzTask
from lpgd.experiments.runs import RunDirectory
from lpgd.experiments.training import Trainer

from .worlds import historical_world, synthetic_world, tiny_config


def trainer(path, config, world):
    path.mkdir(exist_ok=True)
    return Trainer(config, MarkowitzTask(config, world), RunDirectory(path))


def numbers(rows):
    return [{k: v for k, v in row.items() if not k.startswith("seconds")} for row in rows]


def finish(run):
    while run.step < run.total_steps:
        run.advance()
    return run


@pytest.mark.parametrize("objective", ["tracking", "utility"])
@pytest.mark.parametrize("make_world", [synthetic_world, historical_world])
def test_lost_steps_are_made_again_to_the_same_numbers(tmp_path, objective, make_world):
    config = tiny_config(
        objective=objective, epochs=4, lr=0.02 if objective == "tracking" else 1e-3
    )
    world = make_world()
    unbroken = finish(trainer(tmp_path / "unbroken", config, world))
    broken = trainer(tmp_path / "broken", config, world)
    for _ in range(13):
        broken.advance()
    resumed = trainer(tmp_path / "broken", config, world)
    assert resumed.step == 10
    finish(resumed)
    assert numbers(resumed.rows) == numbers(unbroken.rows)
    for name, value in unbroken.task.model.state_dict().items():
        assert torch.equal(resumed.task.model.state_dict()[name], value), name


def test_tracking_learns_the_experts_trades(tmp_path):
    config = tiny_config(months=40, epochs=8, batch=20, lr=0.05)
    run = finish(trainer(tmp_path, config, synthetic_world(months=40)))
    result = MARKOWITZ.result(run)
    assert run.rows[-1]["validation_loss"] == result["validation_loss"]
    assert result["validation_loss"] < 0.3 * result["start_validation_loss"]
    assert result["test_loss"] < 0.3 * result["start_test_loss"]
    assert set(result["economics"]) == {"policy", "start", "expert"}
    assert set(result["learned"]) == {"mean", "root", "aversion", "trading", "shorting"}


def test_step_sizes_of_utility_are_in_natural_units():
    config = tiny_config(objective="utility", lr=1e-3)
    task = MarkowitzTask(config, synthetic_world())
    before = task.model.mean.detach().clone()
    task.loss(torch.arange(5).numpy()).backward()
    gradient = task.model.mean.grad.clone()
    for group in task.optimizer.param_groups:
        group["lr"] = 1e-3 * group["scale"]
    task.optimizer.step()
    natural = (task.model.mean.detach() - before) / 100  # per cent to shares
    torch.testing.assert_close(natural, -1e-3 * gradient * 100)


def test_costs_are_learned_from_trades_only():
    policies = {
        objective: make_policy(tiny_config(objective=objective), synthetic_world().beliefs)
        for objective in ("tracking", "utility")
    }
    learned = {name: set(dict(p.named_parameters())) for name, p in policies.items()}
    assert learned["tracking"] - learned["utility"] == {"trading", "shorting"}


def test_an_engine_that_cannot_work_is_refused():
    with pytest.raises(EngineError, match="unknown engine"):
        MARKOWITZ.check(tiny_config(engine="magic"))
    MARKOWITZ.check(tiny_config(engine="moreau"))
