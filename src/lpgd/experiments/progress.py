"""What a user sees while a run trains."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class TrainingProgress:
    """A live line with bar and latest numbers, and a lasting line per announcement.

    Without a terminal only the announcements appear.
    """

    def __init__(self, console: Console, steps: int, done: int = 0) -> None:
        self._console = console
        self._bar = Progress(
            BarColumn(bar_width=10),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("training", total=steps, completed=done, numbers="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def show(self, step: int, numbers: str) -> None:
        """Move the bar to ``step`` and show the latest numbers beside it."""
        self._bar.update(self._task, completed=step, numbers=numbers)

    def announce(self, line: str) -> None:
        """Print a line that stays."""
        self._console.print(line, highlight=False)
