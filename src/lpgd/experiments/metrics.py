"""Metrics as CSV: one row per training step, readable while the run goes on."""

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lpgd.experiments.runs import reading, write_bytes, writing

Row = dict[str, float | None]


@dataclass(frozen=True)
class MetricsLog:
    """Rows of numbers keyed by column; a missing number is an empty field.

    The first column counts the steps: 1, 2, 3, ...
    """

    path: Path
    columns: Sequence[str]

    def append(self, row: Row) -> None:
        """Add a row; it is on its way to the disk when this returns."""
        with (
            writing(self.path),
            self.path.open("a", newline="", encoding="utf-8") as file,
        ):
            file.write(self._line(row))

    def sync(self) -> None:
        """Wait until all rows are on the disk."""
        with writing(self.path), self.path.open("ab") as file:
            os.fsync(file.fileno())

    def keep_until(self, step: int) -> list[Row]:
        """Drop rows after ``step`` (and a half-written last one), return the others."""
        rows = [row for row in self.read() if (row[self.columns[0]] or 0) <= step]
        head = _to_line(self.columns)
        write_bytes(self.path, (head + "".join(map(self._line, rows))).encode())
        return rows

    def read(self) -> list[Row]:
        """Return all whole rows; none if there is no file yet.

        A `DamagedFileError` if the heading is another one, a field is no number, or the first
        column does not count 1, 2, 3, ...
        """
        if not self.path.exists():
            return []
        with reading(self.path):
            text = self.path.read_text(encoding="utf-8")
            whole = text[: text.rfind("\n") + 1]  # a killed process may leave half a line
            heading, *lines = list(csv.reader(io.StringIO(whole))) or [list(self.columns)]
            if heading != list(self.columns):
                raise ValueError(f"expected the columns {', '.join(self.columns)}")
            return [self._parse(fields, step) for step, fields in enumerate(lines, start=1)]

    def _parse(self, fields: list[str], step: int) -> Row:
        if len(fields) != len(self.columns):
            raise ValueError(f"line {step + 1} has {len(fields)} fields, not {len(self.columns)}")
        try:
            numbers = [float(field) if field else None for field in fields]
        except ValueError as error:
            raise ValueError(f"line {step + 1}: {error}") from None
        if numbers[0] != step:
            raise ValueError(f"line {step + 1} should be {self.columns[0]} {step}")
        return dict(zip(self.columns, numbers, strict=True))

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
