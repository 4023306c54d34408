"""Command-line options of the knapsack experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Option

from lpgd.experiments import options
from lpgd.experiments.decisions import commands
from lpgd.experiments.decisions.methods import decision_methods

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
    items: Items = 32,
    dimensions: Dimensions = 2,
    epochs: commands.Epochs = 20,
    seed: commands.Seed = 0,
    rule: Rule = "lpgd",
    tau: options.Tau = "auto",
    side: options.Side = "average",
    sigma: commands.Sigma = 0.5,
    samples: commands.Samples = 10,
    task_loss: commands.TaskLoss = "regret",
    lr: commands.Lr = 0.03,
    batch: commands.Batch = 32,
    train_size: commands.TrainSize = 500,
    test_size: commands.TestSize = 500,
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
    items: Items = 32,
    dimensions: Dimensions = 2,
    task_loss: commands.TaskLoss = "regret",
    seeds: options.Seeds = 5,
    tuning_epochs: options.TuningEpochs = 15,
    max_epochs: options.MaxEpochs = 15,
    jobs: options.Jobs = 1,
    final_jobs: options.FinalJobs = 1,
    train_size: commands.TrainSize = 500,
    test_size: commands.TestSize = 500,
    out: commands.CompareOut = None,
) -> None:
    """Compare rules and losses on knapsacks, each with its best settings.

    Stopped with Ctrl-C, the same command continues; finished runs are not repeated. Needs the extra
    lpgd[oracles].
    """
    from lpgd.experiments.knapsack.experiment import KnapsackStudy

    commands.compare(
        context,
        lambda: KnapsackStudy(train_size, test_size, task_loss, tuning_epochs, items, dimensions),
        METHODS,
        out or Path(f"runs/compare-knapsack-{task_loss}"),
        f"Knapsacks, {items} items, {dimensions} dimensions, {task_loss} loss of layers",
    )
