import json

import pytest

from lpgd import LPGD, Exact
from lpgd.experiments.sudoku.config import SudokuConfig


def test_defaults_are_the_ones_of_the_paper():
    config = SudokuConfig()
    assert config.make_rule() == LPGD(tau=1e4, rho=0.1, side="average")
    assert (config.batch, config.lr, config.epochs) == (150, 0.1, 3)


@pytest.mark.parametrize("rule", ["lpgd", "exact"])
def test_json_round_trip(rule):
    config = SudokuConfig(rule=rule, rho=1e-3, threads=2, side="upper")
    assert SudokuConfig(**json.loads(json.dumps(config.to_json()))) == config
    assert isinstance(config.make_rule(), LPGD if rule == "lpgd" else Exact)
