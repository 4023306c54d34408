"""One process at a time writes into a folder, and a killed one leaves it free."""

import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from lpgd.experiments import locks
from lpgd.experiments.commands import app
from lpgd.experiments.comparison import Effort, compare
from lpgd.experiments.contest import Contest, play
from lpgd.experiments.locks import exclusive
from lpgd.experiments.running import execute
from lpgd.experiments.runs import ExperimentError
from lpgd.experiments.sudoku.compare import Study
from lpgd.experiments.sudoku.config import SudokuConfig
from lpgd.experiments.sudoku.methods import METHODS
from lpgd.experiments.sudoku.task import SUDOKU, start_run

CONFIG = SudokuConfig(train_size=20, test_size=5, batch=10, epochs=1)
HOLD = """
import sys, time
from pathlib import Path
from lpgd.experiments.locks import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def in_use(folder):
    return pytest.raises(ExperimentError, match=f"^{re.escape(str(folder))} is in use by another")


def test_a_folder_is_held_by_one_at_a_time_and_nothing_remains(tmp_path):
    folder = tmp_path / "new" / "folder"
    for _ in range(2):
        with exclusive(folder):
            with in_use(folder), exclusive(folder):
                pass
            with exclusive(tmp_path / "other"):
                pass
        assert list(folder.iterdir()) == []


def test_an_error_frees_the_folder(tmp_path):
    with pytest.raises(KeyboardInterrupt), exclusive(tmp_path):
        raise KeyboardInterrupt
    with exclusive(tmp_path):
        pass


def test_a_killed_process_leaves_the_folder_free(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with in_use(tmp_path), exclusive(tmp_path):
            pass
        process.send_signal(signal.SIGKILL)
    assert [entry.name for entry in tmp_path.iterdir()] == [".lock"]
    with exclusive(tmp_path):
        pass


def test_many_at_once_never_hold_it_together(tmp_path):
    inside, entered = [], []

    def contend(_number):
        for _ in range(300):
            try:
                with exclusive(tmp_path):
                    inside.append(1)
                    entered.append(len(inside))
                    inside.pop()
            except ExperimentError:
                pass

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(contend, range(8)))
    assert len(entered) > 8
    assert set(entered) == {1}


posix = pytest.mark.skipif(sys.platform == "win32", reason="there no file that is open can go")


@posix
def test_a_lock_that_goes_before_it_is_claimed_is_made_again(tmp_path, monkeypatch):
    claim = locks._claim

    def claim_late(file):
        monkeypatch.setattr(locks, "_claim", claim)
        (tmp_path / ".lock").unlink()  # as its owner does at this moment
        claim(file)

    monkeypatch.setattr(locks, "_claim", claim_late)
    with exclusive(tmp_path), in_use(tmp_path), exclusive(tmp_path):
        pass


@posix
def test_a_lock_goes_while_it_is_held(tmp_path, monkeypatch):
    unlink, seen = Path.unlink, []

    def watch(path):
        with in_use(tmp_path), exclusive(tmp_path):
            pass
        seen.append(path)
        unlink(path)

    monkeypatch.setattr(Path, "unlink", watch)
    with exclusive(tmp_path):
        pass
    assert seen == [tmp_path / ".lock"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    run = start_run(CONFIG, tmp_path_factory.mktemp("runs"))
    assert execute(SUDOKU, run, Console(quiet=True)) is not None
    return run.path


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_that_is_going_on_cannot_be_resumed(finished, tmp_path):
    run = shutil.copytree(finished, tmp_path / "run")
    with exclusive(run):
        before = contents(run)
        refused = CliRunner().invoke(app, ["run", "sudoku", "--resume", str(run), "--epochs", "2"])
        assert contents(run) == before
    assert refused.exit_code == 2
    (line,) = refused.output.splitlines()
    assert line == f"lpgd: {run} is in use by another process; wait for its end, or end it"


def test_what_is_no_run_is_refused_before_it_is_held(tmp_path):
    folder = tmp_path / "nothing"
    refused = CliRunner().invoke(app, ["run", "sudoku", "--resume", str(folder)])
    assert "is not a run directory" in refused.output
    assert not folder.exists()


def test_a_comparison_that_is_going_on_cannot_be_started_again(tmp_path):
    with exclusive(tmp_path), in_use(tmp_path):
        compare(Study(train_size=20), [METHODS[0]], Effort(1, 1), tmp_path, Console(quiet=True))
    assert list(tmp_path.iterdir()) == []


def test_a_contest_that_is_going_on_is_not_joined(tmp_path):
    contest = Contest(SUDOKU, tmp_path / "seed-0", CONFIG, epochs=1)
    with exclusive(contest.path), in_use(contest.path):
        play(contest)
    ended = play(contest)
    with exclusive(contest.path):
        assert play(contest) == ended  # nothing to write any more


def test_a_run_of_a_comparison_is_left_to_it(tmp_path):
    run = tmp_path / "final" / "average" / "lr-0.1" / "seed-0"
    play(Contest(SUDOKU, run, CONFIG, epochs=1))
    (tmp_path / "study.json").write_text("{}")
    before = contents(tmp_path)
    refused = CliRunner().invoke(app, ["run", "sudoku", "--resume", str(run)])
    assert refused.exit_code == 2
    assert refused.output == f"lpgd: {run} belongs to the comparison in {tmp_path}; continue that\n"
    assert contents(tmp_path) == before
