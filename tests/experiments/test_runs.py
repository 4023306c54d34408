import json
import os
import signal

import pytest

from lpgd.experiments.runs import RunDirectory, read_json, stop_on_interrupt, write_json


def test_two_runs_in_the_same_second_get_two_directories(tmp_path):
    runs = [RunDirectory.create(tmp_path / "runs") for _ in range(3)]
    assert len({run.path for run in runs}) == 3
    assert all(run.path.is_dir() for run in runs)


def test_json_is_strict_and_leaves_no_draft(tmp_path):
    path = tmp_path / "new" / "file.json"
    write_json(path, {"a": float("nan"), "b": [float("inf"), 1.5]})
    assert json.loads(path.read_text()) == {"a": None, "b": [None, 1.5]}
    assert read_json(path) == {"a": None, "b": [None, 1.5]}
    assert [entry.name for entry in path.parent.iterdir()] == ["file.json"]


def interrupt_twice():
    with stop_on_interrupt() as stop_requested:
        assert not stop_requested()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop_requested()
        os.kill(os.getpid(), signal.SIGINT)


def test_first_interrupt_asks_and_second_interrupts():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        interrupt_twice()
    assert signal.getsignal(signal.SIGINT) is before
