"""Comparing methods: choose the settings of each, then run those from several seeds.

Every run keeps its checkpoint and its result below the output directory, so a comparison that was
stopped continues where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

from rich.console import Console

from lpgd.experiments.contest import Comparable, Contest, Outcome, play
from lpgd.experiments.jobs import JobPool, job_pool
from lpgd.experiments.methods import Method, setting_name
from lpgd.experiments.runs import ExperimentError, read_json, reading, write_json
from lpgd.experiments.settings import Settings

_TUNING_SEED = 1000  # no final run starts from it


class Study(Protocol):
    """What decides the numbers of a comparison, besides the methods; a dataclass.

    ``stages`` are the lengths of tuning runs in epochs, one after the other.
    """

    experiment: ClassVar[Comparable]

    @property
    def stages(self) -> Sequence[int]: ...

    def config(self, seed: int, *, tuning: bool) -> Any:
        """Return the part of the configuration that all methods share."""
        ...


@dataclass(frozen=True)
class Final:
    """A method with its chosen setting and one outcome per seed."""

    method: Method
    chosen: Any
    outcomes: list[Outcome]


@dataclass(frozen=True)
class Effort:
    """How much to run; more can be added to a finished comparison."""

    seeds: int
    max_epochs: int
    jobs: int = 1
    final_jobs: int = 1  # more than one at a time disturb each other's seconds


def claim(study: Any, out: Path) -> None:
    """Make ``out`` the directory of this study; refuse that of another."""
    path, mine = out / "study.json", asdict(study)
    if not path.exists():
        write_json(path, mine)
    with reading(path):
        theirs = dict(read_json(path))
    if theirs != mine:
        differing = ", ".join(name for name in mine if mine[name] != theirs.get(name))
        raise ExperimentError(f"{out} holds a study with another {differing}; choose another --out")


def compare(
    study: Study, methods: list[Method], effort: Effort, out: Path, console: Console, hold: int = 1
) -> list[Final]:
    """Tune every method, then run the chosen settings from several seeds.

    A final run ends after ``max_epochs``, or when the goal is met ``hold`` times in a row.
    """
    base = study.config(0, tuning=False)
    study.experiment.task(base)  # refuse before anything is written
    for method in methods:
        study.experiment.check(method.candidates(base)[0])
    claim(study, out)
    with job_pool(effort.jobs) as pool:
        chosen = [_tune(method, study, pool, out / "tuning", console) for method in methods]
    contests = [
        Contest(
            study.experiment,
            path=out / "final" / method.name / setting_name(config) / f"seed-{seed}",
            config=_with_rule(study.config(seed, tuning=False), config),
            epochs=effort.max_epochs,
            hold=hold,
        )
        for method, config in zip(methods, chosen, strict=True)
        for seed in range(effort.seeds)
    ]
    console.print(f"Final runs: {len(contests)}, {effort.final_jobs} at a time")
    with job_pool(effort.final_jobs) as pool:
        outcomes = pool.run(play, contests, _announcer(study.experiment, out, console))
    return [
        Final(method, config, outcomes[at * effort.seeds : (at + 1) * effort.seeds])
        for at, (method, config) in enumerate(zip(methods, chosen, strict=True))
    ]


def _tune(method: Method, study: Study, pool: JobPool, root: Path, console: Console) -> Settings:
    """Return the setting that wins the race."""
    experiment = study.experiment
    candidates = method.candidates(study.config(_TUNING_SEED, tuning=True))
    console.print(f"Tuning {method.label}: {len(candidates)} settings")
    best = 0
    for epochs in study.stages:
        contests = [
            Contest(experiment, root / method.name / setting_name(config), config, epochs)
            for config in candidates
        ]
        outcomes = pool.run(play, contests, _announcer(experiment, root.parent, console))
        best = min(range(len(outcomes)), key=lambda at: experiment.score(outcomes[at]))
        if outcomes[best].ended:
            break
    console.print(f"Chosen for {method.label}: {setting_name(candidates[best])}", style="bold")
    return candidates[best]


def _with_rule(config: Settings, chosen: Settings) -> Settings:
    return replace(
        config,
        rule=chosen.rule,
        tau=chosen.tau,
        rho=chosen.rho,
        side=chosen.side,
        lr=chosen.lr,
    )


def _announcer(
    experiment: Comparable, out: Path, console: Console
) -> Callable[[Contest, Outcome], None]:
    """Return a function that prints one line per finished run."""

    def announce(contest: Contest, outcome: Outcome) -> None:
        console.print(
            f"  {contest.path.relative_to(out)}: {experiment.verdict(outcome)} "
            f"after {outcome.epoch[-1]:.2f} epochs, {outcome.seconds[-1]:.1f} s",
            highlight=False,
            soft_wrap=True,
        )

    return announce
