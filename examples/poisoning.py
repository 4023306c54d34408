"""Poison the training data of a logistic regression.

How far must training points be moved to ruin the classifier that is fitted to them? The fit is a
convex program whose parameters are the points; the loss on other points is differentiated through
the fit, and each training point moves by at most a given length in the direction that hurts most.
Moves of the same length in random directions hardly matter.
"""

from pathlib import Path

import cvxpy as cp
import numpy as np
import torch
from command_line import run
from torch.nn.functional import softplus

from lpgd.experiments.plotting import INK, MUTED, PALETTE, new_figure, save
from lpgd.torch import CvxpyLayer

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


def plot(
    path: Path, layer: CvxpyLayer, sets: dict[str, torch.Tensor], labels: torch.Tensor
) -> None:
    """Moves of the points, and the line that separates them before and after."""
    figure, (axis,) = new_figure(1, 1, (6.0, 4.6))
    before, after = sets["clean"].numpy(), sets["poisoned"].numpy()
    for label, color in ((-1, PALETTE[0]), (1, PALETTE[1])):
        own = labels.numpy() == label
        axis.scatter(*after[own].T, color=color, s=16, zorder=3, label=f"label {label}, poisoned")
    moves = np.stack([before, after])
    axis.plot(moves[:, 1:, 0], moves[:, 1:, 1], color=MUTED, linewidth=0.8, zorder=2)
    axis.plot(moves[:, 0, 0], moves[:, 0, 1], color=MUTED, linewidth=0.8, label="moves")
    limits = [*np.quantile(before[:, 0], (0, 1)), *np.quantile(before[:, 1], (0, 1))]
    xs = np.array([limits[0] - 0.5, limits[1] + 0.5])
    for name, style in (("clean", "--"), ("poisoned", "-")):
        with torch.no_grad():
            normal, offset = (value.numpy() for value in layer(sets[name]))
        ys = -(normal[0] * xs + offset) / normal[1]
        axis.plot(xs, ys, style, color=INK, label=f"fitted to {name} points")
    axis.set(xlim=xs, ylim=(limits[2] - 1, limits[3] + 1), xlabel="first feature")
    axis.set(ylabel="second feature")
    axis.set_title("Poisoned training points")
    axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    path.parent.mkdir(parents=True, exist_ok=True)
    save(figure, path)


if __name__ == "__main__":
    run(main, __doc__)
