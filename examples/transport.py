"""Learn what an earth mover pays, from the plans it chooses.

Supplies and demands lie in the plane; the hidden price of a transport from one to another weighs
the two coordinates differently and adds tolls for some suppliers. An optimal plan is a vertex of
the transport polytope: it does not move at all when prices change a little, so its derivative is
zero, and gradient descent (``Exact``) learns nothing. LPGD's finite steps do.
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

BLUE, ORANGE = "#0072b2", "#d55e00"  # told apart by colour-blind readers too


def earth_mover(size: int, rule: lpgd.LPGD | lpgd.Exact) -> CvxpyLayer:
    """Cheapest plan as a function of prices (size, size), supplies and demands (size,)."""
    plan = cp.Variable((size, size), nonneg=True)
    prices, supply, demand = cp.Parameter((size, size)), cp.Parameter(size), cp.Parameter(size)
    constraints = [cp.sum(plan, axis=1) == supply, cp.sum(plan, axis=0) == demand]
    objective = cp.Minimize(cp.sum(cp.multiply(prices, plan)))
    return CvxpyLayer(
        cp.Problem(objective, constraints), [prices, supply, demand], [plan], rule=rule
    )


class Prices(nn.Module):
    """Weighted squared distances, and a toll for each supplier."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.log_weights = nn.Parameter(torch.zeros(2, dtype=torch.float64))
        self.tolls = nn.Parameter(torch.zeros(size, size, dtype=torch.float64))

    def forward(self, differences: torch.Tensor) -> torch.Tensor:
        """Prices (batch, size, size) of differences (batch, size, size, 2)."""
        return differences.square() @ self.log_weights.exp() + self.tolls


def worlds(batch: int, size: int, rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
    """Differences of places, supplies and demands; no two sums of supplies and demands agree."""
    places = torch.tensor(rng.uniform(size=(2, batch, size, 2)))
    amounts = torch.tensor(rng.dirichlet(np.full(size, 4.0), size=(2, batch)))
    return places[0][:, :, None] - places[1][:, None], amounts[0], amounts[1]


def train(rule, examples, plans, steps: int) -> list[float]:
    """Mean share of the goods that the learned prices send elsewhere, at every step."""
    size = plans.shape[-1]
    layer, prices = earth_mover(size, rule), Prices(size)
    optimizer = torch.optim.Adam(prices.parameters(), lr=0.1)
    misplaced = []
    for _ in range(steps):
        differences, supply, demand = examples
        (plan,) = layer(prices(differences), supply, demand)
        loss = 0.5 * (plan - plans).square().sum()
        misplaced.append(0.5 * (plan - plans).abs().sum(dim=(-1, -2)).mean().item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return misplaced


def main(folder: Path, *, small: bool = False, seed: int = 0) -> dict[str, float]:
    """Learn the prices with both rules; return the misplaced shares."""
    rng = np.random.default_rng(seed)
    batch, size, steps = (10, 5, 25) if small else (20, 8, 50)
    truth = Prices(size).requires_grad_(False)
    truth.log_weights.copy_(torch.tensor([1.2, -1.5]))
    truth.tolls.copy_(torch.tensor(0.3 * rng.normal(size=(size, size))))
    examples = worlds(batch, size, rng)
    (plans,) = earth_mover(size, lpgd.Exact())(truth(examples[0]), *examples[1:])

    rules = {"LPGD": lpgd.LPGD(), "Exact": lpgd.Exact()}
    curves = {name: train(rule, examples, plans, steps) for name, rule in rules.items()}
    for name, curve in curves.items():
        print(f"{name:6} misplaced goods {curve[0]:.1%} -> {curve[-1]:.1%} in {steps} steps")
    plot(folder / "transport.png", curves)
    return {"first": curves["LPGD"][0], **{name: curve[-1] for name, curve in curves.items()}}


def plot(path: Path, curves: dict[str, list[float]]) -> None:
    """Both learning curves."""
    figure, axis = plt.subplots(figsize=(6.0, 3.6), layout="constrained")
    for color, (name, curve) in zip((BLUE, ORANGE), curves.items(), strict=True):
        axis.plot(np.multiply(curve, 100), color=color, linewidth=2, label=name)
    axis.set(xlabel="step", ylabel="goods sent elsewhere (%)", xlim=(0, None), ylim=(0, None))
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
