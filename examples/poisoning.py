"""Poison the training data of a logistic regression.

How far must training points be moved to ruin the classifier that is fitted to them? The fit is a
convex program whose parameters are the points; the loss on other points is differentiated through
the fit, and each training point moves by at most a given length in the direction that hurts most.
Moves of the same length in random directions hardly matter.
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


def clouds(size: int, rng: np.random.Generator) -> Data:
    """Two clouds of points in the plane, labelled -1 and 1."""
    labels = np.where(np.arange(size) < size // 2, -1.0, 1.0)
    points = rng.normal(size=(size, 2)) + np.outer(labels, [1.1, 0.7])
    return torch.tensor(points), torch.tensor(labels)


def fit_layer(labels: np.ndarray) -> CvxpyLayer:
    """Normal and offset of the classifier as a function of the points (size, 2)."""
    normal, offset = cp.Variable(2), cp.Variable()
    points = cp.Parameter((len(labels), 2))
    loss = cp.sum(cp.logistic(cp.multiply(-labels, points @ normal + offset)))
    problem = cp.Problem(cp.Minimize(loss + 0.1 * cp.sum_squares(normal)))
    return CvxpyLayer(problem, [points], [normal, offset])


def judge(layer: CvxpyLayer, points: torch.Tensor, others: Data) -> tuple[torch.Tensor, float]:
    """Loss and error of the classifier fitted to ``points`` on the others."""
    normal, offset = layer(points)
    margin = others[1] * (others[0] @ normal + offset)
    return softplus(-margin).mean(), (margin < 0).double().mean().item()


def poisoned(layer: CvxpyLayer, points: torch.Tensor, others: Data, budget: float, steps: int):
    """Raise the loss by moves of at most ``budget`` for each point."""
    move = torch.zeros_like(points, requires_grad=True)
    for _ in range(steps):
        loss, _ = judge(layer, points + move, others)
        (gradient,) = torch.autograd.grad(loss, move)
        length = gradient.norm(dim=-1, keepdim=True).clamp(min=1e-12)
        with torch.no_grad():
            move += 2 * budget / steps * gradient / length
            move *= (budget / move.norm(dim=-1, keepdim=True).clamp(min=1e-12)).clamp(max=1)
    return points + move.detach()


def main(folder: Path, *, small: bool = False, seed: int = 0) -> dict[str, float]:
    """Poison; return losses and errors on other points, clean, jittered and poisoned."""
    rng = np.random.default_rng(seed)
    size, steps, budget = (20, 8, 0.8) if small else (60, 30, 0.8)
    (points, labels), others, test = clouds(size, rng), clouds(200, rng), clouds(1000, rng)
    layer = fit_layer(labels.numpy())
    angles = torch.tensor(rng.uniform(0, 2 * np.pi, size=size))
    jittered = points + budget * torch.stack([angles.cos(), angles.sin()], dim=-1)
    sets = {
        "clean": points,
        "jittered": jittered,
        "poisoned": poisoned(layer, points, others, budget, steps),
    }
    numbers = {}
    for name, trained_on in sets.items():
        with torch.no_grad():
            loss, error = judge(layer, trained_on, test)
        numbers |= {name: loss.item(), f"{name} error": error}
        print(f"trained on {name:8} points: test loss {loss:.3f}, {error:5.1%} wrong")
    plot(folder / "poisoning.png", layer, sets, labels)
    return numbers


def plot(path: Path, layer: CvxpyLayer, sets: dict, labels: torch.Tensor) -> None:
    """The points, how they were moved, and the classifier fitted to them, before and after."""
    figure, axes = plt.subplots(1, 2, figsize=(8.0, 3.8), sharey=True, layout="constrained")
    clean = sets["clean"].numpy()
    ends = np.array([clean[:, 0].min() - 0.5, clean[:, 0].max() + 0.5])
    for axis, name in zip(axes, ("clean", "poisoned"), strict=True):
        points = sets[name].numpy()
        axis.plot(*np.stack([clean, points]).transpose(2, 0, 1), color="#aaaaaa", linewidth=0.8)
        for label, color in ((-1, BLUE), (1, ORANGE)):
            own = points[labels.numpy() == label]
            axis.scatter(*own.T, s=16, color=color, zorder=3, label=f"label {label}")
        normal, offset = (value.numpy() for value in layer(sets[name]))
        axis.plot(ends, -(normal[0] * ends + offset) / normal[1], color=BLACK)
        axis.set(title=f"{name} points and the fit", xlabel="first feature", xlim=ends)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, loc="upper left")
    axes[0].set(ylabel="second feature", ylim=(clean[:, 1].min() - 0.5, clean[:, 1].max() + 0.5))
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
