import csv
import io
import json
from contextlib import nullcontext
from dataclasses import replace

import pytest
from matplotlib.image import imread
from rich.console import Console

from lpgd.experiments.comparison import Effort, compare
from lpgd.experiments.decisions.report import auto_verdict, results_table, write_results
from lpgd.experiments.methods import choose_methods
from lpgd.experiments.shortest_path.commands import METHODS
from lpgd.experiments.shortest_path.experiment import ShortestPathStudy

from ..inline import InlinePool

# Instances this few may all stay where they are under a tilt.
pytestmark = pytest.mark.filterwarnings("ignore::lpgd.StuckWarning")

STUDY = ShortestPathStudy(train_size=32, test_size=30, tuning_epochs=2, grid=3)
NAMES = ["two-stage", "spo-plus", "fenchel-young", "average", "auto"]


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    out = tmp_path_factory.mktemp("compare")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lpgd.experiments.comparison.job_pool", lambda _: nullcontext(InlinePool()))
        chosen = [
            replace(method, taus=method.taus[:2], learning_rates=method.learning_rates[:2])
            for method in choose_methods(METHODS, NAMES)
        ]
        finals = compare(STUDY, chosen, Effort(2, 2), out, Console(quiet=True))
    write_results(finals, out, "Paths")
    return out, finals


def test_settings_are_chosen_on_instances_that_no_final_run_sees(compared):
    out, finals = compared
    for final in finals:
        runs = [
            json.loads(path.read_text())
            for path in out.glob(f"tuning/{final.method.name}/*/result.json")
        ]
        sizes = [max(len(given), 1) for given in (final.method.taus, final.method.sigmas)]
        assert len(runs) == sizes[0] * sizes[1] * len(final.method.learning_rates)
        assert {run["config"]["data_seed"] for run in runs} == {1000}
        assert {run["epoch"][-1] for run in runs} == {STUDY.tuning_epochs}
        assert all(run["config"]["tuning"] for run in runs)  # files have a part for that
        assert not any(outcome.config.tuning for outcome in final.outcomes)
        assert final.tuned == (min(run["curves"]["regret"][-1] for run in runs),)
        assert [outcome.config.data_seed for outcome in final.outcomes] == [0, 1]
        assert {outcome.config.sigma for outcome in final.outcomes} == {final.chosen.sigma}


def test_files(compared):
    out, finals = compared
    summaries = json.loads((out / "results.json").read_text())
    assert [summary["method"] for summary in summaries] == NAMES
    auto = summaries[-1]["regrets"]
    minus = [100 * (a - b) for a, b in zip(summaries[0]["regrets"], auto, strict=True)]
    assert summaries[0]["minus_auto_percent"] == pytest.approx(minus)
    assert summaries[-1]["minus_auto_percent"] is None
    with (out / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * len(finals)
    assert (rows[0]["tau"], rows[0]["solved"]) == ("", "0")
    assert rows[4]["sigma"]
    assert int(rows[4]["solved"]) > int(rows[2]["solved"]) > 0
    assert imread(out / "compare.png").shape[1] > 1000


def test_table_fits_the_terminal_and_the_verdict_names_the_best_fixed_tau(compared):
    _, finals = compared
    console = Console(file=io.StringIO(), width=80)
    console.print(results_table(finals))
    assert "…" not in console.file.getvalue()
    assert "LPGD auto" in console.file.getvalue()
    assert "LPGD average, tau" in auto_verdict(finals)
    assert auto_verdict(finals[:3]) is None
