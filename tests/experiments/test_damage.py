"""Damaged and refused runs: one line each, no traceback, nothing left behind."""

import json
import shutil

import pytest
import torch
from typer.testing import CliRunner

from lpgd.experiments.commands import app
from lpgd.experiments.sudoku.config import SudokuConfig

TINY = ["--train-size", "40", "--test-size", "10", "--batch", "10", "--epochs", "3"]


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def complaint(result):
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    (line,) = result.output.splitlines()
    return line


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("finished")
    assert invoke("run", "sudoku", *TINY, "--out", out).exit_code == 0
    return next(out.iterdir())


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def cut(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def empty(path):
    path.write_bytes(b"")


def resize(prefix):
    def change(path):
        content = torch.load(path, weights_only=True)
        for name in content["tensors"]:
            if name.startswith(prefix):
                content["tensors"][name] = torch.zeros(3, 3)
        torch.save(content, path)

    return change


def drop_moments(path):
    content = torch.load(path, weights_only=True)
    del content["tensors"]["optimizer/0/exp_avg"]
    torch.save(content, path)


def replace_state(path):
    content = torch.load(path, weights_only=True)
    torch.save(content | {"json": '{"seconds": 1}'}, path)


def write(text):
    return lambda path: path.write_text(text)


def change_config(**changes):
    return lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit(old, new):
    return lambda path: path.write_text(path.read_text().replace(old, new, 1))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("checkpoint.pt", cut),
        ("checkpoint.pt", empty),
        ("checkpoint.pt", write("hello")),
        ("checkpoint.pt", resize("model/A")),
        ("checkpoint.pt", resize("optimizer/0/exp_avg")),
        ("checkpoint.pt", drop_moments),
        ("checkpoint.pt", replace_state),
        ("config.json", cut),
        ("config.json", empty),
        ("config.json", write("[1, 2]")),
        ("config.json", change_config(unknown=1)),
        ("config.json", change_config(lr=None)),
        ("config.json", change_config(epochs="3")),
        ("config.json", change_config(rule="magic")),
        ("metrics.csv", edit("\n3,", "\nx,")),
        ("metrics.csv", edit("\n3,", "\n4,")),
        ("metrics.csv", edit("\n3,", "\n3\n3,")),
        ("metrics.csv", edit("loss", "cost")),
        ("metrics.csv", cut),
        ("metrics.csv", lambda path: path.write_bytes(b"\xff\xfe\n")),
        ("metrics.csv", lambda path: path.unlink()),
    ],
)
def test_damage_is_one_line_that_names_the_file(run, name, damage):
    damage(run / name)
    before = {path: path.read_bytes() for path in run.iterdir()}
    line = complaint(invoke("run", "sudoku", "--resume", run))
    assert line.startswith(f"lpgd: {run / name} is damaged: ")
    assert {path: path.read_bytes() for path in run.iterdir()} == before


def test_runs_of_other_experiments_are_told(run):
    line = complaint(invoke("run", "shortest-path", "--resume", run))
    assert "a run of another experiment or version? This one has no box, puzzles" in line


def test_a_lost_checkpoint_does_not_cost_the_metrics(run):
    (run / "checkpoint.pt").unlink()
    before = (run / "metrics.csv").read_bytes()
    line = complaint(invoke("run", "sudoku", "--resume", run))
    assert "checkpoint.pt is missing, though the run made 12 steps" in line
    assert (run / "metrics.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--engine", "foo"], "unknown engine 'foo'"),
        (["--engine", "highs"], "engine 'highs' does not solve"),
        (["--box", 4], "not for box=4"),
        (["--lr", "inf"], "learning rate must be a positive finite number, got inf"),
        (["--lr", "nan"], "got nan"),
        (["--lr", 0], "got 0.0"),
        (["--tau", "inf"], "a positive finite number, got"),
        (["--tau", 0], "a positive finite number, got"),
        (["--rho", "nan"], "rho must be a finite number"),
        (["--rule", "exact", "--rho", "inf"], "rho must be a finite number"),
    ],
)
def test_a_refused_run_leaves_no_directory(tmp_path, options, expected):
    out = tmp_path / "runs"
    assert expected in complaint(invoke("run", "sudoku", *TINY, *options, "--out", out))
    assert not out.exists()


def test_a_refused_comparison_leaves_no_directory(tmp_path):
    out = tmp_path / "compare"
    assert "unknown engine" in complaint(invoke("compare", "sudoku", "--engine", "x", "--out", out))
    assert not out.exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\x89PNG\r\n\xff\xfe\x00", " is not a text file"),
        (b"1234\n", ", line 1: expected 16 cells"),
        (b"", " holds no puzzles"),
    ],
)
def test_a_bad_puzzle_file_is_named_as_the_user_named_it(tmp_path, content, expected):
    puzzles, out = tmp_path / "mine.txt", tmp_path / "runs"
    puzzles.write_bytes(content)
    line = complaint(invoke("run", "sudoku", "--puzzles", puzzles, "--out", out))
    assert f"{puzzles}{expected}" in line
    assert not out.exists()


def test_a_place_that_cannot_be_written(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for command in (["run", "sudoku", *TINY], ["compare", "sudoku", "--train-size", 40]):
        assert str(file) in complaint(invoke(*command, "--out", file / "runs"))


def test_a_damaged_study(tmp_path):
    (tmp_path / "study.json").write_text("[1]")
    line = complaint(invoke("compare", "sudoku", "--train-size", 40, "--out", tmp_path))
    assert "study.json is damaged" in line


def test_sound_numbers_of_every_kind_pass():
    assert SudokuConfig(lr=1, threads=2, train_size=5).lr == 1


def code_within(path):
    torch.save({"tensors": {}, "json": print}, path)


def a_whole_module(path):
    torch.save(torch.nn.Linear(2, 2), path)


def other_content(path):
    torch.save({"a": torch.ones(2)}, path)


def numbers_for_tensors(path):
    content = torch.load(path, weights_only=True)
    torch.save(content | {"tensors": {"model/A": 1.0}}, path)


@pytest.mark.parametrize(
    "damage",
    [
        cut,
        empty,
        write("hello"),
        write("\x80\x02."),
        code_within,
        a_whole_module,
        other_content,
        numbers_for_tensors,
    ],
)
def test_a_checkpoint_that_is_none_is_refused_in_our_own_words(run, damage):
    path = run / "checkpoint.pt"
    damage(path)
    line = complaint(invoke("run", "sudoku", "--resume", run))
    assert line == (
        f"lpgd: {path} is damaged: not a whole checkpoint of lpgd, with tensors and text alone; "
        "anything else could hold code and is not read. Restore the file, or start a new run."
    )


@pytest.mark.parametrize("step", ["-5", "2.5", "null", "true", "1e400"])
def test_a_checkpoint_of_an_impossible_step_costs_no_metrics(run, step):
    path = run / "checkpoint.pt"
    content = torch.load(path, weights_only=True)
    torch.save(content | {"json": f'{{"step": {step}, "seconds": 1.0}}'}, path)
    before = (run / "metrics.csv").read_bytes()
    assert "checkpoint.pt is damaged: " in complaint(invoke("run", "sudoku", "--resume", run))
    assert (run / "metrics.csv").read_bytes() == before
