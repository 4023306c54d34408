"""Command-line options of the shortest-path experiment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from lpgd.experiments import options
from lpgd.experiments.decisions import commands
from lpgd.experiments.decisions.methods import decision_methods

if TYPE_CHECKING:
    from lpgd.experiments.shortest_path.experiment import ShortestPathStudy

Grid = Annotated[int, Option(min=2, help="Nodes each way.")]
Features = Annotated[int, Option(min=1, help="Features of an instance.")]
Degree = Annotated[int, Option(min=1, help="Degree of the costs in the features.")]
Noise = Annotated[float, Option(help="Half-width of the costs' random factor.")]

METHODS = decision_methods((0.01, 0.03, 0.1))


def run_shortest_path(
    context: typer.Context,
    grid: Grid = 5,
    epochs: commands.Epochs = 20,
    seed: commands.Seed = 0,
    rule: commands.Rule = "lpgd",
    tau: options.Tau = "auto",
    side: options.Side = "average",
    sigma: commands.Sigma = 0.5,
    samples: commands.Samples = 10,
    task_loss: commands.TaskLoss = "regret",
    lr: commands.Lr = 0.03,
    batch: commands.Batch = 32,
    train_size: commands.TrainSize = 1000,
    test_size: commands.TestSize = 1000,
    features: Features = 5,
    degree: Degree = 4,
    noise: Noise = 0.5,
    data_seed: commands.DataSeed = 0,
    out: options.RunsOut = Path("runs/shortest-path"),
    resume: options.Resume = None,
) -> None:
    """Learn to predict the costs of a grid's edges so that shortest paths are good."""
    from lpgd.experiments.shortest_path.experiment import SHORTEST_PATH

    commands.train(context, "shortest-path", SHORTEST_PATH)


def compare_shortest_path(
    context: typer.Context,
    method: commands.Methods = None,
    grid: Grid = 5,
    task_loss: commands.TaskLoss = "regret",
    seeds: options.Seeds = 10,
    tuning_epochs: options.TuningEpochs = 10,
    max_epochs: options.MaxEpochs = 20,
    jobs: options.Jobs = 1,
    final_jobs: options.FinalJobs = 1,
    train_size: commands.TrainSize = 1000,
    test_size: commands.TestSize = 1000,
    features: Features = 5,
    degree: Degree = 4,
    noise: Noise = 0.5,
    out: commands.CompareOut = None,
) -> None:
    """Compare rules and losses on shortest paths, each with its best settings.

    Stopped with Ctrl-C, the same command continues; finished runs are not repeated.
    """
    commands.compare(context, _plan(context.params))


def tune_shortest_path(
    context: typer.Context,
    method: commands.Methods = None,
    grid: Grid = 5,
    task_loss: commands.TaskLoss = "regret",
    tuning_epochs: options.TuningEpochs = 10,
    jobs: options.Jobs = 1,
    train_size: commands.TrainSize = 1000,
    test_size: commands.TestSize = 1000,
    features: Features = 5,
    degree: Degree = 4,
    noise: Noise = 0.5,
    out: commands.CompareOut = None,
) -> None:
    """Choose the best fixed tau, noise and step size of every method by validation.

    Stopped with Ctrl-C, the same command continues. A comparison with the same options and the same
    --out begins with what was found.
    """
    commands.tune(context, _plan(context.params))


def _plan(given: dict[str, Any]) -> commands.Plan:
    """Return what is compared or tuned with these options."""

    def load() -> type[ShortestPathStudy]:
        from lpgd.experiments.shortest_path.experiment import ShortestPathStudy

        return ShortestPathStudy

    name = f"shortest-path-{given['grid']}-{given['task_loss']}"
    size = f"{given['grid']}×{given['grid']}"
    title = f"Shortest paths, {size}, {given['task_loss']} loss of layers"
    return commands.Plan(load, METHODS, name, title)
