"""What a user sees while a run trains, or a comparison goes on."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

_SECONDS_BETWEEN_LINES = 30


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


class ComparisonProgress:
    """How many runs are done, and what time is left at most.

    That is a live line on a terminal, else a line every half minute at most. ``work`` is all there
    may be to do, in units that take equally long; the time left follows from what was done so far.
    """

    def __init__(
        self,
        console: Console,
        runs: int,
        work: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console, self._clock = console, clock
        self._runs, self._counted = runs, 0
        self._work, self._done = work, 0.0
        self._start = self._last = self._told = clock()
        self._live = console.is_terminal and not console.is_dumb_terminal
        self._bar = Progress(
            BarColumn(bar_width=20),
            _Words(self._words),
            console=console,
            transient=True,
            disable=not self._live,
        )
        self._task = self._bar.add_task("comparing", total=work)

    def __enter__(self) -> Self:
        self._start = self._last = self._told = self._clock()
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def advance(self, work: float, runs: int = 0) -> None:
        """Note work that was done just now, and runs that it completes."""
        self._done += work
        self._last = self._clock()
        self._show(runs)

    def drop(self, work: float, runs: int = 0) -> None:
        """Note work that need not be done, and runs that are complete without it."""
        self._work -= work
        self._show(runs)

    def left(self) -> float | None:
        """Return the seconds left if everything has to be done; None before anything was."""
        if not self._done:
            return None
        pace = (self._last - self._start) / self._done
        return max(0.0, pace * (self._work - self._done) - (self._clock() - self._last))

    def _show(self, runs: int) -> None:
        self._counted += runs
        self._bar.update(self._task, completed=self._done, total=self._work)
        due = self._clock() - self._told >= _SECONDS_BETWEEN_LINES
        if due and not self._live and self._counted < self._runs:
            self._told = self._clock()
            self._console.print(f"  {self._words()}", highlight=False)

    def _words(self) -> str:
        left, count = self.left(), f"{self._counted} of {self._runs} runs"
        if left is None or self._counted >= self._runs:
            return count
        return f"{count}, up to {_minutes(left)} left"


class _Words(ProgressColumn):
    """Text that is made afresh whenever it is shown."""

    def __init__(self, words: Callable[[], str]) -> None:
        super().__init__()
        self._words = words

    def render(self, task: Task) -> Text:
        return Text(self._words())


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
