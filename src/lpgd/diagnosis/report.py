"""A diagnosis: as data, and as text that a person can read."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lpgd.core.public import public
from lpgd.core.solution import FloatArray, Status
from lpgd.diagnosis.causes import Finding
from lpgd.diagnosis.curves import Line, Sweep
from lpgd.diagnosis.elements import Elements
from lpgd.diagnosis.figure import draw
from lpgd.frontend.batches import Shape

WIDTH = 80
SHOWN = 8  # elements that are listed in the text
HEALTHY = "no fault found"


@public("lpgd")
@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What ``lpgd.diagnose`` found; ``print`` it, read its fields, or draw it.

    Attributes
    ----------
    layer, rule, engine, dtype : str
    shape : tuple of int
        Batch dimensions.
    variables, rows : int
        Sizes of the program that was solved.
    loss : float
    findings : list of Finding
        What was found, what matters most first; empty if nothing is wrong.
    elements : Elements
    gradients : dict from str to float
        Length of the gradient of each learned argument.
    sweep : Sweep or None
        Gradients against tau; None where the loss does not pull at the layer.
    line : Line or None
        Loss and envelope along the negative gradient; None where that is zero.
    """

    layer: str
    rule: str
    engine: str
    dtype: str
    shape: Shape
    variables: int
    rows: int
    loss: float
    findings: list[Finding]
    elements: Elements
    gradients: dict[str, float]
    sweep: Sweep | None
    line: Line | None

    @property
    def cause(self) -> str:
        """Name of the first finding; ``"no fault found"`` without any."""
        return self.findings[0].name if self.findings else HEALTHY

    def __str__(self) -> str:
        return "\n".join(line.rstrip() for part in _parts(self) for line in part)

    def figure(self) -> Any:
        """One matplotlib figure: gradients against tau, loss and envelope, the elements.

        Raises
        ------
        MissingExtraError
            matplotlib is not installed.
        """
        title = f"{self.layer}: {self.cause}"
        return draw(title, self.elements, self.variables, self.sweep, self.line)


def _parts(found: Diagnosis) -> Iterator[list[str]]:
    yield _head(found)
    yield _causes(found)
    yield _table(found)
    if found.sweep is not None:
        yield _swept(found.sweep)
    if found.line is not None:
        yield _lined(found.line)


def _head(found: Diagnosis) -> list[str]:
    shape = "x".join(map(str, found.shape)) or "one element"
    what = f"{found.layer}, {found.rule}, engine {found.engine}, {found.dtype}"
    size = f"batch {shape}, {found.variables} variables, {found.rows} multipliers"
    sizes = ", ".join(f"{name} {size:.3g}" for name, size in found.gradients.items())
    lines = [*_wrapped(what, ""), *_wrapped(size, "")]
    return [*lines, *_wrapped(f"loss {found.loss:.6g}; gradients: {sizes or 'none'}", "")]


def _causes(found: Diagnosis) -> list[str]:
    if not found.findings:
        return ["", f"cause: {HEALTHY}"]
    lines = [""]
    total = len(found.elements)
    for place, finding in enumerate(found.findings):
        mark = "cause" if not place else "also"
        share = f"{len(finding.elements)} of {total} elements"
        lines += [f"{mark}: {finding.name} ({share})", *_wrapped(finding.text)]
        lines += _wrapped(f"Try: {finding.advice}")
    return lines


def _table(found: Diagnosis) -> list[str]:
    own = found.elements
    chosen = list(dict.fromkeys(int(e) for f in found.findings for e in f.elements[:SHOWN]))
    chosen = sorted(chosen[:SHOWN] or range(min(SHOWN, len(own))))
    lines = ["", "element    status    active  upper t  lower t      tau  moved  gradient  marks"]
    for e in chosen:
        index = np.unravel_index(e, found.shape) if found.shape else ()
        name = ",".join(str(int(i)) for i in index) or "-"
        status = Status(int(own.status[e])).text[:10]
        spans = [f"{_short(value):>8}" for value in own.breakpoints[e]]
        tau = "-" if not own.tau[e] else _short(own.tau[e])
        marks = "".join(letter if getattr(own, name)[e] else "" for name, letter in MARKS.items())
        if own.tilted[e]:
            marks += "!"
        lines.append(
            f"{name[:9]:<9}  {status:<10}{own.active[e]:>6} {spans[0]} {spans[1]} {tau:>8}"
            f"  {'yes' if own.moved[e] else 'no':<5}  {_short(own.gradient[e]):>8}  {marks}"
        )
    if len(own) > len(chosen):
        lines.append(f"... and {len(own) - len(chosen)} more")
    legend = "marks: v vertex, f flat face, d degenerate, r redundant rows, u unverified, "
    legend += "! a tilted solve failed. Up to the t of a side x moves as at first."
    return [*lines, *_wrapped(legend, "")]


MARKS = {"vertex": "v", "flat": "f", "degenerate": "d", "redundant": "r", "unverified": "u"}


def _short(value: float) -> str:
    if np.isnan(value):
        return "?"
    return f"{value:.2g}"


def _swept(sweep: Sweep) -> list[str]:
    lines = ["", "gradient against tau (median of the elements; * from least to most)"]
    sizes = [_median(row) for row in sweep.gradient]
    known = [np.log10(size) for size in sizes if size > 0]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    for tau, size, moved in zip(sweep.tau, sizes, sweep.moved, strict=True):
        stars = 0
        if size > 0:
            stars = 1 + round(29 * (np.log10(size) - low) / (high - low)) if high > low else 15
        share = f"{100 * moved.mean():3.0f} % moved"
        text = "failed" if np.isnan(size) else _short(size)
        lines.append(f"  tau {tau:<7.0e}  {share}  {text:>8}  {'*' * int(stars)}")
    return lines


def _median(row: FloatArray) -> float:
    fine = row[~np.isnan(row)]
    return float(np.median(fine)) if len(fine) else np.nan


def _lined(line: Line) -> list[str]:
    lines = ["", "along the negative gradient (step relative to the learned data)"]
    lines += ["      step          loss      envelope"]
    for step, loss, envelope in zip(line.step, line.loss, line.envelope, strict=True):
        lines.append(f"  {step:>8.0e}  {loss:>12.6g}  {envelope:>12.6g}")
    return lines


def _wrapped(text: str, indent: str = "  ") -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent or "  ",
        break_long_words=True,
    )  # fmt: skip
