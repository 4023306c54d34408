import pytest

from lpgd.experiments.methods import choose_methods, setting_name
from lpgd.experiments.runs import ExperimentError
from lpgd.experiments.sudoku.config import SudokuConfig
from lpgd.experiments.sudoku.methods import LEARNING_RATES, METHODS, TAUS


def test_every_method_tries_every_learning_rate():
    for method in METHODS:
        candidates = method.candidates(SudokuConfig(seed=7))
        assert len({setting_name(config) for config in candidates}) == len(candidates)
        assert {config.lr for config in candidates} == set(LEARNING_RATES)
        assert {config.tau for config in candidates} == set(method.taus or [1e4])
        assert {(config.rule, config.side, config.rho, config.seed) for config in candidates} == {
            (method.rule, method.side, method.rho, 7)
        }


def test_the_three_sides_choose_among_the_same_taus():
    assert {m.side: m.taus for m in METHODS if m.rho == 0.1 and m.rule == "lpgd"} == {
        "average": TAUS,
        "lower": TAUS,
        "upper": TAUS,
    }


def test_methods_are_chosen_by_name():
    assert choose_methods(METHODS, None) == list(METHODS)
    assert choose_methods(METHODS, ["upper", "lower"]) == [METHODS[2], METHODS[1]]
    with pytest.raises(ExperimentError, match="unknown method magic"):
        choose_methods(METHODS, ["magic"])
