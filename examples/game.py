"""Learn the payoffs of a zero-sum game from how it is played.

Two players choose among three and four moves. What a pair of moves pays depends on the weather in a
way that nobody has seen. Seen is how often each move is played, which is the saddle point of a game
with entropies (a quantal response equilibrium). The loss compares strategies, and is differentiated
through the equilibrium.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from lpgd.torch import SaddleLayer

BLUE, ORANGE, BLACK = "#0072b2", "#d55e00", "#222222"  # told apart by colour-blind readers too
ROWS, COLUMNS = 3, 4
HEAT = 1.0  # how much the players like to mix


def lagrangian(x, y, payoff):
    """The first player pays x'Ay and the second gets it; both strategies sum to 1."""
    play, sums = y["play"], y["sum of x"] * (x.sum() - 1) - y["sum of play"] * (y["play"].sum() - 1)
    mixing = (x * x.log()).sum() - (play * play.log()).sum()
    return x @ payoff @ play + HEAT * mixing + sums


def solve(params, tilt):
    """The equilibria of a batch of games, by replies that get ever closer."""
    A = params[0].numpy()
    x, play = np.full((len(A), ROWS), 1 / ROWS), np.full((len(A), COLUMNS), 1 / COLUMNS)
    pull = tilt.cost(np.zeros((len(A), ROWS)))
    push = np.zeros((len(A), COLUMNS))
    if tilt:
        push = tilt.t[:, None] * tilt.dy["play"].numpy()
    for rate in np.repeat([0.2, 0.05, 0.01], 2000):  # games that go in circles want small steps
        costs = np.einsum("nij,nj->ni", A, play) + pull
        gains = np.einsum("nij,ni->nj", A, x) + push
        step_x, step_play = reply(-costs) - x, reply(gains) - play
        x, play = x + rate * step_x, play + rate * step_play
        if max(np.abs(step_x).max(), np.abs(step_play).max()) < 1e-13:
            break
    rates = (costs + HEAT * (np.log(x) + 1)).mean(1), (gains - HEAT * (np.log(play) + 1)).mean(1)
    return x, {"play": play, "sum of x": -rates[0], "sum of play": rates[1]}


def reply(gains: np.ndarray) -> np.ndarray:
    """How often moves with these gains are played."""
    weights = np.exp((gains - gains.max(1, keepdims=True)) / HEAT)
    return weights / weights.sum(1, keepdims=True)


def strategies(layer: SaddleLayer, payoffs: torch.Tensor) -> torch.Tensor:
    """Both players' strategies, side by side."""
    found = layer(payoffs, return_duals=True)
    return torch.cat([found.x, found.y["play"]], dim=1)


def main(folder: Path, *, small: bool = False, seed: int = 0) -> dict[str, float]:
    """Fit a linear model of the payoffs; return errors of strategies."""
    torch.manual_seed(seed)
    count, steps = (30, 50) if small else (200, 300)
    layer = SaddleLayer(lagrangian, solve, ranks=(2,), linearize=True, together=True)
    weather = torch.randn(2 * count, 3, dtype=torch.float64)
    truth = torch.randn(3, ROWS * COLUMNS, dtype=torch.float64)
    with torch.no_grad():
        seen = strategies(layer, (weather @ truth).reshape(-1, ROWS, COLUMNS))

    model = torch.nn.Linear(3, ROWS * COLUMNS, bias=False, dtype=torch.float64)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.15 if small else 0.03)
    losses = []
    for _ in range(steps):
        played = strategies(layer, model(weather[:count]).reshape(-1, ROWS, COLUMNS))
        loss = (played - seen[:count]).square().sum(1).mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        held_out = strategies(layer, model(weather[count:]).reshape(-1, ROWS, COLUMNS))
    errors = {
        "first": losses[0],
        "last": losses[-1],
        "held out": (held_out - seen[count:]).square().sum(1).mean().item(),
        "solves in backward": float(layer.stats.re_solves),
    }
    print(f"squared error of the strategies {errors['first']:.4f} -> {errors['last']:.6f};")
    print(f"  in weather that was not seen {errors['held out']:.6f}")
    plot(folder / "game.png", losses, held_out, seen[count:])
    return errors


def plot(path: Path, losses: list[float], held_out: torch.Tensor, seen: torch.Tensor) -> None:
    """The loss, and predicted frequencies beside true ones."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.0, 3.4), layout="constrained")
    left.plot(losses, color=BLUE)
    left.set(xlabel="step", ylabel="squared error of the strategies", yscale="log")
    for player, colour, part in (
        ("first", BLUE, slice(0, ROWS)),
        ("second", ORANGE, slice(ROWS, None)),
    ):
        right.scatter(seen[:, part], held_out[:, part], s=6, color=colour, label=f"{player} player")
    right.plot([0, 1], [0, 1], color=BLACK, linewidth=0.8)
    right.set(xlabel="how often a move is played", ylabel="predicted")
    right.legend(frameon=False)
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
