"""Comparing methods: choose the settings of each, then run those from several seeds.

Every run keeps its checkpoint and its result below the output directory, so a comparison that was
stopped continues where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from rich.console import Console

from lpgd.experiments.contest import Comparable, Contest, Outcome, finished, play
from lpgd.experiments.jobs import JobPool, job_pool
from lpgd.experiments.locks import exclusive
from lpgd.experiments.methods import Method, setting_name
from lpgd.experiments.progress import ComparisonProgress
from lpgd.experiments.runs import (
    FINAL,
    STUDY,
    TUNING,
    ExperimentError,
    read_json,
    reading,
    write_json,
)
from lpgd.experiments.settings import Settings

_TUNING_SEED = 1000  # no final run starts from it


@dataclass(frozen=True, kw_only=True)
class Study:
    """What decides the numbers of a comparison, besides the methods; an experiment adds its own.

    Every comparison has the methods ``always``. A final run ends when the goal is met ``hold``
    times in a row.
    """

    experiment: ClassVar[Comparable]
    always: ClassVar[tuple[Method, ...]] = ()
    hold: ClassVar[int] = 1

    tuning_epochs: int = 8

    @property
    def stages(self) -> Sequence[int]:
        """Lengths of tuning runs in epochs, one after the other."""
        return (self.tuning_epochs,)

    def config(self, seed: int, *, tuning: bool) -> Any:
        """Return the part of the configuration that all methods share."""
        shared = {name: value for name, value in asdict(self).items() if name != "tuning_epochs"}
        return self.experiment.config(**shared, seed=seed, tuning=tuning)


@dataclass(frozen=True)
class Final:
    """A method with its chosen setting and one outcome per seed.

    ``tuned`` is the score that the setting had in tuning.
    """

    method: Method
    chosen: Any
    outcomes: list[Outcome]
    tuned: tuple[float, ...] = ()


@dataclass(frozen=True)
class Effort:
    """How much to run; more can be added to a finished comparison."""

    seeds: int
    max_epochs: int
    jobs: int = 1
    final_jobs: int = 1  # more than one at a time disturb each other's seconds


@dataclass(frozen=True)
class Tuned:
    """A method, its settings with a score each, and which of them is the best."""

    method: Method
    candidates: list[Any]
    scores: list[tuple[float, ...]]

    @property
    def best(self) -> int:
        """Number of the setting with the least score."""
        return self.scores.index(min(self.scores))

    @property
    def chosen(self) -> Any:
        """The best setting."""
        return self.candidates[self.best]


Report = Callable[[list[Final], Path], None]
"""Writes the results of a comparison into its directory."""


def claim(study: Any, out: Path) -> None:
    """Make ``out`` the directory of this study; refuse that of another."""
    path, mine = out / STUDY, asdict(study)
    if not path.exists():
        write_json(path, mine)
    with reading(path):
        theirs = dict(read_json(path))
    if theirs != mine:
        names = sorted(mine.keys() | theirs.keys())
        differing = ", ".join(name for name in names if mine.get(name) != theirs.get(name))
        raise ExperimentError(f"{out} holds a study with another {differing}; choose another --out")


def compare(
    study: Study,
    methods: list[Method],
    effort: Effort,
    out: Path,
    console: Console,
    report: Report | None = None,
) -> list[Final]:
    """Tune every method, then run the chosen settings from several seeds.

    A final run ends after ``max_epochs``, or when the goal is met. ``report`` writes the results;
    no other process can write into ``out`` until it is done.
    """
    methods = [*study.always, *(method for method in methods if method not in study.always)]
    with _tuned(study, methods, effort, out, console) as (comparison, tuned):
        with job_pool(effort.final_jobs) as pool:
            finals = comparison.run_finals(tuned, pool)
        if report is not None:
            report(finals, out)
    return finals


def tune(
    study: Study,
    methods: list[Method],
    jobs: int,
    out: Path,
    console: Console,
    report: Callable[[list[Tuned], Path], None],
) -> list[Tuned]:
    """Choose the settings of every method; a comparison in ``out`` need not do so again.

    ``report`` writes the results; no other process can write into ``out`` until it is done.
    """
    with _tuned(study, methods, Effort(0, 0, jobs), out, console) as (_, tuned):
        report(tuned, out)
    return tuned


@contextmanager
def _tuned(
    study: Study, methods: list[Method], effort: Effort, out: Path, console: Console
) -> Iterator[tuple[_Comparison, list[Tuned]]]:
    """Take possession of ``out``, and choose the settings of every method."""
    base = study.config(0, tuning=False)
    study.experiment.task(base)  # refuse before anything is written
    for method in methods:
        study.experiment.check(method.candidates(base)[0])
    with exclusive(out):
        claim(study, out)
        with _progress(study, methods, effort, console) as progress:
            comparison = _Comparison(study, effort, out, console, progress)
            with job_pool(effort.jobs) as pool:
                tuned = [comparison.tune(method, pool) for method in methods]
            yield comparison, tuned


def _progress(
    study: Study, methods: list[Method], effort: Effort, console: Console
) -> ComparisonProgress:
    """Count the runs, and the epochs that each may take; runs at a time share the time."""
    base = study.config(_TUNING_SEED, tuning=True)
    tuned = sum(len(method.candidates(base)) for method in methods)
    final = len(methods) * effort.seeds
    work = tuned * study.stages[-1] / effort.jobs + final * effort.max_epochs / effort.final_jobs
    return ComparisonProgress(console, tuned + final, work)


@dataclass(frozen=True)
class _Comparison:
    """Where a comparison is played and shown."""

    study: Study
    effort: Effort
    out: Path
    console: Console
    progress: ComparisonProgress

    def tune(self, method: Method, pool: JobPool) -> Tuned:
        """Let the settings of a method race."""
        experiment, stages = self.study.experiment, self.study.stages
        candidates = method.candidates(self.study.config(_TUNING_SEED, tuning=True))
        self.console.print(f"Tuning {method.label}: {len(candidates)} settings")
        played, tuned = 0, Tuned(method, candidates, [])
        for epochs in stages:
            contests = [
                Contest(experiment, self._path(TUNING, method, config), config, epochs)
                for config in candidates
            ]
            outcomes = self._play(contests, pool, (epochs - played) / self.effort.jobs)
            scores = [experiment.score(outcome) for outcome in outcomes]
            played, tuned = epochs, Tuned(method, candidates, scores)
            if outcomes[tuned.best].ended:
                break
        spared = len(candidates) * (stages[-1] - played) / self.effort.jobs
        self.progress.drop(spared, runs=len(candidates))
        self.console.print(f"Chosen for {method.label}: {setting_name(tuned.chosen)}", style="bold")
        return tuned

    def run_finals(self, tuned: list[Tuned], pool: JobPool) -> list[Final]:
        """Run the chosen settings from every seed."""
        seeds, study = self.effort.seeds, self.study
        contests = [
            Contest(
                study.experiment,
                path=self._path(FINAL, each.method, each.chosen) / f"seed-{seed}",
                config=_with_rule(study.config(seed, tuning=False), each.chosen),
                epochs=self.effort.max_epochs,
                hold=study.hold,
            )
            for each in tuned
            for seed in range(seeds)
        ]
        self.console.print(f"Final runs: {len(contests)}, {self.effort.final_jobs} at a time")
        work = self.effort.max_epochs / self.effort.final_jobs
        outcomes = self._play(contests, pool, work, runs=1)
        return [
            Final(each.method, each.chosen, part, each.scores[each.best])
            for each, part in zip(tuned, _parts(outcomes, seeds), strict=True)
        ]

    def _path(self, part: str, method: Method, config: Settings) -> Path:
        return self.out / part / method.name / setting_name(config)

    def _play(
        self, contests: list[Contest], pool: JobPool, work: float, runs: int = 0
    ) -> list[Outcome]:
        """Play what was not played before; each contest is some work, and completes some runs."""

        def played(contest: Contest, outcome: Outcome) -> None:
            self._announce(contest, outcome)
            self.progress.advance(work, runs)

        known = [finished(contest) for contest in contests]
        for contest, outcome in zip(contests, known, strict=True):
            if outcome is not None:
                self._announce(contest, outcome)
                self.progress.drop(work, runs)
        left = [at for at, outcome in enumerate(known) if outcome is None]
        new = dict(zip(left, pool.run(play, [contests[at] for at in left], played), strict=True))
        return [new[at] if outcome is None else outcome for at, outcome in enumerate(known)]

    def _announce(self, contest: Contest, outcome: Outcome) -> None:
        """Print one line per finished run."""
        self.console.print(
            f"  {contest.path.relative_to(self.out)}: {self.study.experiment.verdict(outcome)} "
            f"after {outcome.epoch[-1]:.2f} epochs, {outcome.seconds[-1]:.1f} s",
            highlight=False,
            soft_wrap=True,
        )


def _parts(outcomes: list[Outcome], size: int) -> list[list[Outcome]]:
    return [outcomes[at : at + size] for at in range(0, len(outcomes), size)]


def _with_rule(config: Settings, chosen: Settings) -> Settings:
    own = {name for names in chosen.rules.values() for name in names}
    return replace(
        config, **{name: getattr(chosen, name) for name in {"rule", "rho", "lr", "loss"} | own}
    )
