import pytest

from lpgd import LPGD
from lpgd.experiments.decisions.config import DecisionConfig
from lpgd.experiments.runs import ExperimentError
from lpgd.rules import IMLE, Identity, SumOfGamma


def test_layers_have_rules_and_losses_have_none():
    assert DecisionConfig(tau=3.0, side="upper").make_rule() == LPGD(3.0, side="upper")
    assert DecisionConfig(rule="blackbox", tau=10.0).make_rule() == LPGD(10.0, side="lower")
    assert DecisionConfig(rule="identity").make_rule() == Identity("both")
    imle = DecisionConfig(rule="imle", tau=2.0, sigma=0.1, samples=3, seed=4).make_rule()
    assert imle == IMLE(2.0, 0.1, 3, SumOfGamma(seed=4))
    for rule in ("two-stage", "spo-plus", "fenchel-young"):
        assert DecisionConfig(rule=rule).make_rule() is None
    assert DecisionConfig(rule="fenchel-young").method == "fenchel-young loss, sigma 0.5"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rule": "exact"}, "rule must be lpgd or blackbox or"),
        ({"rule": "cave"}, "rule must be"),
        ({"rule": "imle"}, "tau of imle must be a number"),
        ({"sigma": 0.0}, "sigma must be a positive finite number"),
        ({"samples": 0}, "samples must be a whole number"),
        ({"task_loss": "squared"}, "task_loss must be regret or hamming"),
    ],
)
def test_bad_settings_are_refused(changes, message):
    with pytest.raises(ExperimentError, match=message):
        DecisionConfig(**changes)
