"""Values of options that cannot be: one line each, no traceback, nothing left behind."""

from pathlib import Path
from typing import Any, get_type_hints

import pytest
from typer.testing import CliRunner

from lpgd.experiments.commands import app
from lpgd.experiments.markowitz.commands import compare_markowitz, run_markowitz
from lpgd.experiments.markowitz.config import MarkowitzConfig
from lpgd.experiments.markowitz.task import MARKOWITZ
from lpgd.experiments.runs import ExperimentError
from lpgd.experiments.sudoku.commands import compare_sudoku, run_sudoku
from lpgd.experiments.sudoku.config import SudokuConfig

COMMANDS = {
    ("run", "sudoku"): run_sudoku,
    ("run", "markowitz"): run_markowitz,
    ("compare", "sudoku"): compare_sudoku,
    ("compare", "markowitz"): compare_markowitz,
}
HOSTILE = {
    int: ["-1", "1.5", "nan", "1e3", str(2**64), "9" * 30, "9" * 1000],
    float: ["-1", "nan", "inf", "-inf", "1e400", "much"],
    Any: ["-1", "0", "nan", "inf", "-inf", "1e400", "much"],  # tau
}


def options(*kinds):
    """Return commands with an option of one of these kinds, and its kind."""
    return [
        pytest.param([*command, f"--{name.replace('_', '-')}"], kind, id=f"{command} {name}")
        for command, function in COMMANDS.items()
        for name, hint in get_type_hints(function).items()
        for kind in kinds
        if hint in (kind, kind | None if kind is not Any else Any)
    ]


def complaint(arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    (line,) = result.output.splitlines()
    assert line.startswith("lpgd: ")
    return line


def test_options_of_every_kind_are_found():
    assert len(options(int)) > 30
    assert all(len(options(kind)) > 1 for kind in (float, Any, Path))


@pytest.mark.parametrize(("arguments", "kind"), options(*HOSTILE))
def test_numbers_out_of_range(tmp_path, arguments, kind):
    for value in HOSTILE[kind]:
        line = complaint([*arguments, value, "--out", tmp_path / "new"])
        name = arguments[-1].removeprefix("--")
        assert name in line or name.replace("-", "_") in line or "learning rate" in line
        assert len(line) < 1500
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("arguments", "kind"), options(Path))
def test_files_for_folders_and_folders_for_files(tmp_path, arguments, kind):
    file = tmp_path / "file"
    file.write_text("")
    wrong = tmp_path if arguments[-1] == "--puzzles" else file
    assert f"Invalid value for '{arguments[-1]}'" in complaint([*arguments, wrong])
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CPU: can't allocate memory: 8 TB")])
def test_more_than_the_memory_holds(tmp_path, monkeypatch, error):
    def too_large(*_arguments):
        raise error

    monkeypatch.setattr(type(MARKOWITZ), "task", too_large)
    line = complaint(["run", "markowitz", "--assets", 3, "--out", tmp_path / "new"])
    assert "not enough memory" in line
    assert not (tmp_path / "new").exists()


def test_names_are_shown_as_they_are(tmp_path):
    name = "a[/b]  :smile: [red]"
    options = ["--train-size", 20, "--test-size", 4, "--epochs", 1, "--out", tmp_path / name]
    result = CliRunner().invoke(app, ["run", "sudoku", *map(str, options)])
    assert result.exit_code == 0, result.output
    assert f"Files and figures: {tmp_path / name}" in result.output
    assert name in complaint(["run", "sudoku", "--resume", tmp_path / name / "none"])


@pytest.mark.parametrize("kind", [SudokuConfig, MarkowitzConfig])
@pytest.mark.parametrize("setting", ["lr", "noise", "threads", "data_seed", "epochs"])
def test_huge_integers_in_a_configuration(kind, setting):
    if setting in vars(kind()):
        with pytest.raises(ExperimentError, match="must be a"):
            kind(**{setting: 10**400})


def test_a_thousand_epochs_for_utility_have_a_step_size():
    assert MarkowitzConfig(objective="utility", lr=1.0).learning_rate(5000) == 0.0
