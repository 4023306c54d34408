"""Interleaved timing of rows that have first proved that they solve the same problem."""

from __future__ import annotations

import argparse
import gc
import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

Array = np.ndarray
TOLERANCE = 1e-4  # relative; a row beyond it solves another problem and gets no ratio


class Runner(Protocol):
    """One row, bound to one instance: a step is ``forward`` and then ``backward``.

    A runner may also have ``both()``, if it can do the two in one faster call.
    """

    def forward(self) -> None: ...

    def backward(self) -> None: ...

    def answers(self) -> Mapping[str, Array]:
        """What the last step found: ``x`` and the gradients, by the name of the data."""
        ...


@dataclass(frozen=True)
class Row:
    """One line of a table.

    ``quantity`` names the reference it must agree with ("exact", "lower", "average" or
    "solution", where only x is compared); ``slow`` rows need ``--slow``.
    """

    name: str
    quantity: str
    build: Callable[[], Runner]
    note: str = ""
    slow: str = ""


def mark_slow(rows: Sequence[Row], texts: Sequence[str]) -> list[Row]:
    """Make the rows whose name contains one of ``texts`` wait for ``--slow``."""
    return [
        replace(row, slow="minutes at this size") if any(t in row.name for t in texts) else row
        for row in rows
    ]


@dataclass
class Result:
    """Outcome of a row: its errors against the reference and its times in seconds per round."""

    row: Row
    status: str = "ok"
    detail: str = ""
    errors: dict[str, float] = field(default_factory=dict)
    times: dict[str, Array] = field(default_factory=dict)

    def median(self, phase: str) -> float:
        """Median over the rounds in which the row ran, in seconds (NaN if it never did)."""
        times = self.times.get(phase)
        return (
            float("nan") if times is None or np.isnan(times).all() else float(np.nanmedian(times))
        )

    def minimum(self, phase: str) -> float:
        """Best round, in seconds."""
        times = self.times.get(phase)
        return float("nan") if times is None or np.isnan(times).all() else float(np.nanmin(times))


class Table(dict[str, Result]):
    """Results by the row's name; a row that was not run is an empty result."""

    def __init__(self, results: Sequence[Result]) -> None:
        super().__init__({result.row.name: result for result in results})

    def __missing__(self, name: str) -> Result:
        return Result(Row(name, "", lambda: None), "skipped")


def relative_errors(
    answers: Mapping[str, Array], reference: Mapping[str, Array]
) -> dict[str, float]:
    """Compare in the Frobenius norm, over the whole batch, every array that both sides have.

    A reference that is zero (the cost gradient of an LP at a vertex) is measured against the
    largest of the other gradients, or else any rounding error would be infinite.
    """
    scale = max((float(np.linalg.norm(v)) for k, v in reference.items() if k != "x"), default=1.0)
    errors = {}
    for name, value in answers.items():
        size = float(np.linalg.norm(reference[name]))
        floor = 1e-9 * scale
        errors[name] = float(
            np.linalg.norm(value - reference[name]) / (size if size > floor else scale)
        )
    return errors


def median_ratio(above: Result, below: Result, phase: str, phase_below: str = "") -> float:
    """Ratio of two rows' times, taken within each round, then the median over the rounds."""
    a, b = above.times.get(phase), below.times.get(phase_below or phase)
    if a is None or b is None or above.status != "ok" or below.status != "ok":
        return float("nan")
    ratios = a / b
    return float("nan") if np.isnan(ratios).all() else float(np.nanmedian(ratios))


def measure(
    rows: Sequence[Row],
    references: Mapping[str, Mapping[str, Array]],
    options: argparse.Namespace,
) -> Table:
    """Check every row against its reference, then time the rows in turns."""
    results, runners = [], {}
    chosen = [
        row for row in rows if not options.only or any(text in row.name for text in options.only)
    ]
    for row in chosen:
        result, runner = _check(row, references, options)
        results.append(result)
        if runner is not None:
            runners[row.name] = runner
    _time([r for r in results if r.row.name in runners], runners, options)
    return Table(results)


def _check(row, references, options) -> tuple[Result, Runner | None]:
    if row.slow and not options.slow:
        return Result(row, "skipped", f"{row.slow} (--slow runs it)"), None
    try:
        runner = row.build()
        runner.forward()
        runner.backward()
        reference = references["exact" if row.quantity == "solution" else row.quantity]
        errors = relative_errors(runner.answers(), reference)
    except ModuleNotFoundError as error:
        return Result(row, "not installed", f"no module named {error.name}"), None
    except Exception as error:  # a peer may fail in any way; the others' times still count
        return Result(row, "failed", f"{type(error).__name__}: {error}"[:200]), None
    # written so that NaN counts as wrong
    wrong = {name: value for name, value in errors.items() if not value <= TOLERANCE}
    detail = ", ".join(f"{name} off by {value:.1e}" for name, value in wrong.items())
    return Result(row, "invalid" if wrong else "ok", detail, errors), runner


def _time(results: list[Result], runners: Mapping[str, Runner], options) -> None:
    """Fill in the times: in every round each row runs once, in a new random order.

    Merely rotating the order would give a row the same predecessor, and so its caches, each time.
    """
    quota = {}
    for result in results:
        runner = runners[result.row.name]
        phases = ("forward", "backward", "both")
        result.times = {phase: np.full(options.rounds, np.nan) for phase in phases}
        _step(runner)  # warm-up
        start = time.perf_counter()
        _step(runner)
        seconds = time.perf_counter() - start
        # a slow row needs fewer rounds for a steady median; three at least
        quota[result.row.name] = max(3, int(options.seconds / max(seconds, 1e-9)))
    gc.collect()
    gc.freeze()  # makes the collections between the rows cheap
    shuffle = np.random.default_rng(options.seed)
    for k in range(options.rounds):
        for place in shuffle.permutation(len(results)):
            result = results[place]
            if k < quota[result.row.name]:
                for phase, seconds in _step(runners[result.row.name]).items():
                    result.times[phase][k] = seconds
    gc.unfreeze()


def _step(runner: Runner) -> dict[str, float]:
    """Time one forward and one backward pass, without the garbage collector."""
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        runner.forward()
        middle = time.perf_counter()
        runner.backward()
        end = time.perf_counter()
        seconds = {"forward": middle - start, "backward": end - middle, "both": end - start}
        if hasattr(runner, "both"):
            start = time.perf_counter()
            runner.both()
            seconds["both"] = time.perf_counter() - start
    finally:
        gc.enable()
    return seconds


def parse_options(description: str, rounds: int = 15) -> argparse.Namespace:
    """Options that every benchmark has; also warns about settings that spoil timings."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds, help="interleaved rounds")
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="about this long per row and instance"
    )
    parser.add_argument(
        "--only", nargs="*", default=[], help="rows whose name contains one of these"
    )
    parser.add_argument(
        "--size", nargs="*", default=[], help="instances whose name contains one of these"
    )
    parser.add_argument(
        "--slow", action="store_true", help="also run the rows that are skipped as slow"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    if "OPENBLAS_CORETYPE" in os.environ:
        warnings.warn(
            "OPENBLAS_CORETYPE is set. It makes numpy use kernels for another processor, which "
            "can be several times slower: unset it before measuring.",
            stacklevel=2,
        )
    return parser.parse_args()
