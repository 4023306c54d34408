"""Learn the penalty of a logistic regression by its hyper-gradient.

The coefficients are the solution of a convex program in which the penalty is a parameter. The loss
on held-out data is differentiated through that solution, and Adam lowers it. A grid search, which
needs many fits and only works for one or two penalties, is drawn beside it.
"""

import argparse
from pathlib import Path

import cvxpy as cp
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch.nn.functional import softplus

from lpgd.torch import CvxpyLayer

BLUE, ORANGE, BLACK = "#0072b2", "#d55e00", "#222222"  # told apart by colour-blind readers too

Data = tuple[torch.Tensor, torch.Tensor]


def draw(size: int, coefficients: np.ndarray, rng: np.random.Generator) -> Data:
    """Features, and labels -1 or 1 of a noisy linear rule."""
    features = rng.normal(size=(size, len(coefficients)))
    margin = features @ coefficients + rng.logistic(size=size)
    return torch.tensor(features), torch.tensor(np.sign(margin))


def fit_layer(train: Data) -> CvxpyLayer:
    """Coefficients as a function of the weight of their absolute values."""
    features, labels = (array.numpy() for array in train)
    coefficients = cp.Variable(features.shape[1])
    weight = cp.Parameter(nonneg=True)
    loss = cp.sum(cp.logistic(cp.multiply(-labels, features @ coefficients)))
    objective = loss + weight * cp.norm1(coefficients) + 0.01 * cp.sum_squares(coefficients)
    problem = cp.Problem(cp.Minimize(objective))
    return CvxpyLayer(problem, [weight], [coefficients])


def loss_on(data: Data, coefficients: torch.Tensor) -> torch.Tensor:
    """Mean logistic loss; one for each row of ``coefficients``."""
    features, labels = data
    return softplus(-labels * (coefficients @ features.T)).mean(-1)


def main(folder: Path, *, small: bool = False, seed: int = 0) -> dict[str, float]:
    """Descend on the logarithm of the penalty; return losses and penalties."""
    rng = np.random.default_rng(seed)
    features, steps = (10, 12) if small else (40, 40)
    true = np.where(np.arange(features) < features // 5, 1.5, 0.0)
    train, held_out, test = (draw(size, true, rng) for size in (4 * features, 400, 2000))
    layer = fit_layer(train)

    log_weight = torch.tensor(np.log(0.02), requires_grad=True)
    optimizer = torch.optim.Adam([log_weight], lr=0.5 if small else 0.25)
    path = []
    for _ in range(steps):
        (coefficients,) = layer(log_weight.exp())
        loss = loss_on(held_out, coefficients)
        path.append((log_weight.exp().item(), loss.item(), loss_on(test, coefficients).item()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    grid = torch.logspace(-2, 2, 15 if small else 40, dtype=torch.float64)
    with torch.no_grad():
        (fits,) = layer(grid)  # one batch
        on_grid = loss_on(held_out, fits)
    numbers = {
        "first": path[0][1],
        "last": path[-1][1],
        "best of the grid": on_grid.min().item(),
        "test, first": path[0][2],
        "test, last": path[-1][2],
        "penalty": path[-1][0],
    }
    print(f"held-out loss {numbers['first']:.4f} -> {numbers['last']:.4f} in {steps} steps;")
    print(f"  the best of a grid of {len(grid)} penalties has {numbers['best of the grid']:.4f}")
    print(f"test loss     {numbers['test, first']:.4f} -> {numbers['test, last']:.4f}")
    plot(folder / "regression.png", grid, on_grid, path)
    return numbers


def plot(path: Path, grid: torch.Tensor, on_grid: torch.Tensor, steps: list) -> None:
    """The loss as a function of the penalty, and the descent on it."""
    weights, losses, _ = zip(*steps, strict=True)
    figure, axis = plt.subplots(figsize=(6.0, 3.6), layout="constrained")
    axis.plot(grid, on_grid, color=BLACK, label="grid search")
    axis.scatter(
        weights, losses, s=22, color=BLUE, zorder=3, label="steps along the hyper-gradient"
    )
    axis.scatter(weights[-1], losses[-1], s=80, color=ORANGE, zorder=4, label="last step")
    axis.set(xscale="log", xlabel="weight of the penalty", ylabel="held-out logistic loss")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)
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
