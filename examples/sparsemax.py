"""Attention that can be exactly zero: sparsemax as a quadratic program.

sparsemax(z) is the point of the simplex next to z. It is checked against its closed form by
sorting, value and gradient, and then attends: a model has to find the few items that matter in each
list. Softmax spreads its weight over all items; sparsemax learns to leave others out.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from lpgd.torch import QPLayer

BLUE, ORANGE = "#0072b2", "#d55e00"  # told apart by colour-blind readers too

Attention = Callable[[torch.Tensor], torch.Tensor]


class Sparsemax(nn.Module):
    """minimise |p - z|²/2 over the simplex."""

    def __init__(self) -> None:
        super().__init__()
        self.project = QPLayer()

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        """Weights (..., n) of scores (..., n)."""
        n, like = scores.shape[-1], {"dtype": scores.dtype}
        one, zero = torch.ones(1, **like), torch.zeros(n, **like)
        return self.project(torch.eye(n, **like), -scores, A=one.expand(1, n), b=one, lb=zero)


def by_sorting(scores: torch.Tensor) -> torch.Tensor:
    """The closed form."""
    ordered = scores.sort(dim=-1, descending=True).values
    excess = ordered.cumsum(-1) - 1
    count = torch.arange(1, scores.shape[-1] + 1, dtype=scores.dtype)
    kept = (ordered * count > excess).sum(-1, keepdim=True)
    return (scores - excess.gather(-1, kept - 1) / kept).clamp(min=0)


def largest_difference(scores: torch.Tensor, weights: torch.Tensor) -> float:
    """Between the program and the closed form, in values and in gradients of <weights, p>."""
    found = []
    for function in (Sparsemax(), by_sorting):
        leaf = scores.clone().requires_grad_()
        value = function(leaf)
        (value * weights).sum().backward()
        found.append(torch.cat([value.detach(), leaf.grad]))
    return (found[0] - found[1]).abs().max().item()


def lists(batch: int, items: int, draw: torch.Generator) -> tuple[torch.Tensor, ...]:
    """Keys (batch, items, 4), values, which items matter, and the mean value of those.

    An item matters if a hidden linear function of its key is large.
    """
    like = {"generator": draw, "dtype": torch.float64}
    keys, values = torch.randn(batch, items, 4, **like), torch.randn(batch, items, **like)
    score = keys @ torch.tensor([1.0, -1.0, 0.5, 0.0], dtype=torch.float64)
    relevant = score >= score.topk(3, dim=-1).values[:, -1:]
    return keys, values, relevant, (values * relevant).sum(-1) / relevant.sum(-1)


def train(attention: Attention, data: tuple[torch.Tensor, ...], steps: int) -> nn.Module:
    """A linear score of the keys whose attention reproduces the targets."""
    keys, values, _, target = data
    torch.manual_seed(0)
    score = nn.Linear(4, 1, dtype=torch.float64)
    optimizer = torch.optim.Adam(score.parameters(), lr=0.1)
    for _ in range(steps):
        weights = attention(score(keys).squeeze(-1))
        loss = ((weights * values).sum(-1) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return score


def main(folder: Path, *, small: bool = False, seed: int = 0) -> dict[str, float]:
    """Compare with the closed form, then with softmax; return errors and weights given away."""
    draw = torch.Generator().manual_seed(seed)
    batch, items, steps = (60, 8, 40) if small else (300, 12, 200)
    scores = torch.randn(20, items, generator=draw, dtype=torch.float64)
    numbers = {"difference": largest_difference(scores, scores.roll(1, 0))}
    print(
        f"sparsemax and its closed form differ by {numbers['difference']:.0e}, gradients included"
    )

    seen, fresh = (lists(batch, items, draw) for _ in range(2))
    shown = {}
    for name, attention in {"sparsemax": Sparsemax(), "softmax": lambda z: z.softmax(-1)}.items():
        score = train(attention, seen, steps)
        with torch.no_grad():
            weights = attention(score(fresh[0]).squeeze(-1))
        error = ((weights * fresh[1]).sum(-1) - fresh[3]).square().mean().item()
        attended = (weights > 1e-9).sum(-1).double().mean().item()
        numbers |= {f"{name} error": error, f"{name} items": attended}
        print(f"{name:10} attends to {attended:4.1f} of {items} items, error {error:.4f}")
        shown[name] = weights[0].numpy()
    plot(folder / "sparsemax.png", shown, fresh[2][0].numpy())
    return numbers


def plot(path: Path, shown: dict[str, np.ndarray], relevant: np.ndarray) -> None:
    """Weights of one list that was not learned from."""
    figure, axis = plt.subplots(figsize=(6.0, 3.6), layout="constrained")
    places = np.arange(len(relevant))
    axis.bar(places - 0.2, shown["sparsemax"], 0.4, color=BLUE, label="sparsemax")
    axis.bar(places + 0.2, shown["softmax"], 0.4, color=ORANGE, label="softmax")
    for place in places[relevant]:
        axis.axvspan(place - 0.45, place + 0.45, color="#eeeeee", zorder=0)
    axis.set(xlabel="item of one unseen list; those that matter are shaded", ylabel="weight")
    axis.set(xticks=places, xlim=(-0.6, len(places) - 0.4))
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
