from lpgd.experiments.sudoku.config import SudokuConfig
from lpgd.experiments.sudoku.methods import LEARNING_RATES, METHODS, TAUS, setting_name


def test_every_method_tries_every_learning_rate():
    for method in METHODS:
        candidates = method.candidates(SudokuConfig(seed=7))
        assert len({setting_name(config) for config in candidates}) == len(candidates)
        assert {config.lr for config in candidates} == set(LEARNING_RATES)
        assert {config.tau for config in candidates} == set(method.taus)
        assert {(config.rule, config.side, config.rho, config.seed) for config in candidates} == {
            (method.rule, method.side, method.rho, 7)
        }


def test_the_three_sides_choose_among_the_same_taus():
    assert {m.side: m.taus for m in METHODS if m.rho == 0.1 and m.rule == "lpgd"} == {
        "average": TAUS,
        "lower": TAUS,
        "upper": TAUS,
    }
