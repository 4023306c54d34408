"""Learn the penalty of a logistic regression by its hyper-gradient.

The coefficients are the solution of a convex program in which the penalty is a parameter. The loss
on held-out data is differentiated through that solution, and Adam lowers it. A grid search, which
needs many fits and only works for one or two penalties, is drawn beside it.
"""

from pathlib import Path

import cvxpy as cp
import numpy as np
import torch
from command_line import run
from torch.nn.functional import softplus

from lpgd.experiments.plotting import INK, PALETTE, new_figure, save
from lpgd.torch import CvxpyLayer

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
    # with hundreds of exponential cones in one program interior-point solvers may stall
    return CvxpyLayer(problem, [weight], [coefficients], solver=cp.SCS)


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
    figure, (axis,) = new_figure(1, 1, (6.0, 3.6))
    axis.plot(grid, on_grid, color=INK, label="grid search", zorder=1)
    weights, losses, _ = zip(*steps, strict=True)
    axis.scatter(weights, losses, s=18, color=PALETTE[0], label="hyper-gradient steps", zorder=2)
    axis.scatter(weights[-1], losses[-1], s=60, color=PALETTE[1], label="last step", zorder=3)
    axis.set(xscale="log", xlabel="weight of the penalty", ylabel="held-out logistic loss")
    axis.set_title("Learning the penalty of a logistic regression")
    axis.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    save(figure, path)


if __name__ == "__main__":
    run(main, __doc__)
