"""Metrics as CSV: one row per training step, readable while the run goes on."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lpgd.experiments.runs import write_bytes

Row = dict[str, float | None]


@dataclass(frozen=True)
class MetricsLog:
    """Rows of numbers keyed by column; a missing number is an empty field.

    The first column counts the steps and must increase.
    """

    path: Path
    columns: Sequence[str]

    def append(self, row: Row) -> None:
        """Add a row; it is on its way to the disk when this returns."""
        with self.path.open("a", newline="", encoding="utf-8") as file:
            file.write(self._line(row))

    def keep_until(self, step: int) -> list[Row]:
        """Drop rows after ``step`` (and a half-written last one), return the others."""
        rows = [row for row in self.read() if (row[self.columns[0]] or 0) <= step]
        head = _to_line(self.columns)
        write_bytes(self.path, (head + "".join(map(self._line, rows))).encode())
        return rows

    def read(self) -> list[Row]:
        """Return all whole rows; none if there is no file yet."""
        if not self.path.exists():
            return []
        text = self.path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]  # a killed process may leave half a line
        return [
            {column: float(row[column]) if row[column] else None for column in self.columns}
            for row in csv.DictReader(io.StringIO(whole))
        ]

    def _line(self, row: Row) -> str:
        return _to_line([_format(row.get(column)) for column in self.columns])


def _to_line(fields: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(fields)
    return buffer.getvalue()


def _format(value: float | None) -> str:
    # repr keeps all digits, so that a resumed run can be compared exactly.
    if value is None:
        return ""
    return str(int(value)) if float(value).is_integer() else repr(float(value))
