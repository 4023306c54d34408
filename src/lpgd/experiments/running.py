"""One training run with live progress, files and figures: what `lpgd run NAME` does."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

from rich.console import Console

from lpgd.experiments.locks import exclusive
from lpgd.experiments.metrics import Row
from lpgd.experiments.progress import TrainingProgress
from lpgd.experiments.runs import (
    ExperimentError,
    RunDirectory,
    stop_on_interrupt,
    write_bytes,
    write_json,
)
from lpgd.experiments.settings import Settings
from lpgd.experiments.training import Task, Trainer


class Experiment(Protocol):
    """What an experiment brings to the commands; instances pickle."""

    config: ClassVar[Any]
    """The class of its configurations, one of ``Settings``."""

    def task(self, config: Any, folder: Path | None = None) -> Any:
        """Make model and data; ``folder`` is the run's directory, with the user's own data."""
        ...

    def check(self, config: Any) -> None:
        """Raise `EngineError` if the engine cannot do what the rule asks of it."""
        ...

    def headline(self, task: Any) -> str:
        """Say what is trained on what."""
        ...

    def describe(self, row: Row) -> str:
        """Put a judgement into words, for a line of the terminal."""
        ...

    def result(self, trainer: Trainer) -> dict[str, Any]:
        """Summarize a finished run."""
        ...

    def draw(self, trainer: Trainer, run: RunDirectory) -> None:
        """Draw the figures of a finished run."""
        ...


def start(config: Settings, root: Path, copies: Mapping[str, bytes] | None = None) -> RunDirectory:
    """Make a run directory that holds all it takes to (re)start the run; none if that fails."""
    run = RunDirectory.create(root)
    try:
        for name, content in (copies or {}).items():
            write_bytes(run.path / name, content)
        config.write(run)
    except BaseException:
        shutil.rmtree(run.path, ignore_errors=True)
        raise
    return run


def execute(
    experiment: Experiment,
    run: RunDirectory,
    console: Console,
    task: Task | None = None,
    changes: Mapping[str, Any] | None = None,
) -> dict[str, Any] | None:
    """Train to the end and return the result; None if the user stopped it.

    ``task`` saves making it again; it must be a fresh one. A run that was interrupted, however
    rudely, continues from its last checkpoint, with ``changes`` of its configuration. No other
    process can work on it meanwhile.
    """
    experiment.config.read(run)  # refuse what is no run before anything is written
    if run.comparison is not None:
        raise ExperimentError(
            f"{run.path} belongs to the comparison in {run.comparison}; continue that"
        )
    with exclusive(run.path):
        config = _change(experiment.config.read(run), run, changes or {})
        trainer = Trainer(config, task or experiment.task(config, run.path), run)
        where = f"from step {trainer.step}" if trainer.step else "from scratch"
        console.print(
            f"{experiment.headline(trainer.task)}\n{config.method}\n"
            f"learning rate {config.lr:g}, seed {config.seed}, {where}",
            highlight=False,
        )
        if not _train(experiment, trainer, console):
            trainer.save()
            return None
        experiment.draw(trainer, run)
        result = {**_effort(trainer), **experiment.result(trainer)}
        write_json(run.result, result)
        return result


def _change(config: Settings, run: RunDirectory, changes: Mapping[str, Any]) -> Settings:
    """Change what may change in the configuration of an existing run."""
    changed = replace(config, **changes)
    if changed.epochs < config.epochs:
        raise ExperimentError(f"a run of {config.epochs} epochs cannot be cut to {changed.epochs}")
    if changes:
        changed.write(run)
    return changed


def _effort(trainer: Trainer) -> dict[str, Any]:
    last = trainer.rows[-1]
    return {
        "epoch": last["epoch"],
        "seconds": last["seconds"],
        "seconds_forward": trainer.total("seconds_forward"),
        "seconds_backward": trainer.total("seconds_backward"),
        "failures": int(trainer.total("failures")),
    }


def _train(experiment: Experiment, trainer: Trainer, console: Console) -> bool:
    """Train; False if the user asked to stop before the end."""
    total = trainer.total_steps
    judged = "".join(f"  {experiment.describe(row)}" for row in trainer.judgements()[-1:])
    with (
        stop_on_interrupt() as stop_requested,
        TrainingProgress(console, total, trainer.step) as progress,
    ):
        while trainer.step < total and not stop_requested():
            row = trainer.advance()
            seconds = _seconds(trainer)
            if trainer.is_judged(row):
                judged = f"  {experiment.describe(row)}"
                progress.announce(
                    f"epoch {row['epoch']:g}  loss {row['loss']:.3g}{judged}  {seconds}"
                )
            progress.show(trainer.step, f"loss {row['loss']:.3g}{judged}  {seconds}")
    return trainer.step >= total


def _seconds(trainer: Trainer) -> str:
    forward, backward = trainer.total("seconds_forward"), trainer.total("seconds_backward")
    return f"forward {forward:.1f} s  backward {backward:.1f} s"
