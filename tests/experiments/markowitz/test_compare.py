import csv
import io
import json
from contextlib import nullcontext
from dataclasses import replace

import pytest
from matplotlib.image import imread
from rich.console import Console

from lpgd.experiments.comparison import Effort, compare
from lpgd.experiments.markowitz.compare import Study, goals
from lpgd.experiments.markowitz.methods import AUTO, EXACT, METHODS
from lpgd.experiments.markowitz.report import (
    auto_verdict,
    economics_table,
    results_table,
    write_results,
)

from ..inline import InlinePool

STUDY = Study(assets=4, months=10, portfolios=2, tuning_epochs=1)
CHOSEN = [m for m in METHODS if m.name in ("auto", "lower-1e-2", "full-1e-2", "upper-1e0-rho")]


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    out = tmp_path_factory.mktemp("compare")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lpgd.experiments.comparison.job_pool", lambda _: nullcontext(InlinePool()))
        finals = compare(STUDY, CHOSEN, Effort(2, 1), out, Console(quiet=True))
    write_results(finals, out)
    return out, finals


def test_exact_is_always_among_the_methods(compared):
    _, finals = compared
    assert [final.method for final in finals] == [EXACT, *CHOSEN]


def test_the_full_loss_is_trained_with_to_the_end(compared):
    _, finals = compared
    losses = {final.method.name: {o.config.loss for o in final.outcomes} for final in finals}
    full = losses.pop("full-1e-2")
    assert full == {"full"}
    assert set.union(*losses.values()) == {"linearised"}


def test_learning_rates_are_chosen_by_validation_loss(compared):
    out, finals = compared
    for final in finals:
        runs = [
            json.loads(p.read_text()) for p in out.glob(f"tuning/{final.method.name}/*/result.json")
        ]
        assert len(runs) == len(final.method.learning_rates)
        least = {run["config"]["lr"]: min(run["curves"]["validation_loss"]) for run in runs}
        assert final.chosen.lr == min(least, key=least.get)
        assert not any(run["result"] for run in runs)  # the test period stays unseen


def test_goals_lie_a_tenth_above_what_exact_reaches(compared):
    _, finals = compared
    for outcome in finals[0].outcomes:
        start = outcome.result["start_validation_loss"]
        best = min(outcome.curves["validation_loss"])
        assert goals(finals)[outcome.config.seed] == pytest.approx(best + 0.1 * (start - best))


def test_files(compared):
    out, finals = compared
    summaries = json.loads((out / "results.json").read_text())
    assert [summary["method"] for summary in summaries] == [f.method.name for f in finals]
    assert set(summaries[0]["runs"][0]["result"]["economics"]) == {"policy", "start", "expert"}
    with (out / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * len(finals)
    assert rows[0]["epochs_to_goal"]
    assert imread(out / "compare.png").shape[1] > 1000


def test_tables_fit_the_terminal(compared):
    _, finals = compared
    console = Console(file=io.StringIO(), width=80)
    console.print(results_table(finals))
    console.print(economics_table(finals))
    text = console.file.getvalue()
    assert "…" not in text
    assert "LPGD auto" in text
    assert "expert" in text


def test_verdict_on_auto_names_the_best_fixed_tau(compared):
    _, finals = compared
    verdict = auto_verdict(finals)
    assert verdict is not None
    assert "tau auto" in verdict
    assert auto_verdict([final for final in finals if final.method != AUTO]) is None


def test_runs_that_measured_nothing_are_reported(compared, tmp_path):
    _, finals = compared
    nothing = [
        replace(
            final,
            outcomes=[
                replace(o, curves={"validation_loss": [None] * len(o.epoch)})
                for o in final.outcomes
            ],
        )
        for final in finals
    ]
    write_results(nothing, tmp_path)
    assert json.loads((tmp_path / "results.json").read_text())[0]["epochs_to_goal"] == [None, None]
    assert imread(tmp_path / "compare.png").shape[1] > 1000
    assert "inf" in auto_verdict(nothing)
