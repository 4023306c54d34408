"""Whatever the rule: runs that stop go on to the same numbers, and solves are counted."""

import numpy as np
import pytest
import torch

from lpgd.experiments.contest import Outcome
from lpgd.experiments.decisions.cases import Cases
from lpgd.experiments.runs import RunDirectory
from lpgd.experiments.shortest_path.experiment import SHORTEST_PATH, ShortestPathConfig
from lpgd.experiments.training import Trainer

# Instances this few may all stay where they are under a tilt.
pytestmark = pytest.mark.filterwarnings("ignore::lpgd.StuckWarning")

TINY = {"grid": 3, "train_size": 24, "test_size": 20, "batch": 8, "epochs": 4, "samples": 2}
PER_INSTANCE = {  # solved in one pass over the training instances
    "two-stage": 0,
    "spo-plus": 1,
    "fenchel-young": 2,
    "identity": 1,
    "blackbox": 2,
    "imle": 4,
    "lpgd": 3,
}


def trainer(path, rule, **changes):
    tau = {"tau": 2.0} if rule in ("lpgd", "blackbox", "imle") else {}
    config = ShortestPathConfig(**{**TINY, "rule": rule, **tau, **changes})
    path.mkdir(exist_ok=True)
    return Trainer(config, SHORTEST_PATH.task(config), RunDirectory(path))


def numbers(rows):
    return [(row["loss"], row["regret"], row["solved"]) for row in rows]


@pytest.mark.parametrize("rule", PER_INSTANCE)
def test_a_run_that_was_stopped_goes_on_to_the_same_numbers(tmp_path, rule):
    whole = trainer(tmp_path / "whole", rule)
    rows = [whole.advance() for _ in range(12)]
    assert rows[-1]["solved"] == 4 * 24 * PER_INSTANCE[rule]
    assert rows[-1]["loss"] < rows[0]["loss"]
    first = trainer(tmp_path / "parts", rule)
    for _ in range(5):
        first.advance()
    first.save()
    second = trainer(tmp_path / "parts", rule)
    assert second.step == 5
    assert numbers([*second.rows, *(second.advance() for _ in range(7))]) == numbers(rows)


def test_a_run_that_was_stopped_before_its_first_step_begins(tmp_path):
    trainer(tmp_path, "fenchel-young").save()
    again = trainer(tmp_path, "fenchel-young")
    assert again.advance()["step"] == 1


def test_regret_is_that_over_the_best():
    costs = torch.tensor([[1.0, 2.0], [3.0, 1.0]])
    cases = Cases(torch.zeros(2, 1), costs, torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    found = cases.regrets(np.array([[0.0, 1.0], [0.0, 1.0]]))
    assert found == (pytest.approx(0.5), 0.5)


def test_hamming_loss_counts_the_edges_that_differ(tmp_path):
    task = trainer(tmp_path, "lpgd", task_loss="hamming").task
    chosen = np.arange(6)
    cases = task.split.train[chosen]
    differing = np.abs(task.decide(cases) - cases.best.numpy()).sum()
    assert task.loss(chosen).item() == pytest.approx(differing)


@pytest.mark.parametrize("curve, score", [([0.1, 0.3, 0.2], 0.2), ([0.1, None], np.inf)])
def test_runs_are_ordered_by_their_regret_at_the_end(curve, score):
    moments = [float(at) for at in range(len(curve))]
    outcome = Outcome({}, 1, False, moments, moments, {"regret": curve}, 0)
    assert SHORTEST_PATH.score(outcome) == (score,)
