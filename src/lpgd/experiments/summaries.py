"""Medians over seeds with their range, in words and in CSV."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from lpgd.experiments.runs import write_bytes


def median(values: Sequence[float | None]) -> float:
    """Return the median; a run that never got there (None) counts as longer than any other."""
    numbers = sorted(math.inf if value is None else value for value in values)
    middle = len(numbers) // 2
    return numbers[middle] if len(numbers) % 2 else (numbers[middle - 1] + numbers[middle]) / 2


def median_or_none(values: Sequence[float | None]) -> float | None:
    """Return the median for JSON: None if it is infinite."""
    middle = median(values)
    return middle if math.isfinite(middle) else None


def spread(values: Sequence[float | None], limit: float, digits: int) -> str:
    """Write median and range of efforts; ``limit`` is what was spent at most."""
    reached = sorted(value for value in values if value is not None)
    endless = f"> {limit:.0f}"
    if not reached:
        return endless
    middle = median(values)
    center = endless if math.isinf(middle) else f"{middle:.{digits}f}"
    most = endless if len(reached) < len(values) else f"{reached[-1]:.{digits}f}"
    return f"{center} ({reached[0]:.{digits}f} to {most})"


def in_words(number: int) -> str:
    """Write a small number as a word."""
    return {2: "two", 3: "three", 4: "four", 5: "five"}.get(number, str(number))


def write_csv(path: Path, heading: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table in one step."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heading)
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode())
