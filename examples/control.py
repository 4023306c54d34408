"""Tune the cost-to-go of a controller with limited inputs, through its closed loop.

A controller steers x' = Ax + Bu + noise with inputs of at most 0.4. At each time it minimises the
cost of the input plus a quadratic guess of what the next state will cost. The guess that is optimal
without limits (Riccati) is where learning starts; the average cost over simulated runs is
differentiated through all the programs along them.
"""

from pathlib import Path

import cvxpy as cp
import numpy as np
import torch
from command_line import run
from scipy.linalg import solve_discrete_are

from lpgd.experiments.plotting import INK, PALETTE, new_figure, save
from lpgd.torch import CvxpyLayer

STATES, INPUTS, LIMIT = 4, 2, 0.4


def policy_layer() -> CvxpyLayer:
    """u = argmin |u|² + |M u + v|² subject to |u| <= LIMIT, entry by entry.

    With M = root @ B and v = root @ A x this is the cost of the input and of the next state.
    """
    u, M, v = cp.Variable(INPUTS), cp.Parameter((STATES, INPUTS)), cp.Parameter(STATES)
    objective = cp.Minimize(cp.sum_squares(u) + cp.sum_squares(M @ u + v))
    return CvxpyLayer(cp.Problem(objective, [cp.abs(u) <= LIMIT]), [M, v], [u])


def plant(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A system just beyond stability, so that limits hurt."""
    A = rng.normal(size=(STATES, STATES))
    return A / np.abs(np.linalg.eigvals(A)).max() * 1.01, rng.normal(size=(STATES, INPUTS))


def average_cost(layer, root, system, noise) -> torch.Tensor:
    """Mean of |x|² + |u|² over runs and times; ``noise`` is (times, runs, STATES)."""
    A, B = system
    x, costs = noise[0], []
    for shock in noise[1:]:
        (u,) = layer(root @ B, x @ (root @ A).T)
        costs.append(x.square().sum(-1) + u.square().sum(-1))
        x = x @ A.T + u @ B.T + shock
    return torch.stack(costs).mean()


def main(folder: Path, *, small: bool = False, seed: int = 0) -> dict[str, float]:
    """Learn the root of the guess; return the costs on runs that were not learned from."""
    rng = np.random.default_rng(seed)
    times, runs, steps = (10, 6, 10) if small else (30, 16, 40)
    A, B = plant(rng)
    riccati = solve_discrete_are(A, B, np.eye(STATES), np.eye(INPUTS))
    system = torch.tensor(A), torch.tensor(B)
    layer = policy_layer()
    root = torch.tensor(np.linalg.cholesky(riccati).T, requires_grad=True)
    optimizer = torch.optim.Adam([root], lr=0.2 if small else 0.1)

    def noise(size: int) -> torch.Tensor:
        return 0.5 * torch.tensor(rng.normal(size=(times + 1, size, STATES)))

    fresh, curve = noise(100), []
    with torch.no_grad():
        curve.append(average_cost(layer, root, system, fresh).item())
    for _ in range(steps):
        optimizer.zero_grad()
        average_cost(layer, root, system, noise(runs)).backward()
        optimizer.step()
        with torch.no_grad():
            curve.append(average_cost(layer, root, system, fresh).item())
    print(f"average cost {curve[0]:.3f} (Riccati) -> {curve[-1]:.3f} after {steps} steps")
    plot(folder / "control.png", curve)
    return {"first": curve[0], "last": curve[-1]}


def plot(path: Path, curve: list[float]) -> None:
    """The cost of the closed loop on fresh runs, while learning."""
    figure, (axis,) = new_figure(1, 1, (6.0, 3.6))
    axis.axhline(curve[0], color=INK, linewidth=1, linestyle="--", label="Riccati, limited")
    axis.plot(curve, color=PALETTE[0], label="learned cost-to-go")
    axis.set(xlabel="step", ylabel="average cost of fresh runs")
    axis.set_title("Tuning a controller with limited inputs")
    axis.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    save(figure, path)


if __name__ == "__main__":
    run(main, __doc__)
