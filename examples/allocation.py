"""Predict what jobs are worth, for the allocation of resources that follows.

Every day, jobs compete for three resources; how much of each job is done is a linear program. What
a job is worth has to be predicted from features by a model that is too simple. Fitting the worths
spends the model's few parameters on jobs that are never close to a decision. Learning through the
allocation does not, but a vertex has derivative zero: gradient descent (``Exact``) never moves.
"""

import argparse
from pathlib import Path

import cvxpy as cp
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

import lpgd
from lpgd.torch import CvxpyLayer

BLUE, ORANGE, BLACK = "#0072b2", "#d55e00", "#222222"  # told apart by colour-blind readers too

RESOURCES, FEATURES = 3, 5


def allocation_layer(jobs: int, needs: np.ndarray, rule: lpgd.LPGD | lpgd.Exact) -> CvxpyLayer:
    """Share of each job that is done, as a function of the worths (jobs,)."""
    share, worth = cp.Variable(jobs), cp.Parameter(jobs)
    constraints = [needs @ share <= needs.sum(axis=1) / 3, share >= 0, share <= 1]
    return CvxpyLayer(
        cp.Problem(cp.Maximize(worth @ share), constraints), [worth], [share], rule=rule
    )


def days(count: int, jobs: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (count, jobs, FEATURES) and true worths (count, jobs), which saturate."""
    features = torch.tensor(rng.normal(size=(count, jobs, FEATURES)))
    slope = torch.tensor([1.0, -0.5, 0.8, 0.0, 0.3], dtype=torch.float64)
    return features, 1 + 4 * torch.sigmoid(4 * (features @ slope - 1)) + 0.5 * features[..., 3]


def earned(layer, model, data) -> torch.Tensor:
    """True worth per day of the allocation that the model's predictions lead to."""
    features, worth = data
    (share,) = layer(model(features).squeeze(-1))
    return (share * worth).sum(-1).mean()


def train(loss, data, fresh, judge, steps: int) -> list[float]:
    """Lower ``loss(model, data)``; the judgement on fresh days at every step."""
    torch.manual_seed(0)
    model = nn.Linear(FEATURES, 1, dtype=torch.float64)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    curve = []
    for _ in range(steps):
        with torch.no_grad():
            curve.append(earned(judge, model, fresh).item())
        optimizer.zero_grad()
        loss(model, data).backward()
        optimizer.step()
    return curve


def main(folder: Path, *, small: bool = False, seed: int = 0) -> dict[str, float]:
    """Learn in three ways; return the share of the best possible worth that each leaves behind."""
    rng = np.random.default_rng(seed)
    count, jobs, steps = (20, 8, 25) if small else (100, 20, 100)
    needs = rng.uniform(0.2, 1.0, size=(RESOURCES, jobs))
    data, fresh = days(count, jobs, rng), days(count, jobs, rng)
    exact = allocation_layer(jobs, needs, lpgd.Exact())
    # a tilt of the size of what is predicted: one day's share of the averaged loss is 1/count
    tilted = allocation_layer(jobs, needs, lpgd.LPGD(tau=0.3 * count))
    best = (exact(fresh[1])[0] * fresh[1]).sum(-1).mean().item()

    losses = {
        "LPGD through the allocation": lambda model, seen: -earned(tilted, model, seen),
        "Exact through the allocation": lambda model, seen: -earned(exact, model, seen),
        "least squares on worths": lambda model, seen: (
            (model(seen[0]).squeeze(-1) - seen[1]).square().mean()
        ),
    }
    curves = {}
    for name, loss in losses.items():
        curve = train(loss, data, fresh, exact, steps)
        curves[name] = 100 * (1 - np.array(curve) / best)
        print(
            f"{name:29} forgoes {curves[name][0]:4.1f} % -> {curves[name][-1]:4.1f} % of the worth"
        )
    plot(folder / "allocation.png", curves)
    return {name.split()[0]: curve[-1] for name, curve in curves.items()} | {
        "first": curves["LPGD through the allocation"][0]
    }


def plot(path: Path, curves: dict[str, np.ndarray]) -> None:
    """What each way of learning forgoes on days that it has not seen."""
    figure, axis = plt.subplots(figsize=(6.0, 3.6), layout="constrained")
    for color, (name, curve) in zip((BLUE, ORANGE, BLACK), curves.items(), strict=True):
        axis.plot(curve, color=color, linewidth=2, label=name)
    axis.set(
        xlabel="step", ylabel="worth forgone on fresh days (%)", xlim=(0, None), ylim=(0, None)
    )
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, loc="center right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--small", action="store_true", help="a few seconds instead of a minute")
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder of the figure")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    main(options.out, small=options.small, seed=options.seed)
