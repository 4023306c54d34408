import io

import pytest
from rich.console import Console

from lpgd.experiments.progress import ComparisonProgress, TrainingProgress


@pytest.mark.parametrize("terminal", [False, True])
def test_announcements_last(terminal):
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=100)
    with TrainingProgress(console, steps=10, done=2) as progress:
        progress.show(3, "loss 0.5")
        progress.announce("epoch 1 is over")
    assert "epoch 1 is over" in output.getvalue()
    assert ("loss 0.5" in output.getvalue()) == terminal


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def compare(console, clock):
    """Ten runs of one unit each, of which three are there already and one is not needed."""
    with ComparisonProgress(console, runs=10, work=10.0, clock=clock) as progress:
        for _ in range(3):
            progress.drop(1.0, runs=1)
        for number in range(6):
            clock.now += 20.0
            console.print(f"run {number} is over", highlight=False)
            progress.advance(1.0, runs=1)
        progress.drop(1.0, runs=1)


def test_a_comparison_without_a_terminal_tells_how_far_it_is_now_and_then():
    output = io.StringIO()
    compare(Console(file=output, width=100), Clock())
    lines = output.getvalue().splitlines()
    assert [line for line in lines if "is over" not in line] == [
        "  5 of 10 runs, up to 1:40 left",
        "  7 of 10 runs, up to 1:00 left",
        "  9 of 10 runs, up to 0:20 left",
    ]
    assert len(lines) == 9


def test_a_comparison_on_a_terminal_shows_bar_count_and_time_left():
    output, clock = io.StringIO(), Clock()
    console = Console(file=output, force_terminal=True, width=100, legacy_windows=False)
    compare(console, clock)
    text = output.getvalue()
    assert "━" in text
    assert "0 of 10 runs" in text
    assert "10 of 10 runs\n" in text
    assert "run 5 is over" in text


def test_a_quiet_comparison_is_quiet(capsys):
    compare(Console(quiet=True), Clock())
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_time_left_counts_down_between_runs():
    clock = Clock()
    progress = ComparisonProgress(Console(quiet=True), runs=3, work=3.0, clock=clock)
    assert progress.left() is None
    with progress:
        clock.now += 600
        progress.advance(1.0)
        assert progress.left() == 1200
        clock.now += 500
        assert progress.left() == 700
        clock.now += 5000
        assert progress.left() == 0
