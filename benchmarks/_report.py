"""What a benchmark leaves behind: a printed table, JSON and a bar chart."""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _harness import Result, Table, median_ratio

PACKAGES = [
    "lpgd", "numpy", "scipy", "torch", "daqp", "highspy", "clarabel", "scs",
    "cvxpy", "cvxpylayers", "diffcp", "moreau", "jax", "qpax", "proxsuite",
]  # fmt: skip
COLORS = {"forward": "#4477aa", "backward": "#ee6677"}


@dataclass(frozen=True)
class Target:
    """A figure we promised: ``value`` must be at most (or at least) ``limit``."""

    text: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """NaN (a row that gave no ratio) does not count as met."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        if math.isnan(self.value):
            return f"[ ?? ] {self.text}: not measured"
        relation = "at least" if self.at_least else "at most"
        verdict = "met" if self.met else "MISSED"
        return f"[{verdict:^6}] {self.text}: {self.value:.3g} ({relation} {self.limit:g})"


def machine() -> dict[str, Any]:
    """Processor count and versions; nothing that identifies the machine."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "processors": os.cpu_count(),
        "architecture": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "packages": versions,
    }


BASE = "ours (lower)"  # the row that ratios refer to


def print_table(title: str, table: Table) -> None:
    """One line per row; ratios are medians of the per-round ratios to ``BASE``."""
    print(f"\n{title}")
    columns = ("agrees to", 10), ("forward", 10), ("backward", 10), ("both", 10), ("min", 9)
    columns += ("b/f", 7), ("× base", 8)
    head = f"{'row':38}" + "".join(f"{text:>{width}}" for text, width in columns)
    print(head + "\n" + "-" * len(head))
    for result in table.values():
        print(f"{result.row.name:38}" + _cells(result, table[BASE]))
    print("times in ms, medians; min: of both; b/f: backward over forward")
    print(f"× base: both, in units of {BASE}; a loop's forward in units of the forward")
    notes = [
        f"  {r.row.name}: {r.row.note}"
        for r in table.values()
        if r.row.note and r.status != "skipped"
    ]
    print("\n".join(notes), flush=True)


def _cells(result: Result, base: Result) -> str:
    if result.status not in ("ok", "invalid"):
        return f"  {result.status}: {result.detail}"
    times = [result.median(p) for p in ("forward", "backward", "both")] + [result.minimum("both")]
    cells = f"{max(result.errors.values()):>10.0e}"
    if result.row.quantity == "solution":  # forward only
        times[1:] = [math.nan, times[0], result.minimum("forward")]
    cells += "".join(
        f"{'-' if math.isnan(t) else f'{1e3 * t:.2f}':>{w}}"
        for t, w in zip(times, (10, 10, 10, 9), strict=True)
    )
    if result.status == "invalid":
        return f"{cells}   invalid: {result.detail}"
    within = (
        math.nan
        if result.row.quantity == "solution"
        else median_ratio(result, result, "backward", "forward")
    )
    phase = "forward" if result.row.quantity == "solution" else "both"
    ratio = median_ratio(result, base, phase)
    return cells + "".join(
        f"{'-' if math.isnan(v) else f'{v:.2f}':>{w}}" for v, w in ((within, 7), (ratio, 8))
    )


def as_records(table: Table) -> list[dict[str, Any]]:
    """Everything about the rows, for the JSON file."""
    return [_as_record(result, table[BASE]) for result in table.values()]


def _as_record(result: Result, base: Result) -> dict[str, Any]:
    record = {
        "row": result.row.name,
        "note": result.row.note,
        "compared with": result.row.quantity,
        "status": result.status,
        "detail": result.detail,
        "relative errors": result.errors,
    }
    for phase, times in result.times.items():
        ratio = median_ratio(result, base, phase)
        record[phase] = {
            "median": result.median(phase),
            "min": result.minimum(phase),
            "rounds": times[~np.isnan(times)].tolist(),
            "ratio to base": None if math.isnan(ratio) else ratio,
        }
    return record


def save_json(path: Path, parts: Mapping[str, Any], targets: Sequence[Target]) -> None:
    """Write machine, instances and targets."""
    path.parent.mkdir(parents=True, exist_ok=True)
    promised = [
        {"text": t.text, "value": None if math.isnan(t.value) else t.value, "limit": t.limit,
         "at_least": t.at_least, "met": bool(t.met)}
        for t in targets
    ]  # fmt: skip
    record = {"machine": machine(), **parts, "targets": promised}
    path.write_text(json.dumps(record, indent=1) + "\n")


def print_targets(targets: Sequence[Target]) -> None:
    """Say which promises hold."""
    print("\nTargets")
    for target in targets:
        print(f"  {target}")


def draw(path: Path, title: str, groups: Mapping[str, Table]) -> None:
    """Horizontal bars on a log scale, one panel per instance; invalid rows are hatched."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    shown = {
        k: [r for r in v.values() if r.status in ("ok", "invalid") and r.times]
        for k, v in groups.items()
    }
    height = 1.2 + 0.36 * max(map(len, shown.values()))
    figure, axes = plt.subplots(
        1,
        len(shown),
        figsize=(1.5 + 3.4 * len(shown), height),
        sharey=False,
        squeeze=False,
        layout="constrained",
    )
    for axis, (name, results) in zip(axes[0], shown.items(), strict=True):
        _panel(axis, name, results)
    figure.suptitle(title, fontsize=10)
    handles = [mpl.patches.Patch(color=c, label=p) for p, c in COLORS.items()]
    handles.append(
        mpl.patches.Patch(
            facecolor="white", edgecolor="black", hatch="////", label="invalid answer"
        )
    )
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _panel(axis: Any, name: str, results: Sequence[Result]) -> None:
    places = np.arange(len(results))[::-1]
    for offset, (phase, color) in zip((0.2, -0.2), COLORS.items(), strict=True):
        for place, result in zip(places, results, strict=True):
            seconds = result.median(phase)
            if result.row.quantity == "solution" and phase == "backward":
                continue
            hatch = "////" if result.status == "invalid" else None
            axis.barh(
                place + offset, 1e3 * seconds, 0.4, color=color, hatch=hatch, edgecolor="white"
            )
    axis.set_xscale("log")
    axis.set_yticks(places, [r.row.name for r in results], fontsize=7)
    axis.set_xlabel("milliseconds (median)", fontsize=8)
    axis.set_title(name, fontsize=9)
    axis.tick_params(axis="x", labelsize=7)
    axis.grid(axis="x", alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
