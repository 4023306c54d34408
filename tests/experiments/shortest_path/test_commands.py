import json

import pytest
from typer.testing import CliRunner

from lpgd.experiments.commands import app

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
