"""Runs in a process of their own, ended from outside."""

import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from rich.console import Console

from lpgd.experiments.metrics import MetricsLog
from lpgd.experiments.running import execute
from lpgd.experiments.runs import RunDirectory
from lpgd.experiments.sudoku.config import SudokuConfig
from lpgd.experiments.sudoku.task import COLUMNS, SUDOKU, start_run

CONFIG = SudokuConfig(epochs=4, batch=10, train_size=400, test_size=20, seed=5)
STEPS = 160


def numbers(run):
    rows = MetricsLog(run.metrics, COLUMNS).read()
    return [{name: row[name] for name in COLUMNS if not name.startswith("seconds")} for row in rows]


def finish(run):
    result = execute(SUDOKU, run, Console(quiet=True))
    assert result is not None
    return result


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    run = start_run(CONFIG, tmp_path_factory.mktemp("unbroken"))
    finish(run)
    return run


def break_off(run, number, at_step):
    """Send a signal to a training process once it has written so many steps."""
    command = [sys.executable, "-m", "lpgd.experiments.cli", "run", "sudoku", "--resume", run.path]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 60
    while not run.metrics.exists() or len(run.metrics.read_bytes().splitlines()) <= at_step:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_a_broken_run_continues_to_the_numbers_of_an_unbroken_one(tmp_path, unbroken, number):
    run = start_run(CONFIG, tmp_path)
    step = random.randint(1, STEPS // 2)
    code, output = break_off(run, number, step)
    assert len(numbers(run)) < STEPS, "ended before it could be broken off"
    if number == signal.SIGINT:
        assert code == 130
        assert f"--resume {run.path}" in output
    finish(run)
    assert numbers(run) == numbers(unbroken)
    assert len(numbers(run)) == STEPS


def test_more_epochs_continue_a_finished_run(tmp_path, unbroken):
    short = start_run(replace(CONFIG, epochs=1), tmp_path)
    finish(short)
    assert numbers(short) == numbers(unbroken)[: STEPS // 4]
    assert SudokuConfig.read(RunDirectory(short.path)).epochs == 1
