"""Command-line options of the Sudoku experiment."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from typer import Option

from lpgd.experiments.runs import ExperimentError, RunDirectory
from lpgd.experiments.sudoku.config import PUZZLES_COPY, SudokuConfig
from lpgd.experiments.sudoku.methods import METHODS, Method
from lpgd.experiments.terminal import INTERRUPTED, given_options, report_errors

# With --resume the run's own configuration holds; these alone leave the numbers already written
# as they are.
_FREE_ON_RESUME = {"epochs", "threads"}

Rule = Literal["lpgd", "exact"]
Side = Literal["lower", "upper", "average"]


def run_sudoku(
    context: typer.Context,
    epochs: Annotated[int, Option(min=1, help="Passes over the training puzzles.")] = 3,
    seed: Annotated[int, Option(min=0, help="Decides the first A and the order of batches.")] = 0,
    rule: Annotated[Rule, Option(help="Gradient rule.")] = "lpgd",
    tau: Annotated[float, Option(help="LPGD: how far the tilted problem moves.")] = 1e4,
    rho: Annotated[
        float | None, Option(help="Proximal weight; by default 0.1, with exact 0.001.")
    ] = None,
    side: Annotated[Side, Option(help="LPGD: which side of the loss.")] = "average",
    lr: Annotated[float, Option(help="Learning rate of Adam.")] = 0.1,
    batch: Annotated[int, Option(min=1, help="Puzzles per step.")] = 150,
    box: Annotated[int, Option(min=2, help="Side of a box: 2 for 4x4, 3 for 9x9 (slow).")] = 2,
    puzzles: Annotated[
        Path | None,
        Option(exists=True, dir_okay=False, help="Your own puzzles, a line each: digits and dots."),
    ] = None,
    train_size: Annotated[
        int | None, Option(min=1, help="Training puzzles; by default 9000.")
    ] = None,
    test_size: Annotated[int | None, Option(min=1, help="Test puzzles; by default 1000.")] = None,
    data_seed: Annotated[int, Option(min=0, help="Decides the puzzles and their split.")] = 0,
    engine: Annotated[str, Option(help="Solver of the linear programs.")] = "auto",
    threads: Annotated[int | None, Option(min=1, help="Solver threads; by default all.")] = None,
    out: Annotated[Path, Option(help="Where run directories are made.")] = Path("runs/sudoku"),
    resume: Annotated[
        Path | None,
        Option(file_okay=False, help="Continue this run (--epochs may grow, --threads change)."),
    ] = None,
) -> None:
    """Learn the rules of Sudoku from solved puzzles.

    The columns of a puzzle file are the puzzle and, if you like, its solution. 9x9 puzzles default
    to 900 for training and 100 for testing, those of a file to nine tenths and one tenth.
    """
    from lpgd.experiments.sudoku.run import check_and_start, continue_run, execute

    console = Console()
    with report_errors(console):
        if resume is not None:
            run, split = RunDirectory(resume), None
            continue_run(run, _changes(context))
        else:
            run, split = check_and_start(_config(context), out, puzzles)
        result = execute(run, console, split)
    if result is None:
        console.print(
            f"Stopped. Continue with: lpgd run sudoku --resume {run.path}", soft_wrap=True
        )
        raise typer.Exit(INTERRUPTED)
    console.print(f"Files and figures: {run.path}", soft_wrap=True)
    console.print(
        f"Test MSE {result['test_mse']:.6f}, wrong boards {result['wrong_boards']:.0f} of "
        f"{result['test_boards']}"
    )


def compare_sudoku(
    method: Annotated[
        list[str] | None, Option(help="Only this method (may be repeated).", show_default="all")
    ] = None,
    seeds: Annotated[int, Option(min=1, help="Final runs per method, from seed 0 on.")] = 3,
    tuning_epochs: Annotated[int, Option(min=1, help="Longest tuning run.")] = 8,
    max_epochs: Annotated[int, Option(min=1, help="Longest final run.")] = 12,
    jobs: Annotated[int, Option(min=1, help="Tuning runs at a time.")] = 1,
    final_jobs: Annotated[
        int, Option(min=1, help="Final runs at a time; more than 1 spoils the seconds.")
    ] = 1,
    train_size: Annotated[
        int | None, Option(min=2, help="Training puzzles; by default 9000.")
    ] = None,
    test_size: Annotated[int | None, Option(min=1, help="Test puzzles; by default 1000.")] = None,
    engine: Annotated[str, Option(help="Solver of the linear programs.")] = "auto",
    threads: Annotated[
        int | None, Option(min=1, help="Solver threads per run; by default all.")
    ] = None,
    out: Annotated[Path, Option(help="Where results go, and are continued.")] = Path(
        "runs/compare-sudoku"
    ),
) -> None:
    """Compare gradient rules on 4x4 Sudoku, each with its best settings.

    Stopped with Ctrl-C, the same command continues; finished runs are not repeated.
    """
    from lpgd.experiments.sudoku.compare import Effort, Study, compare
    from lpgd.experiments.sudoku.report import results_table, write_results

    console = Console()
    with report_errors(console):
        study = Study(
            train_size=train_size,
            test_size=test_size,
            tuning_epochs=tuning_epochs,
            engine=engine,
            threads=threads,
        )
        effort = Effort(seeds, max_epochs, jobs, final_jobs)
        try:
            finals = compare(study, _methods(method), effort, out, console)
        except KeyboardInterrupt:
            console.print("Stopped. The same command continues.")
            raise typer.Exit(INTERRUPTED) from None
        write_results(finals, out)
    console.print(results_table(finals))
    console.print(f"Results and figure: {out}", soft_wrap=True)


def _methods(names: list[str] | None) -> list[Method]:
    known = {method.name: method for method in METHODS}
    unknown = [name for name in names or [] if name not in known]
    if unknown:
        raise ExperimentError(f"unknown method {unknown[0]}; choose from {', '.join(known)}")
    return [known[name] for name in names or known]


def _config(context: typer.Context) -> SudokuConfig:
    values = dict(context.params)
    unused = given_options(context) & {"tau", "side"}
    if values["rule"] == "exact" and unused:
        raise ExperimentError(f"--{min(unused)} belongs to --rule lpgd, not to exact")
    if values["rho"] is None:
        values["rho"] = 1e-3 if values["rule"] == "exact" else 0.1
    if values["puzzles"] is not None:
        values["puzzles"] = PUZZLES_COPY
    names = {field.name for field in fields(SudokuConfig)}
    return SudokuConfig(**{name: value for name, value in values.items() if name in names})


def _changes(context: typer.Context) -> dict[str, object]:
    given = given_options(context) - {"resume"}
    if given - _FREE_ON_RESUME:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(given - _FREE_ON_RESUME))
        raise ExperimentError(f"{names} cannot change on --resume; start a new run instead")
    return {name: context.params[name] for name in given}
