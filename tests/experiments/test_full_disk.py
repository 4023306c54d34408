"""A disk that is full: one line that names the file, no draft, and a run that can continue."""

import os
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from lpgd.experiments.commands import app
from lpgd.experiments.runs import write_bytes

resource = pytest.importorskip("resource", reason="the limit on file sizes is that of POSIX")
pytest.importorskip("torch", reason="experiments train models of torch")

TINY = ["--train-size", "40", "--test-size", "10", "--batch", "20", "--epochs", "2"]
PUZZLES = "1.34.4.2.143.3.1\n12.43.1.2.4..3.1\n1.3.34..21..4.21\n"


@contextmanager
def files_of_at_most(size):
    """Let writing fail beyond a size, as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def drafts(folder):
    return [path for path in folder.rglob(".*") if path.is_file()]


@pytest.mark.parametrize(
    ("size", "name"), [(400, "metrics.csv"), (20_000, "checkpoint.pt"), (70_000, "loss.png")]
)
def test_a_run_names_the_file_and_leaves_no_draft(tmp_path, size, name):
    with files_of_at_most(size):
        failed = invoke("run", "sudoku", *TINY, "--out", tmp_path)
    (run,) = tmp_path.iterdir()
    assert failed.exit_code == 2, failed.output
    assert isinstance(failed.exception, SystemExit)
    assert failed.output.splitlines()[-1] == f"lpgd: {run / name}: File too large"
    assert not drafts(run)


def test_a_run_continues_when_there_is_room_again(tmp_path):
    with files_of_at_most(400):
        assert invoke("run", "sudoku", *TINY, "--out", tmp_path).exit_code == 2
    (run,) = tmp_path.iterdir()
    continued = invoke("run", "sudoku", "--resume", run)
    assert continued.exit_code == 0, continued.output
    assert (run / "result.json").exists()


@pytest.mark.parametrize(("size", "name"), [(100, "config.json"), (30, "puzzles.txt")])
def test_a_run_that_cannot_begin_leaves_no_directory(tmp_path, size, name):
    puzzles = tmp_path / "mine.txt"
    puzzles.write_text(PUZZLES)
    with files_of_at_most(size):
        failed = invoke("run", "sudoku", "--puzzles", puzzles, "--out", tmp_path / "runs")
    (line,) = failed.output.splitlines()
    assert line.startswith(f"lpgd: {tmp_path / 'runs'}")
    assert line.endswith(f"{name}: File too large")
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_comparison_names_the_file(tmp_path):
    with files_of_at_most(50):
        failed = invoke("compare", "sudoku", "--train-size", 40, "--out", tmp_path)
    assert failed.output == f"lpgd: {tmp_path / 'study.json'}: File too large\n"
    assert list(tmp_path.iterdir()) == []


def test_the_old_content_stays(tmp_path):
    path = tmp_path / "file"
    write_bytes(path, b"old")
    with files_of_at_most(5), pytest.raises(OSError, match=r"File too large.*file'$"):
        write_bytes(path, b"new and long")
    assert path.read_bytes() == b"old"
    assert not drafts(tmp_path)


def test_errors_at_the_end_of_writing_count_too(tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device.*file'$"):
        write_bytes(tmp_path / "file", b"new")
    assert list(tmp_path.iterdir()) == []


def test_the_draft_of_a_killed_process_is_taken_over(tmp_path):
    (tmp_path / ".file.draft").write_bytes(b"half of what a killed process")
    write_bytes(tmp_path / "file", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
