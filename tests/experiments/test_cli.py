import csv
import errno
import io
import json
import warnings

import pytest
from typer.testing import CliRunner

from lpgd.experiments import cli
from lpgd.experiments.commands import app

pytest.importorskip("torch", reason="experiments train models of torch")

TINY = ["--train-size", "40", "--test-size", "10", "--batch", "20"]


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_missing_packages_are_named_with_the_remedy(monkeypatch):
    monkeypatch.setattr(cli, "find_spec", lambda name: None if name == "rich" else object())
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert str(caught.value).count("\n") == 0
    assert "rich not found" in str(caught.value)
    assert 'pip install "lpgd[experiments]"' in str(caught.value)


def test_a_terminal_that_lacks_a_letter_shows_another(monkeypatch):
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", output)
    monkeypatch.setattr("lpgd.experiments.commands.app", lambda: print("Exact, ρ = 0.1"))
    cli.main()
    output.flush()
    assert output.buffer.getvalue() == b"Exact, ? = 0.1\n"


def test_warnings_are_lines_without_source(monkeypatch):
    monkeypatch.setattr("warnings.formatwarning", warnings.formatwarning)  # put back afterwards
    monkeypatch.setattr("lpgd.experiments.commands.app", lambda: None)
    cli.main()
    shown = warnings.formatwarning("two elements failed", UserWarning, "file.py", 3)
    assert shown == "lpgd: two elements failed\n"


def test_a_full_disk_behind_the_output(monkeypatch, tmp_path):
    def full(*_arguments, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("lpgd.experiments.running.execute", full)
    result = invoke("run", "sudoku", *TINY, "--out", tmp_path)
    assert result.exit_code == 2
    assert result.output == "lpgd: standard output: No space left on device\n"


def test_run_writes_everything_and_ends_with_the_test_error(tmp_path):
    result = invoke("run", "sudoku", *TINY, "--epochs", 2, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert "wrong boards" in result.output.splitlines()[-1]
    assert "Test MSE" in result.output.splitlines()[-1]
    (run,) = tmp_path.iterdir()
    names = {path.name for path in run.iterdir()}
    figures = {"loss.png", "constraints.png", "boards.png"}
    assert names == figures | {"config.json", "metrics.csv", "checkpoint.pt", "result.json"}
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["1", "2", "3", "4"]
    assert [bool(row["test_wrong"]) for row in rows] == [False, True, False, True]
    assert json.loads((run / "result.json").read_text())["test_boards"] == 10


def test_rho_of_exact_has_its_own_default(tmp_path):
    result = invoke("run", "sudoku", *TINY, "--epochs", 1, "--rule", "exact", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    (run,) = tmp_path.iterdir()
    config = json.loads((run / "config.json").read_text())
    assert (config["rule"], config["rho"]) == ("exact", 1e-3)


def test_resume_may_only_add_epochs(tmp_path):
    assert invoke("run", "sudoku", *TINY, "--epochs", 1, "--out", tmp_path).exit_code == 0
    (run,) = tmp_path.iterdir()
    refused = invoke("run", "sudoku", "--resume", run, "--lr", 0.2, "--train-size", 10)
    assert refused.exit_code == 2
    assert "--lr, --train-size cannot change on --resume" in refused.output
    continued = invoke("run", "sudoku", "--resume", run, "--epochs", 2)
    cut = invoke("run", "sudoku", "--resume", run, "--epochs", 1)
    assert cut.exit_code == 2
    assert "cannot be cut to 1" in cut.output
    assert continued.exit_code == 0, continued.output
    assert json.loads((run / "result.json").read_text())["epoch"] == 2


def test_errors_are_one_line(tmp_path):
    not_a_run = invoke("run", "sudoku", "--resume", tmp_path / "nothing")
    assert not_a_run.exit_code == 2
    assert "is not a run directory" in not_a_run.output
    puzzles = tmp_path / "puzzles.txt"
    puzzles.write_text("1234\n")
    bad = invoke("run", "sudoku", "--puzzles", puzzles, "--out", tmp_path / "runs")
    assert bad.exit_code == 2
    assert "line 1: expected 16 cells" in bad.output
    assert len(bad.output.splitlines()) == 1
    useless = invoke("run", "sudoku", "--rule", "exact", "--tau", 1, "--out", tmp_path / "runs")
    assert useless.exit_code == 2
    assert "--tau belongs to --rule lpgd" in useless.output
    for option in ("--tau", "--rho", "--lr"):
        negative = invoke("run", "sudoku", option, -1, "--out", tmp_path / "runs")
        assert negative.exit_code == 2
        assert "got -1.0" in negative.output
    unknown = invoke("compare", "sudoku", "--method", "magic", "--out", tmp_path / "compare")
    assert unknown.exit_code == 2
    assert "unknown method magic" in unknown.output


def test_own_puzzles_are_copied_so_that_the_run_can_continue(tmp_path):
    puzzles = tmp_path / "mine.txt"
    puzzles.write_text("1.34.4.2.143.3.1\n12.43.1.2.4..3.1\n1.3.34..21..4.21\n")
    options = ["--epochs", 1, "--out", tmp_path / "runs", "--batch", 2]
    result = invoke("run", "sudoku", "--puzzles", puzzles, *options)
    assert result.exit_code == 0, result.output
    puzzles.unlink()
    (run,) = (tmp_path / "runs").iterdir()
    assert invoke("run", "sudoku", "--resume", run, "--epochs", 2).exit_code == 0


SMALL = ["--assets", 3, "--months", 8, "--portfolios", 2, "--batch", 4, "--epochs", 1]


@pytest.mark.parametrize("objective", ["tracking", "utility"])
def test_markowitz_run_ends_with_economics_and_losses(tmp_path, objective):
    options = [*SMALL, "--objective", objective, "--rollouts", 8, "--horizon", 2]
    result = invoke("run", "markowitz", *options, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert "Test loss" in result.output.splitlines()[-1]
    assert "Test period, expert" in result.output
    (run,) = tmp_path.iterdir()
    names = {path.name for path in run.iterdir()}
    figures = {"loss.png", "wealth.png", "parameters.png"}
    assert names == figures | {"config.json", "metrics.csv", "checkpoint.pt", "result.json"}
    config = json.loads((run / "config.json").read_text())
    assert config["lr"] == {"tracking": 0.05, "utility": 0.001}[objective]
    continued = invoke("run", "markowitz", "--resume", run, "--epochs", 2)
    assert continued.exit_code == 0, continued.output
    assert json.loads((run / "result.json").read_text())["epoch"] == 2


def test_markowitz_refusals_leave_no_directory(tmp_path):
    out = tmp_path / "runs"
    for options, expected in (
        (["--engine", "magic"], "unknown engine 'magic'"),
        (["--tau", "much"], "'much' is neither a number nor auto"),
        (["--rule", "exact", "--tau", "1"], "--tau belongs to --rule lpgd"),
        (["--noise", "-1"], "noise must be a finite number"),
        (["--data", "historical", "--objective", "utility", "--horizon", 99], "fewer than --horiz"),
    ):
        refused = invoke("run", "markowitz", *SMALL, *options, "--out", out)
        assert refused.exit_code == 2
        assert expected in refused.output
        assert not out.exists()
    unknown = invoke("compare", "markowitz", "--method", "magic", "--out", out)
    assert unknown.exit_code == 2
    assert "unknown method magic" in unknown.output
