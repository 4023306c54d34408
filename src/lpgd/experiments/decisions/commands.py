"""Command-line options and manners that experiments with predicted costs share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer import Option

from lpgd.experiments.methods import Method, choose_methods
from lpgd.experiments.runs import RunDirectory
from lpgd.experiments.terminal import (
    changes_on_resume,
    conclude,
    continuable,
    given_options,
    new_console,
    report_errors,
    settings_given,
)

if TYPE_CHECKING:
    from lpgd.experiments.decisions.task import DecisionStudy

Rule = Annotated[
    Literal["lpgd", "blackbox", "identity", "imle", "two-stage", "spo-plus", "fenchel-young"],
    Option(help="Gradient rule, or loss."),
]
Sigma = Annotated[float, Option(help="Size of the noise.")]
Samples = Annotated[int, Option(min=1, help="How often noise is drawn for each instance.")]
TaskLoss = Annotated[
    Literal["regret", "hamming"], Option(help="What follows a layer; other rules are losses.")
]
Lr = Annotated[float, Option(help="Learning rate of Adam.")]
Batch = Annotated[int, Option(min=1, help="Instances per step.")]
Epochs = Annotated[int, Option(min=1, help="Passes over the training instances.")]
Seed = Annotated[int, Option(min=0, help="Decides the first weights, batches and noise.")]
DataSeed = Annotated[int, Option(min=0, help="Decides the instances.")]
TrainSize = Annotated[int, Option(min=1, help="Training instances.")]
TestSize = Annotated[int, Option(min=1, help="Test instances.")]
Methods = Annotated[
    list[str] | None, Option(help="Only this method (may be repeated).", show_default="all")
]
CompareOut = Annotated[
    Path | None, Option(file_okay=False, help="Where results go, and are continued.")
]
_NUMBER = ("blackbox", "imle")  # rules whose tau is a number


def train(context: typer.Context, name: str, experiment: Any, **changed: Any) -> None:
    """Do what ``lpgd run NAME`` does; the context holds the options, some of them changed."""
    from lpgd.experiments.running import execute, start

    console, resume = new_console(), context.params["resume"]
    with report_errors():
        if resume is not None:
            run, task, changes = RunDirectory(resume), None, changes_on_resume(context)
        else:
            kind = experiment.config
            config = kind(**settings_given(context, kind, **_tau(context), **changed))
            task = experiment.task(config)
            run, changes = start(config, context.params["out"]), None
        result = execute(experiment, run, console, task, changes)
    result = conclude(console, name, run, result)
    console.print(
        f"Test regret {100 * result['regret']:.2f} %, optimal {100 * result['optimal']:.1f} %, "
        f"{result['solved']:.0f} instances solved in training",
        highlight=False,
    )


@dataclass(frozen=True)
class Plan:
    """What is compared or tuned; ``load`` returns the class of the study."""

    load: Callable[[], type[DecisionStudy]]
    methods: tuple[Method, ...]
    name: str  # of the directory below runs/
    title: str


def compare(context: typer.Context, plan: Plan) -> None:
    """Do what ``lpgd compare NAME`` does; the context holds the options."""
    from lpgd.experiments import comparison
    from lpgd.experiments.decisions.report import auto_verdict, results_table, write_results

    console, given, out = new_console(), context.params, _place(context, plan)
    with report_errors():
        effort = comparison.Effort(
            given["seeds"], given["max_epochs"], given["jobs"], given["final_jobs"]
        )
        with continuable(console):
            finals = comparison.compare(
                _study(context, plan),
                choose_methods(plan.methods, given["method"]),
                effort,
                out,
                console,
                report=lambda finals, folder: write_results(finals, folder, plan.title),
            )
    console.print(results_table(finals))
    verdict = auto_verdict(finals)
    if verdict is not None:
        console.print(verdict, highlight=False)
    console.print(f"Results and figure: {out}", soft_wrap=True)


def tune(context: typer.Context, plan: Plan) -> None:
    """Do what ``lpgd tune NAME`` does; the context holds the options."""
    from lpgd.experiments import comparison
    from lpgd.experiments.decisions.report import tuned_table, write_tuned

    console, given, out = new_console(), context.params, _place(context, plan)
    with report_errors(), continuable(console):
        tuned = comparison.tune(
            _study(context, plan),
            choose_methods(plan.methods, given["method"]),
            given["jobs"],
            out,
            console,
            report=lambda tuned, folder: write_tuned(tuned, folder, plan.title),
        )
    console.print(tuned_table(tuned))
    console.print(f"Results and figure: {out}", soft_wrap=True)


def _place(context: typer.Context, plan: Plan) -> Path:
    return context.params["out"] or Path(f"runs/compare-{plan.name}")


def _study(context: typer.Context, plan: Plan) -> Any:
    """Return the study whose settings are the options of the same names."""
    kind = plan.load()
    return kind(**{field.name: context.params[field.name] for field in fields(kind)})


def _tau(context: typer.Context) -> dict[str, float]:
    """Return what stands for a tau that was not given, where it must be a number."""
    from lpgd.experiments.decisions.methods import CUSTOMARY

    missing = "tau" not in given_options(context) and context.params["rule"] in _NUMBER
    return {"tau": CUSTOMARY} if missing else {}
