import json
from contextlib import nullcontext

import pytest
from typer.testing import CliRunner

from lpgd.experiments.commands import app

from ..inline import InlinePool

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
