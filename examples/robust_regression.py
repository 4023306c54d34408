"""Learn how far to distrust each sensor.

Regressions are fitted to exact data and used on sensors that are off, each by another amount that
is nowhere written. The fit guards against the worst shift of its data within bounds, one a sensor:
a game against an adversary who moves the columns of the data (Xu, Caramanis, Mannor, 2009). The
bounds are learned through the game from errors in use, and serve for regressions that come later.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

import lpgd
from lpgd.torch import ConicLayer, SaddleLayer

BLUE, ORANGE, BLACK = "#0072b2", "#d55e00", "#222222"  # told apart by colour-blind readers too
SENSORS, HIDDEN, ROWS = 8, 3, 20
CONES = lpgd.Cones(nonneg=2 * SENSORS, soc=(ROWS + 1,))
cone_program = ConicLayer(CONES)


def lagrangian(x, y, data, target, bounds):
    """The error |(D + S) x - target| of the worst shift S: column j by bounds_j in a direction u.

    The adversary chooses u in the unit ball, and for each column how much of the bound to use, in
    [-1, 1]. No multiplier and no constraint is among x and y.
    """
    return y["direction"] @ (data @ x - target) + (bounds * y["share"]) @ x


def solve(params, tilt):
    """Fits and shifts of a batch, as cone programs: minimise |D x - target| + <bounds, |x|>."""
    data, target, bounds = params
    batch, none = len(data), torch.zeros_like(bounds)
    eye = torch.eye(SENSORS, dtype=torch.float64).expand(batch, -1, -1)
    column, wide = data.new_zeros(batch, SENSORS, 1), data.new_zeros(batch, ROWS, SENSORS + 1)
    error = data.new_zeros(batch, 1, 2 * SENSORS + 1)
    error[:, 0, SENSORS] = -1.0  # variables: x, the error, and |x|
    rows = (eye, column, -eye), (-eye, column, -eye), (error,), (-data, wide)
    A = torch.cat([torch.cat(row, 2) for row in rows], 1)
    b = torch.cat([data.new_zeros(batch, 2 * SENSORS + 1), -target], 1)
    q = torch.cat([tilt.cost(none), data.new_ones(batch, 1), bounds], 1)
    found = cone_program(None, q, A, b, return_duals=True)
    above, below, error = found.y.split([SENSORS, SENSORS, ROWS + 1], dim=1)
    return found.x[:, :SENSORS], {"direction": -error[:, 1:], "share": (above - below) / bounds}


def draw(generator, mixing, offsets, count):
    """Regressions: exact data with targets to fit, and data from sensors that are off to use."""

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    truth = normal(count, HIDDEN, 1)
    hidden = normal(count, 2 * ROWS, HIDDEN)
    data = hidden @ mixing + 0.1 * normal(count, 2 * ROWS, SENSORS)
    target = (hidden @ truth + 0.3 * normal(count, 2 * ROWS, 1))[..., 0]
    used = data[:, ROWS:] + offsets * normal(count, 1, SENSORS)
    return data[:, :ROWS], target[:, :ROWS], used, target[:, ROWS:]


def in_use(layer, bounds, regressions):
    """Mean squared errors in use, one a regression."""
    data, target, used, wanted = regressions
    fits = layer(data, target, bounds.expand(len(data), SENSORS))
    return ((used @ fits[..., None])[..., 0] - wanted).square().mean(1)


def main(folder: Path, *, small: bool = False, seed: int = 0) -> dict[str, float]:
    """Learn the bounds; return errors in use, also of regressions that come later."""
    generator = torch.Generator().manual_seed(seed)
    count, steps = (20, 40) if small else (40, 100)
    mixing = torch.randn(HIDDEN, SENSORS, generator=generator, dtype=torch.float64)
    offsets = torch.logspace(-2, 0.3, SENSORS, dtype=torch.float64)
    learned_from, later = (draw(generator, mixing, offsets, size) for size in (count, 40))
    layer = SaddleLayer(lagrangian, solve, lpgd.LPGD(tau=0.1), ranks=(2, 1, 1), together=True)

    grid = np.logspace(-2, 1.5, 8)
    with torch.no_grad():
        tried = [in_use(layer, torch.full((SENSORS,), size), learned_from).mean() for size in grid]
        single = torch.full((SENSORS,), grid[np.argmin(tried)], dtype=torch.float64)
        least_squares = torch.full((SENSORS,), 1e-6, dtype=torch.float64)
    logs = torch.zeros(SENSORS, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([logs], lr=0.3 if small else 0.1)
    errors = []
    for _ in range(steps):
        each = in_use(layer, logs.exp(), learned_from)
        errors.append(each.mean().item())
        optimizer.zero_grad()
        each.sum().backward()  # tau belongs to one regression
        optimizer.step()
    with torch.no_grad():
        found = {
            name: in_use(layer, bounds, later).mean().item()
            for name, bounds in (
                ("least squares", least_squares),
                ("best single bound", single),
                ("learned bounds", logs.exp()),
            )
        }
    for name, error in found.items():
        print(f"{name}: mean squared error {error:.3f} in later use")
    plot(folder / "robust_regression.png", errors, found, (offsets, logs.detach().exp()))
    return {**found, "first": errors[0], "last": errors[-1]}


def plot(path: Path, errors: list[float], found: dict[str, float], sizes) -> None:
    """The error against steps, and bounds beside what sensors are off."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.0, 3.4), layout="constrained")
    left.plot(errors, color=BLUE, label="while learning")
    for (name, error), style in zip(found.items(), (":", "--", "-"), strict=True):
        left.axhline(error, color=ORANGE, linestyle=style, linewidth=1.0, label=f"later, {name}")
    left.set(xlabel="step", ylabel="mean squared error in use", yscale="log")
    left.legend(frameon=False, fontsize=8)
    right.scatter(*sizes, color=BLUE)
    right.set(xlabel="how much a sensor is off", ylabel="learned bound", xscale="log", yscale="log")
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--small", action="store_true", help="a few seconds instead of 15")
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder of the figure")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    main(options.out, small=options.small, seed=options.seed)
