"""`lpgd compare sudoku`: every gradient rule with the settings that suit it best.

Tuning sees training puzzles only, a tenth of them held out for judging. All candidates of a method
race, an epoch at a time, to at most 1 % wrong boards: the race ends with the epoch in which one of
them meets the goal, since the others can no longer meet it earlier, and that one is chosen. If
none does within ``tuning_epochs``, the least squared error decides. So no candidate is dropped on
an early impression, and slow methods get more epochs of tuning than quick ones.

The final runs train on all training puzzles from other random starts and are judged by the test
puzzles six times per epoch. They stop after ``max_epochs``, or when every judgement for a whole
epoch has met the goal. Seconds count training steps, without judging and writing.

Every run keeps its checkpoint and its result below the output directory, so a comparison that was
stopped continues where it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console

from lpgd.experiments.jobs import JobPool, job_pool
from lpgd.experiments.runs import ExperimentError, read_json, reading, write_json
from lpgd.experiments.sudoku.config import SudokuConfig
from lpgd.experiments.sudoku.contest import Contest, Outcome, play
from lpgd.experiments.sudoku.methods import Method, setting_name
from lpgd.experiments.sudoku.model import check_engine
from lpgd.experiments.sudoku.run import load_split

_EVALUATIONS = 6  # per epoch
_TUNING_SEED = 1000  # no final run starts from it


@dataclass(frozen=True)
class Study:
    """What decides the numbers of a comparison, besides the methods."""

    box: int = 2
    train_size: int | None = None
    test_size: int | None = None
    tuning_epochs: int = 8
    engine: str = "auto"
    threads: int | None = None

    def config(self, seed: int, *, tuning: bool) -> SudokuConfig:
        """Return the part of the configuration that all methods share."""
        return SudokuConfig(
            box=self.box,
            seed=seed,
            train_size=self.train_size,
            test_size=self.test_size,
            engine=self.engine,
            threads=self.threads,
            evaluations=_EVALUATIONS,
            tuning=tuning,
        )

    def claim(self, out: Path) -> None:
        """Make ``out`` the directory of this study; refuse that of another."""
        path, mine = out / "study.json", asdict(self)
        if not path.exists():
            write_json(path, mine)
        with reading(path):
            theirs = dict(read_json(path))
        if theirs != mine:
            differing = ", ".join(name for name in mine if mine[name] != theirs.get(name))
            raise ExperimentError(
                f"{out} holds a study with another {differing}; choose another --out"
            )


@dataclass(frozen=True)
class Final:
    """A method with its chosen setting and one outcome per seed."""

    method: Method
    chosen: SudokuConfig
    outcomes: list[Outcome]


@dataclass(frozen=True)
class Effort:
    """How much to run; more can be added to a finished comparison."""

    seeds: int = 3
    max_epochs: int = 12
    jobs: int = 1
    final_jobs: int = 1  # more than one at a time disturb each other's seconds


def compare(
    study: Study, methods: list[Method], effort: Effort, out: Path, console: Console
) -> list[Final]:
    """Tune every method, then run the chosen settings from several seeds."""
    load_split(study.config(0, tuning=False), None)  # refuse before anything is written
    for method in methods:
        check_engine(method.candidates(study.config(0, tuning=False))[0])
    study.claim(out)
    with job_pool(effort.jobs) as pool:
        chosen = [_tune(method, study, pool, out / "tuning", console) for method in methods]
    contests = [
        Contest(
            path=out / "final" / method.name / setting_name(config) / f"seed-{seed}",
            config=_with_rule(study.config(seed, tuning=False), config),
            epochs=effort.max_epochs,
            hold=_EVALUATIONS,
        )
        for method, config in zip(methods, chosen, strict=True)
        for seed in range(effort.seeds)
    ]
    console.print(f"Final runs: {len(contests)}, {effort.final_jobs} at a time")
    with job_pool(effort.final_jobs) as pool:
        outcomes = pool.run(play, contests, _announcer(out, console))
    return [
        Final(method, config, outcomes[at * effort.seeds : (at + 1) * effort.seeds])
        for at, (method, config) in enumerate(zip(methods, chosen, strict=True))
    ]


def _tune(
    method: Method, study: Study, pool: JobPool, root: Path, console: Console
) -> SudokuConfig:
    """Return the setting that wins the race to the goal."""
    candidates = method.candidates(study.config(_TUNING_SEED, tuning=True))
    console.print(f"Tuning {method.label}: {len(candidates)} settings")
    best = 0
    for epochs in range(1, study.tuning_epochs + 1):
        contests = [
            Contest(root / method.name / setting_name(config), config, epochs, hold=1)
            for config in candidates
        ]
        outcomes = pool.run(play, contests, _announcer(root.parent, console))
        best = min(range(len(outcomes)), key=lambda at: outcomes[at].score())
        if outcomes[best].epochs_to_goal() is not None:
            break
    console.print(f"Chosen for {method.label}: {setting_name(candidates[best])}", style="bold")
    return candidates[best]


def _with_rule(config: SudokuConfig, chosen: SudokuConfig) -> SudokuConfig:
    return replace(
        config,
        rule=chosen.rule,
        tau=chosen.tau,
        rho=chosen.rho,
        side=chosen.side,
        lr=chosen.lr,
    )


def _announcer(out: Path, console: Console) -> Callable[[Contest, Outcome], None]:
    """Return a function that prints one line per finished run."""

    def announce(contest: Contest, outcome: Outcome) -> None:
        reached = outcome.epochs_to_goal()
        goal = "goal not met" if reached is None else f"goal met after {reached:.2f} epochs"
        console.print(
            f"  {contest.path.relative_to(out)}: {outcome.wrong[-1]:.1f} % wrong boards "
            f"after {outcome.epoch[-1]:.2f} epochs, {outcome.seconds[-1]:.1f} s; {goal}",
            highlight=False,
            soft_wrap=True,
        )

    return announce
