"""Command-line options of the Markowitz experiment."""

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer import Option

from lpgd.experiments import options
from lpgd.experiments.markowitz.config import MarkowitzConfig
from lpgd.experiments.markowitz.methods import METHODS
from lpgd.experiments.methods import choose_methods
from lpgd.experiments.runs import RunDirectory
from lpgd.experiments.terminal import (
    changes_on_resume,
    conclude,
    continuable,
    new_console,
    report_errors,
    settings_given,
)

Data = Annotated[
    Literal["synthetic", "historical"], Option(help="A log-normal market, or recorded prices.")
]
Prices = Annotated[
    Literal["sp500", "factors"], Option(help="Historical: 20 companies, or 5 funds.")
]
Assets = Annotated[int, Option(min=2, help="Assets of a synthetic market.")]
Months = Annotated[int, Option(min=1, help="Months of it to train on.")]
Noise = Annotated[
    float, Option(help="Synthetic: what the expert trades besides, as a share of wealth.")
]
Portfolios = Annotated[int, Option(min=1, help="Tracking: holdings for each month.")]

# epochs, batch size and learning rate that suit an objective
_DEFAULTS: dict[str, dict[str, Any]] = {
    "tracking": {"epochs": 10, "batch": 48, "lr": 0.05},
    "utility": {"epochs": 4, "batch": 10, "lr": 1e-3},
}


def run_markowitz(
    context: typer.Context,
    data: Data = "synthetic",
    prices: Prices = "sp500",
    objective: Annotated[
        Literal["tracking", "utility"],
        Option(help="Trade as the expert does, or for utility over two years."),
    ] = "tracking",
    epochs: Annotated[
        int | None, Option(min=1, help="Passes over the training data; by default 10, utility 4.")
    ] = None,
    seed: Annotated[int, Option(min=0, help="Decides the start and the order of batches.")] = 0,
    rule: options.Rule = "lpgd",
    tau: options.Tau = "auto",
    rho: Annotated[float, Option(help="Proximal weight.")] = 0.0,
    side: options.Side = "average",
    loss: options.Loss = "linearised",
    lr: Annotated[
        float | None, Option(help="Learning rate: of Adam 0.05, for utility of SGD 0.001.")
    ] = None,
    batch: Annotated[
        int | None, Option(min=1, help="Trades per step, by default 48; or rollouts, 10.")
    ] = None,
    assets: Assets = 12,
    months: Months = 120,
    noise: Noise = 0.005,
    portfolios: Portfolios = 8,
    rollouts: Annotated[int, Option(min=1, help="Utility: rollouts to train on.")] = 1000,
    horizon: Annotated[int, Option(min=1, help="Utility: months of a rollout.")] = 24,
    data_seed: Annotated[int, Option(min=0, help="Decides the market and the holdings.")] = 0,
    engine: options.Engine = "auto",
    threads: options.Threads = None,
    out: options.RunsOut = Path("runs/markowitz"),
    resume: options.Resume = None,
) -> None:
    """Tune a trading policy that is a convex program, by differentiating through its solutions.

    Needs the extra lpgd[markowitz].
    """
    from lpgd.experiments.markowitz.task import MARKOWITZ
    from lpgd.experiments.running import execute, start

    console = new_console()
    with report_errors():
        if resume is not None:
            run, task, changes = RunDirectory(resume), None, changes_on_resume(context)
        else:
            config = _config(context)
            MARKOWITZ.check(config)
            task = MARKOWITZ.task(config)
            run, changes = start(config, out), None
        result = execute(MARKOWITZ, run, console, task, changes)
    result = conclude(console, "markowitz", run, result)
    for name, account in result["economics"].items():
        console.print(
            f"Test period, {name}: {100 * account['annual_return']:.2f} % a year, volatility "
            f"{100 * account['volatility']:.2f} %, turnover "
            f"{100 * account['monthly_turnover']:.2f} % a month",
            highlight=False,
        )
    for period in ("validation", "test"):
        before, after = result[f"start_{period}_loss"], result[f"{period}_loss"]
        console.print(
            f"{period.capitalize()} loss {before:.4g} before training, {after:.4g} after",
            highlight=False,
        )


def _config(context: typer.Context) -> MarkowitzConfig:
    chosen = {
        name: default if context.params[name] is None else context.params[name]
        for name, default in _DEFAULTS[context.params["objective"]].items()
    }
    return MarkowitzConfig(**settings_given(context, MarkowitzConfig, **chosen))


def compare_markowitz(
    context: typer.Context,
    method: Annotated[
        list[str] | None,
        Option(
            help="Only this method, e.g. auto or lower-1e-2, and Exact (may be repeated).",
            show_default="all",
        ),
    ] = None,
    data: Data = "synthetic",
    prices: Prices = "sp500",
    seeds: options.Seeds = 3,
    tuning_epochs: options.TuningEpochs = 8,
    max_epochs: options.MaxEpochs = 8,
    jobs: options.Jobs = 1,
    final_jobs: options.FinalJobs = 1,
    assets: Assets = 12,
    months: Months = 120,
    noise: Noise = 0.005,
    portfolios: Portfolios = 8,
    engine: options.Engine = "auto",
    threads: options.Threads = None,
    out: Annotated[
        Path | None,
        Option(
            file_okay=False,
            help="Where results go, and are continued; by default runs/compare-markowitz-DATA.",
        ),
    ] = None,
) -> None:
    """Compare gradient rules on tracking an expert's trades, each at its best learning rate.

    Stopped with Ctrl-C, the same command continues; finished runs are not repeated. Needs the extra
    lpgd[markowitz].
    """
    from lpgd.experiments.comparison import Effort, compare
    from lpgd.experiments.markowitz.compare import Study
    from lpgd.experiments.markowitz.report import (
        auto_verdict,
        economics_table,
        results_table,
        write_results,
    )

    console = new_console()
    out = Path(f"runs/compare-markowitz-{data}") if out is None else out
    with report_errors():
        given = {field.name: context.params[field.name] for field in fields(Study)}
        effort = Effort(seeds, max_epochs, jobs, final_jobs)
        with continuable(console):
            chosen = choose_methods(METHODS, method)
            finals = compare(Study(**given), chosen, effort, out, console, write_results)
    console.print(results_table(finals))
    console.print(economics_table(finals))
    verdict = auto_verdict(finals)
    if verdict is not None:
        console.print(verdict, highlight=False)
    console.print(f"Results and figure: {out}", soft_wrap=True)
