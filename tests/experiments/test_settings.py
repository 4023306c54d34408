import json
from dataclasses import dataclass

import pytest

from lpgd import LPGD, Exact
from lpgd.experiments.runs import DamagedFileError, ExperimentError, RunDirectory
from lpgd.experiments.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Example(Settings):
    epochs: int = 2
    batch: int = 5
    lr: float = 0.1
    tau: float = 3.0


def test_settings_say_which_rule_they_mean():
    assert Example(side="lower", rho=0.5).make_rule() == LPGD(tau=3.0, rho=0.5, side="lower")
    assert Example(tau="auto").make_rule() == LPGD()
    assert Example(rule="exact", rho=0.5).make_rule() == Exact(rho=0.5)
    assert Example(lr=0.3).learning_rate(7) == 0.3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr": 0.0}, "the learning rate must be a positive finite number, got 0.0"),
        ({"lr": "fast"}, "the learning rate must be"),
        ({"epochs": 0}, "epochs must be a whole number >= 1, got 0"),
        ({"batch": 2.5}, "batch must be a whole number"),
        ({"seed": True}, "seed must be a whole number"),
        ({"threads": 0}, "threads must be a whole number >= 1"),
        ({"rule": "magic"}, "rule must be lpgd or exact, got 'magic'"),
        ({"engine": 3}, "engine must be a name"),
        ({"tau": -1.0}, "tau must be"),
        ({"side": "left"}, "side must be"),
        ({"loss": "half"}, "loss must be linearised or full, got 'half'"),
        ({"loss": "full"}, "needs rule lpgd and side lower"),
        ({"loss": "full", "side": "lower", "rule": "exact"}, "needs rule lpgd"),
        ({"loss": "full", "side": "lower", "tau": "auto"}, "needs a tau"),
    ],
)
def test_bad_settings_are_refused(changes, message):
    with pytest.raises(ExperimentError, match=message):
        Example(**changes)


def test_settings_are_written_and_read_back(tmp_path):
    run = RunDirectory(tmp_path)
    Example(seed=4, threads=2).write(run)
    assert Example.read(run) == Example(seed=4, threads=2)
    run.config.write_text(json.dumps({"seed": -1}))
    with pytest.raises(DamagedFileError, match="seed must be"):
        Example.read(run)
    run.config.unlink()
    with pytest.raises(ExperimentError, match="is not a run directory"):
        Example.read(run)
