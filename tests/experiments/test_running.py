"""Runs in a process of their own, ended from outside."""

import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from rich.console import Console

from lpgd.experiments.markowitz.config import MarkowitzConfig
from lpgd.experiments.markowitz.task import MARKOWITZ, MarkowitzTask
from lpgd.experiments.metrics import MetricsLog
from lpgd.experiments.running import execute
from lpgd.experiments.runs import RunDirectory
from lpgd.experiments.sudoku.config import SudokuConfig
from lpgd.experiments.sudoku.task import COLUMNS, SUDOKU, start_run
from lpgd.experiments.training import STEP_COLUMNS

CONFIG = SudokuConfig(epochs=4, batch=10, train_size=400, test_size=20, seed=5)
STEPS = 160
MARKOWITZ_COLUMNS = (*STEP_COLUMNS, *MarkowitzTask.judged)


def metrics_of(run, columns):
    rows = MetricsLog(run.metrics, columns).read()
    return [{name: row[name] for name in columns if not name.startswith("seconds")} for row in rows]


def numbers(run):
    return metrics_of(run, COLUMNS)


def finish(run):
    result = execute(SUDOKU, run, Console(quiet=True))
    assert result is not None
    return result


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    run = start_run(CONFIG, tmp_path_factory.mktemp("unbroken"))
    finish(run)
    return run


def break_off(run, number, at_step, name="sudoku"):
    """Send a signal to a training process once it has written so many steps."""
    command = [sys.executable, "-m", "lpgd.experiments.cli", "run", name, "--resume", run.path]
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


def test_a_markowitz_run_survives_kill_9_too(tmp_path):
    settings = {"assets": 3, "months": 20, "portfolios": 4, "batch": 2, "epochs": 4}
    runs = [RunDirectory.create(tmp_path) for _ in range(2)]
    for run in runs:
        MarkowitzConfig(**settings).write(run)
    break_off(runs[0], signal.SIGKILL, random.randint(1, 80), "markowitz")
    assert len(metrics_of(runs[0], MARKOWITZ_COLUMNS)) < 160
    for run in runs:
        assert execute(MARKOWITZ, run, Console(quiet=True)) is not None
    rows = [metrics_of(run, MARKOWITZ_COLUMNS) for run in runs]
    assert len(rows[0]) == 160
    assert rows[0] == rows[1]


def test_more_epochs_continue_a_finished_run(tmp_path, unbroken):
    short = start_run(replace(CONFIG, epochs=1), tmp_path)
    finish(short)
    assert numbers(short) == numbers(unbroken)[: STEPS // 4]
    assert SudokuConfig.read(RunDirectory(short.path)).epochs == 1
