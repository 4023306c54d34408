import csv
import json
from contextlib import nullcontext

import pytest
from typer.testing import CliRunner

from lpgd.experiments.commands import app

from ..inline import InlinePool

pytest.importorskip("torch", reason="experiments train models of torch")

TINY = ["--train-size", 16, "--test-size", 10, "--batch", 8, "--epochs", 1]


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("name", "options", "figure"),
    [
        ("shortest-path", ["--grid", 3, "--rule", "blackbox"], "paths.png"),
        ("terrain", ["--channels", 2], "maps.png"),
        ("knapsack", ["--items", 6, "--dimensions", 1, "--rule", "cave"], "items.png"),
    ],
)
def test_runs_end_with_regret_and_figures_and_continue(tmp_path, name, options, figure):
    result = invoke("run", name, *TINY, *options, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1].startswith("Test regret")
    (run,) = tmp_path.iterdir()
    assert {figure, "loss.png", "config.json", "metrics.csv"} <= {p.name for p in run.iterdir()}
    if name == "shortest-path":
        assert json.loads((run / "config.json").read_text())["tau"] == 10
    continued = invoke("run", name, "--resume", run, "--epochs", 2)
    assert continued.exit_code == 0, continued.output
    assert json.loads((run / "result.json").read_text())["epoch"] == 2


def test_refusals_are_a_line_and_leave_no_directory(tmp_path):
    out = tmp_path / "runs"
    for name, options, expected in (
        ("shortest-path", ["--rule", "identity", "--tau", 1], "--tau belongs to --rule lpgd or"),
        ("shortest-path", ["--rule", "imle", "--tau", "auto"], "tau of imle must be a number"),
        ("shortest-path", ["--noise", -1], "noise must be a finite number"),
        ("terrain", ["--data", tmp_path], "train_maps.npy is missing"),
    ):
        refused = invoke("run", name, *TINY, *options, "--out", out)
        assert refused.exit_code == 2
        assert expected in refused.output
        assert not out.exists()


@pytest.mark.parametrize(
    ("name", "method", "options"),
    [
        ("shortest-path", "spo-plus", ["--grid", 3]),
        ("terrain", "two-stage", ["--tiles", 3, "--channels", 2]),
        ("knapsack", "cave", ["--items", 6, "--dimensions", 1]),
    ],
)
def test_comparisons_write_their_results(tmp_path, monkeypatch, name, method, options):
    monkeypatch.setattr(
        "lpgd.experiments.comparison.job_pool", lambda _jobs: nullcontext(InlinePool())
    )
    sizes = ["--train-size", 8, "--test-size", 6, "--tuning-epochs", 1, "--max-epochs", 1]
    result = invoke(
        "compare", name, "--method", method, "--seeds", 1, *sizes, *options, "--out", tmp_path
    )
    assert result.exit_code == 0, result.output
    study = json.loads((tmp_path / "study.json").read_text())
    assert (study["train_size"], study["test_size"], study["tuning_epochs"]) == (8, 6, 1)
    assert {study[option[2:]] for option in options[::2]} == set(options[1::2])
    (summary,) = json.loads((tmp_path / "results.json").read_text())
    assert summary["method"] == method
    assert (tmp_path / "compare.png").exists()


@pytest.mark.filterwarnings("ignore::lpgd.StuckWarning")
@pytest.mark.parametrize(
    ("name", "method", "options", "taus"),
    [
        ("shortest-path", "average", ["--grid", 3], {0.1, 0.3, 1, 3, 10}),
        ("terrain", "spo-plus", ["--tiles", 2, "--channels", 2], {""}),
        ("knapsack", "lower", ["--items", 4, "--dimensions", 1], {0.1, 0.3, 1, 3, 10}),
    ],
)
def test_tuning_chooses_by_validation_and_a_comparison_begins_with_it(
    tmp_path, monkeypatch, name, method, options, taus
):
    played = []

    class Pool(InlinePool):
        def run(self, work, tasks, done):
            played.extend(task.path for task in tasks)
            return super().run(work, tasks, done)

    monkeypatch.setattr("lpgd.experiments.comparison.job_pool", lambda _jobs: nullcontext(Pool()))
    sizes = ["--train-size", 8, "--test-size", 6, "--tuning-epochs", 1, "--out", tmp_path]
    chosen = [name, "--method", method, "--method", "two-stage", *sizes, *options]
    result = invoke("tune", *chosen)
    assert result.exit_code == 0, result.output
    mine, two_stage = json.loads((tmp_path / "tuned.json").read_text())
    assert mine["chosen"]["regret"] == min(tried["regret"] for tried in mine["tried"])
    assert {tried["tau"] for tried in mine["tried"]} == taus
    assert two_stage["chosen"]["tau"] == ""
    with (tmp_path / "tuned.csv").open() as file:
        rows = list(csv.DictReader(file))
    marked = {row["method"]: float(row["regret"]) for row in rows if row["chosen"] == "True"}
    assert marked == {each["method"]: each["chosen"]["regret"] for each in (mine, two_stage)}
    assert [row["chosen"] for row in rows].count("True") == 2
    assert len(rows) == len(mine["tried"]) + len(two_stage["tried"]) == len(played)
    assert (tmp_path / "tuned.png").exists()
    assert not (tmp_path / "results.json").exists()
    played.clear()
    again = invoke("tune", *chosen)
    assert again.exit_code == 0
    assert not played
    compared = invoke("compare", *chosen, "--seeds", 1, "--max-epochs", 1)
    assert compared.exit_code == 0, compared.output
    assert [path.name for path in played] == ["seed-0", "seed-0"]
    kept = json.loads((tmp_path / "results.json").read_text())
    assert [summary["method"] for summary in kept] == [method, "two-stage"]
    assert kept[0]["runs"][0]["config"]["lr"] == mine["chosen"]["lr"]
    assert kept[0]["regret_in_tuning"] == mine["chosen"]["regret"]
