"""Tune a controller with limited inputs, through its closed loop, to a cost that it cannot state.

A controller steers x' = Ax + Bu + noise with inputs of at most 1. At each time it minimises the
cost of the input plus a quadratic guess of what the next state will cost. Riccati's guess would be
optimal for quadratic costs and free inputs. Here the first state should also stay below a limit,
and exceeding it is expensive: the average cost over simulated runs is differentiated through all
the programs along them, and the controller learns to keep a distance.
"""

from pathlib import Path

import cvxpy as cp
import numpy as np
import torch
from command_line import run
from scipy.linalg import solve_discrete_are
from torch import nn

from lpgd.experiments.plotting import INK, PALETTE, new_figure, save
from lpgd.torch import CvxpyLayer

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


class Controller(nn.Module):
    """The policy, with the root of its quadratic guess and where that is smallest."""

    def __init__(self, A: np.ndarray, B: np.ndarray) -> None:
        super().__init__()
        riccati = solve_discrete_are(A, B, np.eye(STATES), np.eye(INPUTS))
        self.A, self.B = torch.tensor(A), torch.tensor(B)
        self.root = nn.Parameter(torch.tensor(np.linalg.cholesky(riccati).T))
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
    figure, (axis,) = new_figure(1, 1, (6.0, 3.6))
    bins = np.linspace(-2.0, 1.5, 50)
    for color, states, name in zip(
        PALETTE, (before, after), ("Riccati", "learned through the loop"), strict=False
    ):
        options = {"bins": bins, "density": True, "color": color}
        axis.hist(states.flatten().numpy(), histtype="stepfilled", alpha=0.15, **options)
        axis.hist(states.flatten().numpy(), histtype="step", linewidth=1.8, label=name, **options)
    axis.axvline(CEILING, color=INK, linewidth=1, linestyle="--", label="ceiling")
    axis.set(xlabel="first state, all times of unseen runs", ylabel="density")
    axis.set_title("A controller learns to keep a distance")
    axis.legend(loc="upper left")
    path.parent.mkdir(parents=True, exist_ok=True)
    save(figure, path)


if __name__ == "__main__":
    run(main, __doc__)
