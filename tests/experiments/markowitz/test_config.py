import pytest

from lpgd.experiments.markowitz.config import MarkowitzConfig
from lpgd.experiments.runs import ExperimentError


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": "invented"}, "data must be synthetic or historical"),
        ({"prices": "gold"}, "prices must be sp500 or factors"),
        ({"objective": "fame"}, "objective must be tracking or utility"),
        ({"noise": -1.0}, "noise must be a finite number >= 0"),
        ({"assets": 1}, "assets must be a whole number >= 2"),
        ({"tau": 0.0}, "tau"),
        ({"lr": float("nan")}, "learning rate"),
    ],
)
def test_bad_settings_are_refused(change, message):
    with pytest.raises(ExperimentError, match=message):
        MarkowitzConfig(**change)


def test_step_size_for_utility_is_halved_every_epoch():
    assert [MarkowitzConfig(lr=1.0).learning_rate(epoch) for epoch in range(3)] == [1, 1, 1]
    utility = MarkowitzConfig(lr=1.0, objective="utility")
    assert [utility.learning_rate(epoch) for epoch in range(3)] == [1, 0.5, 0.25]
