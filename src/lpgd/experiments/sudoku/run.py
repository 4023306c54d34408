"""`lpgd run sudoku`: one training run with live progress, files and figures."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from lpgd.experiments.metrics import Row
from lpgd.experiments.progress import TrainingProgress
from lpgd.experiments.runs import (
    ExperimentError,
    RunDirectory,
    read_json,
    reading,
    stop_on_interrupt,
    write_json,
)
from lpgd.experiments.sudoku.config import SudokuConfig
from lpgd.experiments.sudoku.data import Split, from_file, generate
from lpgd.experiments.sudoku.figures import draw_figures
from lpgd.experiments.sudoku.model import check_engine
from lpgd.experiments.sudoku.train import Trainer, is_evaluated


def check_and_start(
    config: SudokuConfig, root: Path, puzzles: Path | None
) -> tuple[RunDirectory, Split]:
    """Refuse a run that cannot work before it has a directory; return it with its puzzles."""
    split = load_split(config, puzzles)
    check_engine(config)
    return start_run(config, root, puzzles), split


def start_run(config: SudokuConfig, root: Path, puzzles: Path | None) -> RunDirectory:
    """Make a run directory that holds all it takes to (re)start the run."""
    run = RunDirectory.create(root)
    if puzzles is not None and config.puzzles is not None:
        shutil.copyfile(puzzles, run.path / config.puzzles)
    write_json(run.config, config.to_json())
    return run


def read_config(run: RunDirectory) -> SudokuConfig:
    """Read the configuration of a run."""
    if not run.config.exists():
        raise ExperimentError(f"{run.path} is not a run directory: it has no {run.config.name}")
    with reading(run.config):
        return SudokuConfig(**read_json(run.config))


def continue_run(run: RunDirectory, changes: dict[str, Any]) -> None:
    """Change what may change in the configuration of an existing run."""
    before = read_config(run)
    after = replace(before, **changes)
    if after.epochs < before.epochs:
        raise ExperimentError(f"a run of {before.epochs} epochs cannot be cut to {after.epochs}")
    if changes:
        write_json(run.config, after.to_json())


def load_split(config: SudokuConfig, puzzles: Path | None) -> Split:
    """Generate the puzzles, or read the user's own."""
    if puzzles is not None:
        sizes = (config.train_size, config.test_size)
        split = from_file(puzzles, config.box, sizes, config.data_seed)
    else:
        split = generate(config.box, config.train_size, config.test_size, config.data_seed)
    return split.for_tuning() if config.tuning else split


def execute(
    run: RunDirectory, console: Console, split: Split | None = None
) -> dict[str, Any] | None:
    """Train to the end and return the result; None if the user stopped it.

    ``split`` saves making the puzzles again. A run that was interrupted, however rudely,
    continues from its last checkpoint.
    """
    config = read_config(run)
    if split is None:
        split = load_split(config, _puzzles(config, run))
    trainer = Trainer(config, split, run)
    console.print(_headline(config, split, trainer), highlight=False)
    if not _train(trainer, console):
        trainer.save()
        return None
    draw_figures(trainer, split.test, run)
    result = summarize(trainer, len(split.test))
    write_json(run.result, result)
    return result


def _puzzles(config: SudokuConfig, run: RunDirectory) -> Path | None:
    return None if config.puzzles is None else run.path / config.puzzles


def summarize(trainer: Trainer, boards: int) -> dict[str, Any]:
    """Return the last judgement and the time it took."""
    last = [row for row in trainer.rows if is_evaluated(row)][-1]
    return {
        "epoch": last["epoch"],
        "test_mse": last["test_mse"],
        "wrong_boards": int(last["test_wrong"] or 0),
        "test_boards": boards,
        "seconds": last["seconds"],
        "seconds_forward": _total(trainer.rows, "seconds_forward"),
        "seconds_backward": _total(trainer.rows, "seconds_backward"),
        "failures": int(_total(trainer.rows, "failures")),
    }


def _train(trainer: Trainer, console: Console) -> bool:
    """Train; False if the user asked to stop before the end."""
    total = trainer.total_steps
    with (
        stop_on_interrupt() as stop_requested,
        TrainingProgress(console, total, trainer.step) as progress,
    ):
        while trainer.step < total and not stop_requested():
            row = trainer.advance()
            progress.show(trainer.step, _live_numbers(trainer.rows, row))
            if is_evaluated(row):
                progress.announce(_judgement(trainer, row))
    return trainer.step >= total


def _headline(config: SudokuConfig, split: Split, trainer: Trainer) -> str:
    size = config.box**2
    where = f"from step {trainer.step}" if trainer.step else "from scratch"
    return (
        f"{size}x{size} Sudoku, {len(split.train)} puzzles to train, {len(split.test)} to test\n"
        f"{config.make_rule()}\nlearning rate {config.lr:g}, seed {config.seed}, {where}"
    )


def _live_numbers(rows: list[Row], row: Row) -> str:
    judged = next((past for past in reversed(rows) if is_evaluated(past)), None)
    error = "" if judged is None else f"  wrong {judged['test_wrong']:.0f}"
    return f"loss {row['loss']:.5f}{error}  {_seconds(rows)}"


def _judgement(trainer: Trainer, row: Row) -> str:
    return (
        f"epoch {row['epoch']:g}  loss {row['loss']:.5f}  test MSE {row['test_mse']:.5f}  "
        f"wrong {row['test_wrong']:.0f}  {_seconds(trainer.rows)}"
    )


def _seconds(rows: list[Row]) -> str:
    forward, backward = _total(rows, "seconds_forward"), _total(rows, "seconds_backward")
    return f"forward {forward:.1f} s  backward {backward:.1f} s"


def _total(rows: list[Row], column: str) -> float:
    return sum(row[column] or 0.0 for row in rows)
