"""Training epochs through ``lpgd.pyepo`` against PyEPO's own, with PyEPO's own Gurobi models.

    PYTHONPATH=src python benchmarks/pyepo_epochs.py [--rounds N] [--only 12x12]

Both train the same linear predictor on the same 512 samples (batches of 32, Adam) through the same
model object; only the import differs. Each round runs one epoch of every row in a new random
order, from the same weights; times are process time, torch keeping to one thread, for threads that
wait count as work. The ratios are taken within a round, and the median over the rounds is printed
with its quartiles. After ten epochs of each the test regret of
both must agree within noise, or the row says so.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyepo
import torch
from pyepo.data.dataset import optDataset
from pyepo.model.grb import knapsackModel, shortestPathModel
from torch import nn
from torch.utils.data import DataLoader

import lpgd.pyepo

SIZE, BATCH, FEATURES = 512, 32, 5
NEEDED = {
    ("12x12", "SPO+"): 12.0,
    ("12x12", "blackbox"): 16.0,
    ("5x5", "SPO+"): 3.0,
    ("5x5", "blackbox"): 4.0,
    ("knapsack 32x2", "SPO+"): 1.0,
    ("knapsack 32x2", "blackbox"): 1.0,
}


@dataclass
class Problem:
    """A model of PyEPO's and its data."""

    name: str
    model: Any
    train: optDataset
    test: optDataset


def problems(chosen: str) -> list[Problem]:
    """Grids and a knapsack."""
    made: list[Problem] = []
    for grid in ((5, 5), (12, 12)):
        how = {"deg": 4, "noise_width": 0.5, "seed": 135}
        x, c = pyepo.data.shortestpath.genData(2 * SIZE, FEATURES, grid, **how)
        made.append(split(f"{grid[0]}x{grid[1]}", shortestPathModel(grid), x, c, chosen))
    weights, x, c = pyepo.data.knapsack.genData(2 * SIZE, FEATURES, 32, 2, deg=4, noise_width=0.5)
    made.append(split("knapsack 32x2", knapsackModel(weights, [20.0, 20.0]), x, c, chosen))
    return [problem for problem in made if problem is not None]


def split(name: str, model: Any, x: Any, c: Any, chosen: str) -> Any:
    """Half of the data to train on, half to test on."""
    if chosen not in name:
        return None
    parts = slice(0, SIZE), slice(SIZE, None)
    return Problem(name, model, *[optDataset(model, x[part], c[part]) for part in parts])


def operation(package: Any, name: str, model: Any) -> Callable[..., torch.Tensor]:
    """The loss of predicted costs, of either package."""
    sign = float(model.modelSense)
    if name == "SPO+":
        return package.func.SPOPlus(model)
    layer = package.func.blackboxOpt(model, lambd=10)
    return lambda predicted, c, w, z: sign * (layer(predicted) * c).sum(dim=1).mean()


class Training:
    """One row: a predictor, an optimizer, a loss."""

    def __init__(self, problem: Problem, loss: Callable[..., torch.Tensor]) -> None:
        torch.manual_seed(0)
        self.problem, self.loss = problem, loss
        self.predictor = nn.Linear(FEATURES, problem.model.num_cost)
        self.optimizer = torch.optim.Adam(self.predictor.parameters(), lr=1e-2)
        order = torch.Generator().manual_seed(1)
        self.batches = DataLoader(problem.train, BATCH, shuffle=True, generator=order)

    def epoch(self) -> float:
        """Train an epoch; return its process time."""
        began = time.process_time()
        for x, c, w, z in self.batches:
            self.optimizer.zero_grad()
            self.loss(self.predictor(x), c, w, z).backward()
            self.optimizer.step()
        return time.process_time() - began

    def regret(self) -> float:
        """Normalised test regret, by PyEPO's metric."""
        loader = DataLoader(self.problem.test, 64)
        return float(pyepo.metric.regret(self.predictor, self.problem.model, loader))


def compare(problem: Problem, name: str, rounds: int) -> bool:
    """Print a row; return whether it is fast enough."""
    packages = {"lpgd": lpgd.pyepo, "PyEPO": pyepo}
    rows = {k: Training(problem, operation(p, name, problem.model)) for k, p in packages.items()}
    times: dict[str, list[float]] = {key: [] for key in rows}
    order, shuffled = list(rows), random.Random(0)
    for _ in range(rounds + 1):
        shuffled.shuffle(order)
        for key in order:
            times[key].append(rows[key].epoch())
    kept = {key: found[1:] for key, found in times.items()}  # the first warms up
    ratios = [b / a for a, b in zip(kept["lpgd"], kept["PyEPO"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    needed = NEEDED[problem.name, name]
    print(
        f"{problem.name:14} {name:9}"
        f" {' '.join(f'{statistics.median(found) * 1e3:8.1f} ms' for found in kept.values())}"
        f"  {middle:6.1f} x ({low:.1f} to {high:.1f}; needed {needed:g})"
        f"  regret {rows['lpgd'].regret():.4f} {rows['PyEPO'].regret():.4f}"
    )
    return middle >= needed


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(f"{'problem':14} {'loss':9} {'lpgd':>11} {'PyEPO':>11}  ratio")
    fine = [
        compare(problem, name, given.rounds)
        for problem in problems(given.only)
        for name in ("SPO+", "blackbox")
    ]
    print("all fast enough" if all(fine) else f"{len(fine) - sum(fine)} of {len(fine)} too slow")


if __name__ == "__main__":
    main()
