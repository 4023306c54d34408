"""Learn one penalty for each feature of a logistic regression.

The coefficients are the minimum of a loss with a penalty on every coefficient, found by Newton's
method; the penalties are its hyper-parameters. Their gradient of the held-out loss comes from the
optimality conditions of the fit, however it was found: no step of the method is differentiated. A
grid could search one penalty, but not one for each feature.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch.nn.functional import softplus

from lpgd.torch import SaddleLayer

BLUE, ORANGE, BLACK = "#0072b2", "#d55e00", "#222222"  # told apart by colour-blind readers too

Data = tuple[torch.Tensor, torch.Tensor]


def draw(size: int, coefficients: np.ndarray, rng: np.random.Generator) -> Data:
    """Features, and labels -1 or 1 of a noisy linear rule."""
    features = rng.normal(size=(size, len(coefficients)))
    margin = features @ coefficients + rng.logistic(size=size)
    return torch.tensor(features), torch.tensor(np.sign(margin))


def mean_loss(coefficients: torch.Tensor, data: Data) -> torch.Tensor:
    """The logistic loss."""
    features, labels = data
    return softplus(-labels * (features @ coefficients)).mean()


def objective(x, y, penalties, features, labels):
    """What the fit minimises; there are no constraints, and y is None."""
    return mean_loss(x, (features, labels)) + 0.5 * penalties @ x.square()


def newton(params, tilt):
    """The coefficients."""
    f = tilt.objective(lambda x: objective(x, None, *params))
    slope = torch.func.grad(f)
    x = torch.zeros_like(params[0]) if tilt.start is None else tilt.start[0]
    for _ in range(50):
        step = torch.linalg.solve(torch.func.jacrev(slope)(x), slope(x))
        while f(x - step) > f(x) + 1e-14:
            step = step / 2
        x = x - step
        if step.abs().max() < 1e-10:
            break
    return x


def main(folder: Path, *, small: bool = False, seed: int = 0) -> dict[str, float]:
    """Descend on the logarithms of the penalties; return losses on data that were not fitted."""
    rng = np.random.default_rng(seed)
    features, steps = (12, 15) if small else (40, 60)
    true = np.where(np.arange(features) < features // 4, 1.5, 0.0)
    train, held_out, test = (draw(size, true, rng) for size in (5 * features, 600, 3000))
    fit = SaddleLayer(objective, newton, linearize=True)

    path = []
    log_penalties = torch.full((features,), -4.0, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([log_penalties], lr=0.6 if small else 0.3)
    for _ in range(steps):
        coefficients = fit(log_penalties.exp(), *train)
        loss = mean_loss(coefficients, held_out)
        path.append((loss.item(), mean_loss(coefficients, test).item()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        grid = [
            mean_loss(fit(torch.full((features,), w, dtype=torch.float64), *train), held_out)
            for w in torch.logspace(-3, 0, 10).tolist()
        ]
        single = torch.stack(grid).min().item()
    penalties = log_penalties.detach().exp()
    used = torch.tensor(true > 0)
    numbers = {
        "first": path[0][0],
        "last": path[-1][0],
        "test, first": path[0][1],
        "test, last": path[-1][1],
        "best single penalty": single,
        "useful": penalties[used].mean().item(),
        "useless": penalties[~used].mean().item(),
    }
    print(f"held-out loss {numbers['first']:.4f} -> {numbers['last']:.4f} in {steps} steps;")
    print(f"  the best single penalty has {single:.4f}")
    print(f"mean penalty of useful features {numbers['useful']:.4f}")
    print(f"  and of useless ones {numbers['useless']:.4f}")
    plot(folder / "hyperparameters.png", path, penalties, used, single)
    return numbers


def plot(
    path: Path, losses: list, penalties: torch.Tensor, used: torch.Tensor, single: float
) -> None:
    """The losses, and the penalties that were learned."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.0, 3.4), layout="constrained")
    left.plot([loss for loss, _ in losses], color=BLUE, label="held-out data")
    left.plot([loss for _, loss in losses], color=ORANGE, label="test data")
    left.axhline(single, color=BLACK, linewidth=0.8, label="best single penalty, held-out")
    left.set(xlabel="step", ylabel="logistic loss")
    left.legend(frameon=False)
    for mask, colour, label in (
        (used, BLUE, "useful features"),
        (~used, ORANGE, "useless features"),
    ):
        places = torch.arange(len(penalties))[mask]
        right.scatter(places, penalties[mask], s=18, color=colour, label=label)
    right.set(xlabel="feature", ylabel="penalty", yscale="log")
    right.legend(loc="lower right", frameon=False)
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
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
