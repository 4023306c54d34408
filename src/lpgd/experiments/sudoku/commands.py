"""Command-line options of the Sudoku experiment."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from lpgd.experiments import options
from lpgd.experiments.methods import choose_methods
from lpgd.experiments.runs import RunDirectory
from lpgd.experiments.sudoku.config import PUZZLES_COPY, SudokuConfig
from lpgd.experiments.sudoku.methods import METHODS
from lpgd.experiments.terminal import (
    changes_on_resume,
    conclude,
    continuable,
    new_console,
    report_errors,
    settings_given,
)


def run_sudoku(
    context: typer.Context,
    epochs: Annotated[int, Option(min=1, help="Passes over the training puzzles.")] = 3,
    seed: Annotated[int, Option(min=0, help="Decides the first A and the order of batches.")] = 0,
    rule: options.Rule = "lpgd",
    tau: options.Tau = 1e4,
    rho: Annotated[
        float | None, Option(help="Proximal weight; by default 0.1, with exact 0.001.")
    ] = None,
    side: options.Side = "average",
    loss: options.Loss = "linearised",
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
    engine: options.Engine = "auto",
    threads: options.Threads = None,
    out: options.RunsOut = Path("runs/sudoku"),
    resume: options.Resume = None,
) -> None:
    """Learn the rules of Sudoku from solved puzzles.

    The columns of a puzzle file are the puzzle and, if you like, its solution. 9x9 puzzles default
    to 900 for training and 100 for testing, those of a file to nine tenths and one tenth.
    """
    from lpgd.experiments.running import execute
    from lpgd.experiments.sudoku.task import SUDOKU, SudokuTask, load_split, start_run

    console = new_console()
    with report_errors():
        if resume is not None:
            run, task, changes = RunDirectory(resume), None, changes_on_resume(context)
        else:
            config = _config(context)
            task = SudokuTask(config, load_split(config, puzzles))
            SUDOKU.check(config)
            run, changes = start_run(config, out, puzzles), None
        result = execute(SUDOKU, run, console, task, changes)
    result = conclude(console, "sudoku", run, result)
    console.print(
        f"Test MSE {result['test_mse']:.6f}, wrong boards {result['wrong_boards']:.0f} of "
        f"{result['test_boards']}"
    )


def compare_sudoku(
    method: Annotated[
        list[str] | None, Option(help="Only this method (may be repeated).", show_default="all")
    ] = None,
    seeds: options.Seeds = 3,
    tuning_epochs: options.TuningEpochs = 8,
    max_epochs: options.MaxEpochs = 12,
    jobs: options.Jobs = 1,
    final_jobs: options.FinalJobs = 1,
    train_size: Annotated[
        int | None, Option(min=2, help="Training puzzles; by default 9000.")
    ] = None,
    test_size: Annotated[int | None, Option(min=1, help="Test puzzles; by default 1000.")] = None,
    engine: options.Engine = "auto",
    threads: options.Threads = None,
    out: Annotated[
        Path, Option(file_okay=False, help="Where results go, and are continued.")
    ] = Path("runs/compare-sudoku"),
) -> None:
    """Compare gradient rules on 4x4 Sudoku, each with its best settings.

    Stopped with Ctrl-C, the same command continues; finished runs are not repeated.
    """
    from lpgd.experiments.comparison import Effort, compare
    from lpgd.experiments.sudoku.compare import Study
    from lpgd.experiments.sudoku.report import results_table, write_results

    console = new_console()
    with report_errors():
        study = Study(
            train_size=train_size,
            test_size=test_size,
            tuning_epochs=tuning_epochs,
            engine=engine,
            threads=threads,
        )
        effort = Effort(seeds, max_epochs, jobs, final_jobs)
        with continuable(console):
            chosen = choose_methods(METHODS, method)
            finals = compare(study, chosen, effort, out, console, write_results)
    console.print(results_table(finals))
    console.print(f"Results and figure: {out}", soft_wrap=True)


def _config(context: typer.Context) -> SudokuConfig:
    rho, puzzles = context.params["rho"], context.params["puzzles"]
    if rho is None:
        rho = 1e-3 if context.params["rule"] == "exact" else 0.1
    copy = None if puzzles is None else PUZZLES_COPY
    return SudokuConfig(**settings_given(context, SudokuConfig, rho=rho, puzzles=copy))
