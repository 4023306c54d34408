"""What tuning tells of the settings it tried."""

import io
from dataclasses import replace

from rich.console import Console

from lpgd.experiments.comparison import Tuned
from lpgd.experiments.decisions.report import tuned_table
from lpgd.experiments.methods import choose_methods
from lpgd.experiments.shortest_path.commands import METHODS
from lpgd.experiments.shortest_path.experiment import ShortestPathConfig


def test_the_table_shows_the_least_regret_and_its_setting():
    (method,) = choose_methods(METHODS, ["average"])
    method = replace(method, taus=(0.3, 3.0, 10.0), learning_rates=(0.01,))
    tuned = Tuned(method, method.candidates(ShortestPathConfig()), [(0.3,), (0.125,), (0.2,)])
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(tuned_table([tuned]))
    (row,) = [line for line in console.export_text().splitlines() if method.label in line]
    assert row.split()[-5:] == ["tau", "3", "0.01", "12.50", "3"]
