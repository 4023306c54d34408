"""Command-line options of the knapsack experiment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer import Option

from lpgd.experiments import options
from lpgd.experiments.decisions import commands
from lpgd.experiments.decisions.methods import decision_methods

if TYPE_CHECKING:
    from lpgd.experiments.knapsack.experiment import KnapsackStudy

Items = Annotated[int, Option(min=1, help="Items of an instance.")]
Dimensions = Annotated[int, Option(min=1, help="Kinds of weight.")]
Rule = Annotated[
    Literal[
        "lpgd", "blackbox", "identity", "imle", "two-stage", "spo-plus", "fenchel-young", "cave"
    ],
    Option(help="Gradient rule, or loss."),
]

METHODS = decision_methods((0.01, 0.03, 0.1), cave=True)


def run_knapsack(
    context: typer.Context,
    items: Items = 20,
    dimensions: Dimensions = 2,
    epochs: commands.Epochs = 12,
    seed: commands.Seed = 0,
    rule: Rule = "lpgd",
    tau: options.Tau = "auto",
    side: options.Side = "average",
    sigma: commands.Sigma = 0.5,
    samples: commands.Samples = 5,
    task_loss: commands.TaskLoss = "regret",
    lr: commands.Lr = 0.03,
    batch: commands.Batch = 32,
    train_size: commands.TrainSize = 400,
    test_size: commands.TestSize = 400,
    data_seed: commands.DataSeed = 0,
    out: options.RunsOut = Path("runs/knapsack"),
    resume: options.Resume = None,
) -> None:
    """Learn to predict the values of items so that what is packed is worth much.

    Needs the extra lpgd[oracles].
    """
    from lpgd.experiments.knapsack.experiment import KNAPSACK

    commands.train(context, "knapsack", KNAPSACK)


def compare_knapsack(
    context: typer.Context,
    method: commands.Methods = None,
    items: Items = 20,
    dimensions: Dimensions = 2,
    task_loss: commands.TaskLoss = "regret",
    seeds: options.Seeds = 5,
    tuning_epochs: options.TuningEpochs = 8,
    max_epochs: options.MaxEpochs = 12,
    jobs: options.Jobs = 1,
    final_jobs: options.FinalJobs = 1,
    train_size: commands.TrainSize = 400,
    test_size: commands.TestSize = 400,
    out: commands.CompareOut = None,
) -> None:
    """Compare rules and losses on knapsacks, each with its best settings.

    Stopped with Ctrl-C, the same command continues; finished runs are not repeated. Needs the extra
    lpgd[oracles].
    """
    commands.compare(context, _plan(context.params))


def tune_knapsack(
    context: typer.Context,
    method: commands.Methods = None,
    items: Items = 20,
    dimensions: Dimensions = 2,
    task_loss: commands.TaskLoss = "regret",
    tuning_epochs: options.TuningEpochs = 8,
    jobs: options.Jobs = 1,
    train_size: commands.TrainSize = 400,
    test_size: commands.TestSize = 400,
    out: commands.CompareOut = None,
) -> None:
    """Choose the best fixed tau, noise and step size of every method by validation.

    Stopped with Ctrl-C, the same command continues. A comparison with the same options and the same
    --out begins with what was found. Needs the extra
    lpgd[oracles].
    """
    commands.tune(context, _plan(context.params))


def _plan(given: dict[str, Any]) -> commands.Plan:
    """Return what is compared or tuned with these options."""

    def load() -> type[KnapsackStudy]:
        from lpgd.experiments.knapsack.experiment import KnapsackStudy

        return KnapsackStudy

    name = f"knapsack-{given['task_loss']}"
    sizes = f"{given['items']} items, {given['dimensions']} dimensions"
    title = f"Knapsacks, {sizes}, {given['task_loss']} loss of layers"
    return commands.Plan(load, METHODS, name, title)
