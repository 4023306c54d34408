"""One run of a comparison: train, and remember the way."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from numbers import Real
from pathlib import Path
from typing import Any, Literal, Protocol

from lpgd.experiments.locks import exclusive
from lpgd.experiments.metrics import Row
from lpgd.experiments.running import Experiment
from lpgd.experiments.runs import RunDirectory, read_json, reading, write_json
from lpgd.experiments.settings import Settings
from lpgd.experiments.training import Trainer

Measures = dict[str, float | None]


class Comparable(Experiment, Protocol):
    """An experiment whose methods can be compared."""

    def measures(self, task: Any, row: Row) -> Measures:
        """Return what is compared of one judgement: by default all of it."""
        return {name: row[name] for name in task.judged}

    def reached(self, measures: Measures) -> bool:
        """Tell whether training may end here: by default it goes on as long as was asked for."""
        return False

    def score(self, outcome: Outcome) -> tuple[float, ...]:
        """Order the runs of one method: the least is the best."""
        ...

    def verdict(self, outcome: Outcome) -> str:
        """Say where a run got to."""
        ...


@dataclass(frozen=True)
class Contest:
    """A run in ``path``: it ends after ``epochs``, or when the goal is met ``hold`` times in a row.

    Each judgement of the model (``config.evaluations`` per epoch) counts as one time.
    """

    experiment: Comparable
    path: Path
    config: Settings
    epochs: int
    hold: int = 1


@dataclass(frozen=True)
class Outcome:
    """Where a run got to.

    ``epoch``, ``seconds`` and each of ``curves`` hold one number per judgement; ``seconds`` counts
    training steps only.
    """

    config: Any
    epochs: int
    ended: bool
    epoch: list[float]
    seconds: list[float]
    curves: dict[str, list[float | None]]  # None where there was nothing to measure
    failures: int
    result: dict[str, Any] = field(default_factory=dict[str, Any])  # empty for a tuning run

    def __post_init__(self) -> None:
        """Raise unless there are numbers, as many of each kind: a file may hold anything."""
        lengths = {len(values) for values in (self.epoch, self.seconds, *self.curves.values())}
        numbers = [self.epochs, *self.epoch, *self.seconds]
        if len(lengths) != 1 or 0 in lengths or not all(isinstance(x, Real) for x in numbers):
            raise ValueError("its judgements are not as many numbers of each kind")

    def when(self, axis: Literal["epoch", "seconds"], curve: str, limit: float) -> float | None:
        """Return the place of the first judgement of at most ``limit``; None if there is none."""
        places = zip(getattr(self, axis), self.curves[curve], strict=True)
        return next((at for at, value in places if value is not None and value <= limit), None)

    def to_json(self) -> dict[str, Any]:
        """Return a value that JSON can hold."""
        return vars(self) | {"config": self.config.to_json()}

    @classmethod
    def from_json(cls, kind: type[Settings], value: dict[str, Any]) -> Outcome:
        """Read what `to_json` wrote."""
        rest = {name: content for name, content in value.items() if name != "config"}
        return cls(config=kind(**value["config"]), **rest)


def finished(contest: Contest) -> Outcome | None:
    """Read the outcome of a contest; None if there is something left to train."""
    path, experiment = RunDirectory(contest.path).result, contest.experiment
    if not path.exists():
        return None
    with reading(path):
        outcome = Outcome.from_json(experiment.config, read_json(path))
        experiment.score(outcome)
        experiment.verdict(outcome)
    return outcome if outcome.ended or outcome.epochs >= contest.epochs else None


def play(contest: Contest) -> Outcome:
    """Run a contest, continue it, or read its outcome if it is over."""
    return finished(contest) or _play(contest)


def _play(contest: Contest) -> Outcome:
    run, config = RunDirectory(contest.path), replace(contest.config, epochs=contest.epochs)
    with exclusive(run.path):
        config.write(run)
        trainer = Trainer(config, contest.experiment.task(config), run)
        while trainer.step < trainer.total_steps and not _is_over(trainer, contest):
            trainer.advance()
        trainer.save()
        outcome = _outcome(trainer, contest)
        write_json(run.result, outcome.to_json())
    return outcome


def _is_over(trainer: Trainer, contest: Contest) -> bool:
    if not trainer.rows or not trainer.is_judged(trainer.rows[-1]):
        return False  # nothing new to judge
    last = trainer.judgements()[-contest.hold :]
    measures = [contest.experiment.measures(trainer.task, row) for row in last]
    return len(last) == contest.hold and all(map(contest.experiment.reached, measures))


def _outcome(trainer: Trainer, contest: Contest) -> Outcome:
    judged = trainer.judgements()
    measures = [contest.experiment.measures(trainer.task, row) for row in judged]
    return Outcome(
        config=trainer.config,
        epochs=contest.epochs,
        ended=_is_over(trainer, contest),
        epoch=[row["epoch"] or 0.0 for row in judged],
        seconds=[row["seconds"] or 0.0 for row in judged],
        curves={name: [_known(m[name]) for m in measures] for name in measures[0]},
        failures=int(trainer.total("failures")),
        result={} if trainer.config.tuning else contest.experiment.result(trainer),
    )


def _known(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
