"""Learn the cost of a cart-pole's controller from an expert's trajectories.

The controller balances a pole on a cart with a limited force. At each time it solves a nonlinear
program over the next moments, with the dynamics as constraints. The weights of its cost are
unknown: an expert has been watched, and the loss is how far the controller's forces are from the
expert's in the same states, differentiated through the programs.
"""

import argparse
from pathlib import Path

import casadi as ca
import matplotlib.pyplot as plt
import numpy as np
import torch

from lpgd.torch import NLPLayer

BLUE, ORANGE, BLACK = "#0072b2", "#d55e00", "#222222"  # told apart by colour-blind readers too
STEP, LIMIT = 0.08, 8.0  # seconds, newtons
GUESS = torch.tensor([0.1, 0.1, 1.0, 1.0], dtype=torch.float64)
EXPERT = torch.tensor([4.0, 12.0, 0.3, 0.6], dtype=torch.float64)  # position, angle, velocities


def dynamics(state, force):
    """Derivative of (position, angle from upright, velocity, angular velocity)."""
    _, angle, speed, spin = (state[i] for i in range(4))
    sine, cosine = ca.sin(angle), ca.cos(angle)
    push = (force + 0.1 * 0.5 * spin**2 * sine) / 1.1
    turn = (9.8 * sine - cosine * push) / (0.5 * (4 / 3 - 0.1 * cosine**2 / 1.1))
    return ca.vertcat(speed, spin, push - 0.1 * 0.5 * turn * cosine / 1.1, turn)


def moved(state, force):
    """The state a step later (Runge and Kutta's method of fourth order)."""
    a = dynamics(state, force)
    b = dynamics(state + 0.5 * STEP * a, force)
    c = dynamics(state + 0.5 * STEP * b, force)
    d = dynamics(state + STEP * c, force)
    return state + STEP / 6 * (a + 2 * b + 2 * c + d)


def controller(horizon: int) -> NLPLayer:
    """Plans as a function of the state and of the weights of the cost."""
    plan = ca.SX.sym("plan", 5 * horizon)
    start, weights = ca.SX.sym("start", 4), ca.SX.sym("weights", 4)
    forces, states = plan[:horizon], ca.reshape(plan[horizon:], 4, horizon)
    cost, gaps, state = 0, [], start
    for k in range(horizon):
        cost += ca.dot(weights, states[:, k] ** 2) + 0.01 * forces[k] ** 2
        gaps.append(states[:, k] - moved(state, forces[k]))
        state = states[:, k]
    return NLPLayer.from_casadi(plan, [start, weights], cost, h=ca.vertcat(*gaps))


class Loop:
    """The controller in its loop."""

    def __init__(self, horizon: int) -> None:
        self.horizon, self.layer = horizon, controller(horizon)
        state, force = ca.SX.sym("state", 4), ca.SX.sym("force")
        self.step = ca.Function("step", [state, force], [moved(state, force)])
        free = torch.full((4 * horizon,), torch.inf, dtype=torch.float64)
        self.bound = torch.cat([torch.full((horizon,), LIMIT, dtype=torch.float64), free])

    def forces(self, states: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """The first force of each plan."""
        return self.layer(states, weights, lb=-self.bound, ub=self.bound)[:, 0]

    def run(self, states: torch.Tensor, weights: torch.Tensor, steps: int):
        """States (steps, B, 4) and forces (steps, B) of closed loops."""
        path, forces = [], []
        with torch.no_grad():
            for _ in range(steps):
                force = self.forces(states, weights)
                path.append(states)
                forces.append(force)
                after = self.step(states.numpy().T, force.numpy()[None]).full().T
                states = torch.tensor(after.copy())
        return torch.stack(path), torch.stack(forces)


def cost_of(path: torch.Tensor, forces: torch.Tensor) -> float:
    """What the expert would say of closed loops."""
    return float((path.square() @ EXPERT + 0.01 * forces.square()).sum(0).mean())


def main(folder: Path, *, small: bool = False, seed: int = 0) -> dict[str, float]:
    """Learn the weights; return closed-loop costs."""
    rng = np.random.default_rng(seed)
    horizon, steps, batch, duration = (10, 30, 8, 40) if small else (15, 60, 16, 50)
    spread = np.array([1.5, 0.5, 0.3, 0.5])
    loop = Loop(horizon)
    watched, held_out = (torch.tensor(rng.uniform(-spread, spread, (count, 4))) for count in (2, 3))
    states, forces = (part.flatten(0, 1) for part in loop.run(watched, EXPERT, duration))

    log_weights = GUESS.log().requires_grad_()
    optimizer = torch.optim.Adam([log_weights], lr=0.5 if small else 0.2)
    losses = []
    for _ in range(steps):
        chosen = torch.tensor(rng.choice(len(states), batch, replace=False))
        planned = loop.forces(states[chosen], log_weights.exp())
        loss = (planned - forces[chosen]).square().mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    learned = log_weights.detach().exp()
    runs = {"first": GUESS, "last": learned, "expert": EXPERT}
    runs = {name: loop.run(held_out, weights, duration) for name, weights in runs.items()}
    costs = {name: cost_of(*run) for name, run in runs.items()}
    print(f"closed-loop cost {costs['first']:.2f} -> {costs['last']:.2f} in {steps} steps;")
    print(f"  that of the expert is {costs['expert']:.2f}")
    plot(folder / "cartpole.png", losses, {name: path for name, (path, _) in runs.items()})
    return {**costs, "re-solves": float(loop.layer.stats.re_solves)}


def plot(path: Path, losses: list[float], runs: dict[str, torch.Tensor]) -> None:
    """The loss, and the angle of the pole in one of the loops."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.0, 3.2), layout="constrained")
    left.plot(losses, color=BLUE)
    left.set(xlabel="step", ylabel="squared error of the force", yscale="log")
    labels = {"first": "first guess", "last": "learned", "expert": "expert"}
    styles = {"first": (ORANGE, "-"), "last": (BLUE, "-"), "expert": (BLACK, "--")}
    for name, states in runs.items():
        colour, line = styles[name]
        seconds = STEP * np.arange(len(states))
        right.plot(seconds, states[:, 0, 0], line, color=colour, label=labels[name])
    right.set(xlabel="time in s", ylabel="position of the cart in m")
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
