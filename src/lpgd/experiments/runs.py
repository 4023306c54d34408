"""Run directories: where an experiment writes, and how it is interrupted in peace."""

from __future__ import annotations

import json
import os
import signal
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

from lpgd import LpgdError

# What the directory of a comparison holds: what decides its numbers, and its runs.
STUDY, TUNING, FINAL = "study.json", "tuning", "final"


class ExperimentError(LpgdError):
    """An experiment cannot be started or continued as asked."""


class DamagedFileError(ExperimentError):
    """A file that an experiment wrote cannot be used any more; the message names it."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong with the content of ``path`` into a `DamagedFileError`."""
    try:
        yield
    except (DamagedFileError, MemoryError):
        raise
    except Exception as error:  # damage shows in more ways than can be listed
        if isinstance(error, OSError) and error.filename is not None:
            raise  # the file cannot be opened; without a name torch could not parse it
        reason = f"no entry {error}" if isinstance(error, KeyError) else str(error)
        brief = textwrap.shorten(reason or type(error).__name__, 200, placeholder=" ...")
        raise DamagedFileError(f"{path} is damaged: {brief}") from error


@dataclass(frozen=True)
class RunDirectory:
    """The files of one run: config.json, metrics.csv, checkpoint.pt, result.json and figures."""

    path: Path

    @classmethod
    def create(cls, root: Path) -> RunDirectory:
        """Make a new directory below ``root``, named after the time."""
        stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        for attempt in range(1000):
            path = root / (stamp if attempt == 0 else f"{stamp}_{attempt}")
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                continue  # another run started within the same second
            return cls(path)
        raise ExperimentError(f"cannot find a free name below {root}")

    @property
    def config(self) -> Path:
        return self.path / "config.json"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.csv"

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint.pt"

    @property
    def result(self) -> Path:
        return self.path / "result.json"

    @property
    def comparison(self) -> Path | None:
        """The directory of the comparison that this run belongs to, if it does."""
        for folder in self.path.resolve().parents:
            if (folder / STUDY).exists():
                part = self.path.resolve().relative_to(folder).parts[0]
                return folder if part in (TUNING, FINAL) else None
        return None

    def figure(self, name: str) -> Path:
        """Return the path of a figure."""
        return self.path / f"{name}.png"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Let an error of the file system, such as a full disk, name the file to be written."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file in one step: whoever reads it sees the old or the new content, never half.

    One process at a time may write a file. The draft goes if it cannot be completed; the next
    writer takes over the one that a killed process left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    with writing(path):
        try:
            with draft.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise


def write_json(path: Path, content: Any) -> None:
    """Write JSON in one step (see `write_bytes`); NaN and infinity become null."""
    strict = json.loads(json.dumps(content), parse_constant=lambda _name: None)
    write_bytes(path, (json.dumps(strict, indent=2) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read JSON; a `DamagedFileError` if it is none."""
    with reading(path):
        return json.loads(path.read_text(encoding="utf-8"))


@contextmanager
def stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a polite request; a second one interrupts at once.

    Yields a function that tells whether to stop. Use it in the main thread.
    """
    requested = False

    def request(_signal: int, _frame: FrameType | None) -> None:
        nonlocal requested
        if requested:
            raise KeyboardInterrupt
        requested = True

    before = signal.signal(signal.SIGINT, request)
    try:
        yield lambda: requested
    finally:
        signal.signal(signal.SIGINT, before)
