"""Command-line options of the terrain experiment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer import Option

from lpgd.experiments import options
from lpgd.experiments.decisions import commands
from lpgd.experiments.decisions.methods import decision_methods

if TYPE_CHECKING:
    from lpgd.experiments.terrain.experiment import TerrainStudy

Tiles = Annotated[int, Option(min=2, help="Tiles of a map each way.")]
Channels = Annotated[int, Option(min=1, help="Width of the network.")]

METHODS = decision_methods((0.003,))


def run_terrain(
    context: typer.Context,
    data: Annotated[
        Path | None,
        Option(exists=True, file_okay=False, help="Folder of the Warcraft benchmark's npy files."),
    ] = None,
    epochs: commands.Epochs = 15,
    seed: commands.Seed = 0,
    rule: commands.Rule = "lpgd",
    tau: options.Tau = "auto",
    side: options.Side = "average",
    sigma: commands.Sigma = 0.5,
    samples: commands.Samples = 5,
    task_loss: commands.TaskLoss = "regret",
    lr: commands.Lr = 0.003,
    batch: commands.Batch = 32,
    train_size: commands.TrainSize = 500,
    test_size: commands.TestSize = 500,
    negative: Annotated[
        Literal["clip", "flow"],
        Option(help="Negative costs: taken for zero, or solved as flow with cycles (slow)."),
    ] = "clip",
    channels: Channels = 8,
    data_seed: commands.DataSeed = 0,
    out: options.RunsOut = Path("runs/terrain"),
    resume: options.Resume = None,
) -> None:
    """Learn to read from images of terrain what it costs, so that shortest paths are good."""
    from lpgd.experiments.terrain.experiment import TERRAIN

    commands.train(context, "terrain", TERRAIN, data=None if data is None else str(data.resolve()))


def compare_terrain(
    context: typer.Context,
    method: commands.Methods = None,
    task_loss: commands.TaskLoss = "regret",
    seeds: options.Seeds = 3,
    tuning_epochs: options.TuningEpochs = 10,
    max_epochs: options.MaxEpochs = 15,
    jobs: options.Jobs = 1,
    final_jobs: options.FinalJobs = 1,
    train_size: commands.TrainSize = 500,
    test_size: commands.TestSize = 500,
    tiles: Tiles = 12,
    channels: Channels = 8,
    out: commands.CompareOut = None,
) -> None:
    """Compare rules and losses on terrain, each with its best settings.

    Stopped with Ctrl-C, the same command continues; finished runs are not repeated.
    """
    commands.compare(context, _plan(context.params))


def tune_terrain(
    context: typer.Context,
    method: commands.Methods = None,
    task_loss: commands.TaskLoss = "regret",
    tuning_epochs: options.TuningEpochs = 10,
    jobs: options.Jobs = 1,
    train_size: commands.TrainSize = 500,
    test_size: commands.TestSize = 500,
    tiles: Tiles = 12,
    channels: Channels = 8,
    out: commands.CompareOut = None,
) -> None:
    """Choose the best fixed tau, noise and step size of every method by validation.

    Stopped with Ctrl-C, the same command continues. A comparison with the same options and the same
    --out begins with what was found.
    """
    commands.tune(context, _plan(context.params))


def _plan(given: dict[str, Any]) -> commands.Plan:
    """Return what is compared or tuned with these options."""

    def load() -> type[TerrainStudy]:
        from lpgd.experiments.terrain.experiment import TerrainStudy

        return TerrainStudy

    name = f"terrain-{given['task_loss']}"
    size = f"{given['tiles']}×{given['tiles']}"
    title = f"Shortest paths on terrain, {size}, {given['task_loss']} loss of layers"
    return commands.Plan(load, METHODS, name, title)
