"""Attention that can be exactly zero: sparsemax as a quadratic program.

sparsemax(z) is the point of the simplex next to z. It is checked against its closed form by
sorting, value and gradient, and then attends: a model has to find the few items that matter in each
list. Softmax spreads its weight over all items; sparsemax learns to leave others out.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from command_line import run
from torch import nn

from lpgd.experiments.plotting import INK, PALETTE, new_figure, save
from lpgd.torch import QPLayer

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
    figure, (axis,) = new_figure(1, 1, (6.0, 3.6))
    places = np.arange(len(relevant))
    for shift, color, (name, weights) in zip((-0.2, 0.2), PALETTE, shown.items(), strict=False):
        axis.bar(places + shift, weights, 0.4, color=color, label=name)
    top = max(weights.max() for weights in shown.values())
    axis.scatter(
        places[relevant],
        np.full(relevant.sum(), 1.08 * top),
        marker="v",
        color=INK,
        label="matters",
    )
    axis.set(xlabel="item of one unseen list", ylabel="weight", xticks=places)
    axis.grid(visible=False, axis="x")
    axis.set_title("Learned attention")
    axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    path.parent.mkdir(parents=True, exist_ok=True)
    save(figure, path)


if __name__ == "__main__":
    run(main, __doc__)
