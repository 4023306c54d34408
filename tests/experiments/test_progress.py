import io

import pytest
from rich.console import Console

from lpgd.experiments.progress import TrainingProgress


@pytest.mark.parametrize("terminal", [False, True])
def test_announcements_last(terminal):
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=100)
    with TrainingProgress(console, steps=10, done=2) as progress:
        progress.show(3, "loss 0.5")
        progress.announce("epoch 1 is over")
    assert "epoch 1 is over" in output.getvalue()
    assert ("loss 0.5" in output.getvalue()) == terminal
