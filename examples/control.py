"""Tune a controller with limited inputs, through its closed loop, to a cost that it cannot state.

A controller steers x' = Ax + Bu + noise with inputs of at most 1. At each time it minimises the
cost of the input plus a quadratic guess of what the next state will cost. Riccati's guess would be
optimal for quadratic costs and free inputs. Here the first state should also stay below a limit,
and exceeding it is expensive: the average cost over simulated runs is differentiated through all
the programs along them, and the controller learns to keep a distance.
"""

import argparse
from pathlib import Path

import cvxpy as cp
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from lpgd.torch import CvxpyLayer

BLUE, ORANGE = "#0072b2", "#d55e00"  # told apart by colour-blind readers too

STATES, INPUTS, LIMIT = 4, 2, 1.0
CEILING, PENALTY = 0.3, 50.0


def policy_layer() -> CvxpyLayer:
    """u = argmin |u|² + |M u + v|² subject to |u| <= LIMIT, entry by entry.

    With M = root @ B and v = root @ A x this is the cost of the input and of the next state.
    """
    u, M, v = cp.Variable(INPUTS), cp.Parameter((STATES, INPUTS)), cp.Parameter(STATES)
    objective = cp.Minimize(cp.sum_squares(u) + cp.sum_squares(M @ u + v))
    return CvxpyLayer(cp.Problem(objective, [cp.abs(u) <= LIMIT]), [M, v], [u])


def plant(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A system at the limit of stability."""
    A = rng.normal(size=(STATES, STATES))
    return A / np.abs(np.linalg.eigvals(A)).max(), rng.normal(size=(STATES, INPUTS)) / 2


def riccati(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """What a state costs, x'Sx, where costs are quadratic and inputs free: S by iteration."""
    S = np.eye(STATES)
    for _ in range(1000):
        gain = np.linalg.solve(np.eye(INPUTS) + B.T @ S @ B, B.T @ S @ A)
        S = np.eye(STATES) + A.T @ S @ (A - B @ gain)
    return S


class Controller(nn.Module):
    """The policy, with the root of its quadratic guess and where that is smallest."""

    def __init__(self, A: np.ndarray, B: np.ndarray) -> None:
        super().__init__()
        self.A, self.B = torch.tensor(A), torch.tensor(B)
        self.root = nn.Parameter(torch.tensor(np.linalg.cholesky(riccati(A, B)).T))
        self.target = nn.Parameter(torch.zeros(STATES, dtype=torch.float64))
        self.policy = policy_layer()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Inputs (runs, INPUTS) at states (runs, STATES)."""
        return self.policy(self.root @ self.B, (x @ self.A.T - self.target) @ self.root.T)[0]


def simulate(controller: Controller, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Average cost, and the first state of all runs; ``noise`` is (times, runs, STATES)."""
    x, costs, first = noise[0], [], []
    for shock in noise[1:]:
        u = controller(x)
        excess = (x[:, 0] - CEILING).clamp(min=0)
        costs.append(x.square().sum(-1) + u.square().sum(-1) + PENALTY * excess**2)
        first.append(x[:, 0])
        x = x @ controller.A.T + u @ controller.B.T + shock
    return torch.stack(costs).mean(), torch.stack(first)


def main(folder: Path, *, small: bool = False, seed: int = 0) -> dict[str, float]:
    """Learn; return the costs and the share of time above the ceiling in runs not learned from."""
    rng = np.random.default_rng(seed)
    times, runs, steps = (10, 8, 12) if small else (25, 16, 50)
    controller = Controller(*plant(rng))
    optimizer = torch.optim.Adam(controller.parameters(), lr=0.1 if small else 0.05)

    def noise(size: int) -> torch.Tensor:
        return 0.3 * torch.tensor(rng.normal(size=(times + 1, size, STATES)))

    fresh = noise(50 if small else 200)
    with torch.no_grad():
        before, states_before = simulate(controller, fresh)
    for _ in range(steps):
        optimizer.zero_grad()
        simulate(controller, noise(runs))[0].backward()
        optimizer.step()
    with torch.no_grad():
        after, states_after = simulate(controller, fresh)
    above = [(s > CEILING).double().mean().item() for s in (states_before, states_after)]
    print(f"average cost  {before:.3f} (Riccati) -> {after:.3f} after {steps} steps")
    print(f"above ceiling {above[0]:.1%} -> {above[1]:.1%} of the time")
    plot(folder / "control.png", states_before, states_after)
    return {"first": before.item(), "last": after.item(), "above": above[1] - above[0]}


def plot(path: Path, before: torch.Tensor, after: torch.Tensor) -> None:
    """Where the first state is, before and after learning."""
    figure, axis = plt.subplots(figsize=(6.0, 3.6), layout="constrained")
    axis.axvspan(CEILING, 1.2, color="#eeeeee")
    axis.text(1.18, 0.9, "above the ceiling", ha="right")
    look = {"bins": np.linspace(-1.2, 1.2, 41), "histtype": "step", "linewidth": 2, "density": True}
    axis.hist(before.flatten(), color=ORANGE, label="Riccati's guess", **look)
    axis.hist(after.flatten(), color=BLUE, label="learned through the loop", **look)
    axis.set(xlabel="first state, all times of unseen runs", ylabel="density", xlim=(-1.2, 1.2))
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, loc="upper right")
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
