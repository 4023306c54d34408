"""One run of the comparison: train until a goal is met, and remember the way there."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lpgd.experiments.metrics import Row
from lpgd.experiments.runs import RunDirectory, read_json, reading, write_json
from lpgd.experiments.sudoku.config import SudokuConfig
from lpgd.experiments.sudoku.run import load_split
from lpgd.experiments.sudoku.train import Trainer, is_evaluated

GOAL = 1.0  # per cent of wrong boards


@dataclass(frozen=True)
class Contest:
    """A run in ``path``: it ends after ``epochs``, or when the goal is met ``hold`` times in a row.

    Each judgement of the model (``config.evaluations`` per epoch) counts as one time.
    """

    path: Path
    config: SudokuConfig
    epochs: int
    hold: int


@dataclass(frozen=True)
class Outcome:
    """Where a run got to.

    ``epoch``, ``seconds``, ``wrong`` (per cent) and ``mse`` hold one number per judgement;
    ``seconds`` counts training steps only.
    """

    config: SudokuConfig
    epochs: int
    ended: bool
    epoch: list[float]
    seconds: list[float]
    wrong: list[float]
    mse: list[float | None]  # None if not one board could be solved
    failures: int

    def epochs_to_goal(self) -> float | None:
        """Return the epoch of the first judgement that meets the goal; None if none does."""
        return self._at_goal(self.epoch)

    def seconds_to_goal(self) -> float | None:
        """Return the training time of that judgement."""
        return self._at_goal(self.seconds)

    def score(self) -> tuple[float, float]:
        """Order runs: fewest epochs to the goal, then the least error at the end."""
        reached = self.epochs_to_goal()
        mse = self.mse[-1]
        infinite = float("inf")
        return (infinite if reached is None else reached, infinite if mse is None else mse)

    def to_json(self) -> dict[str, Any]:
        """Return a value that JSON can hold."""
        return vars(self) | {"config": self.config.to_json()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Outcome:
        """Read what `to_json` wrote."""
        rest = {name: content for name, content in value.items() if name != "config"}
        return cls(config=SudokuConfig(**value["config"]), **rest)

    def _at_goal(self, axis: list[float]) -> float | None:
        return next((at for at, wrong in zip(axis, self.wrong, strict=True) if wrong <= GOAL), None)


def play(contest: Contest) -> Outcome:
    """Run a contest, continue it, or read its outcome if it is over."""
    run = RunDirectory(contest.path)
    if run.result.exists():
        with reading(run.result):
            outcome = Outcome.from_json(read_json(run.result))
        if outcome.ended or outcome.epochs >= contest.epochs:
            return outcome
    config = replace(contest.config, epochs=contest.epochs)
    write_json(run.config, config.to_json())
    split = load_split(config, None)
    trainer = Trainer(config, split, run)
    while trainer.step < trainer.total_steps and not _is_over(trainer, contest, len(split.test)):
        trainer.advance()
    trainer.save()
    outcome = _outcome(trainer, contest, len(split.test))
    write_json(run.result, outcome.to_json())
    return outcome


def _is_over(trainer: Trainer, contest: Contest, boards: int) -> bool:
    if not trainer.rows or not is_evaluated(trainer.rows[-1]):
        return False  # nothing new to judge
    last = _wrong(trainer.rows, boards)[-contest.hold :]
    return len(last) == contest.hold and max(last) <= GOAL


def _outcome(trainer: Trainer, contest: Contest, boards: int) -> Outcome:
    judged = [row for row in trainer.rows if is_evaluated(row)]
    return Outcome(
        config=trainer.config,
        epochs=contest.epochs,
        ended=_is_over(trainer, contest, boards),
        epoch=_column(judged, "epoch"),
        seconds=_column(judged, "seconds"),
        wrong=_wrong(judged, boards),
        mse=[None if math.isnan(mse) else mse for mse in _column(judged, "test_mse")],
        failures=int(sum(_column(trainer.rows, "failures"))),
    )


def _wrong(rows: list[Row], boards: int) -> list[float]:
    return [100 * count / boards for count in _column(rows, "test_wrong")]


def _column(rows: list[Row], name: str) -> list[float]:
    return [value for row in rows if (value := row[name]) is not None]
