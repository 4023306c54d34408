"""Find out why a model does not learn, and mend it.

A linear model predicts the worth of goods; a linear program packs those that are worth most into a
limited space. The loss, a mean over the batch, is what the packing forgoes, and the layer has a
fixed tau: hardly anything is learned. ``lpgd.diagnose`` names the cause and a tau that would do;
with it the model learns.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import torch

import lpgd
from lpgd.torch import LPLayer


def draw(size: int, goods: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of days, and what goods are worth on them: a linear rule and some noise."""
    features = rng.normal(size=(size, 5))
    rule = np.random.default_rng(7).normal(size=(5, goods))
    worth = np.maximum(3 + features @ rule + 0.1 * rng.normal(size=(size, goods)), 0.1)
    return torch.tensor(features), torch.tensor(worth)


def packing(layer: LPLayer, worth: torch.Tensor) -> torch.Tensor:
    """What to take of each good: at most one, a quarter of all."""
    goods = worth.shape[-1]
    one = torch.ones(goods, dtype=torch.float64)
    space = torch.tensor([goods / 4], dtype=torch.float64)
    return layer(-worth, G=one[None], h=space, lb=0 * one, ub=one)


def train(layer: LPLayer, data: tuple, steps: int, seed: int) -> tuple[torch.nn.Module, list]:
    """Descend on the mean worth that is forgone; return the model, and the loss of every step."""
    features, worth = data
    torch.manual_seed(seed)
    model = torch.nn.Linear(5, worth.shape[1], dtype=torch.float64)
    with torch.no_grad():
        best = (worth * packing(LPLayer(), worth)).sum(1).mean()
    optimizer, path = torch.optim.Adam(model.parameters(), lr=0.05), []
    warnings.simplefilter("ignore", lpgd.StuckWarning)  # which says: ask lpgd.diagnose
    for _ in range(steps):
        taken = packing(layer, model(features))
        loss = best - (worth * taken).sum(1).mean()
        path.append((loss / best).item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model, path


def main(folder: Path, *, small: bool = False, seed: int = 0) -> dict[str, float | str]:
    """Train, ask what is wrong, train again; return shares of worth forgone and what was said."""
    size, goods, steps = (20, 8, 25) if small else (100, 12, 100)
    features, worth = data = draw(size, goods, np.random.default_rng(seed))
    first = LPLayer(lpgd.LPGD(tau=0.06))
    model, stuck = train(first, data, steps, seed)

    one = torch.ones(goods, dtype=torch.float64)
    report = lpgd.diagnose(
        first, -model(features), G=one[None], h=torch.tensor([goods / 4], dtype=torch.float64),
        lb=0 * one, ub=one, loss=lambda taken: -(worth * taken).sum(1).mean(),
    )  # fmt: skip
    print(report)
    folder.mkdir(parents=True, exist_ok=True)
    report.figure().savefig(folder / "diagnosis.png", dpi=90)

    breakpoints = report.elements.breakpoints
    tau = float(np.median(breakpoints[np.isfinite(breakpoints)]))  # half of all moves
    _, mended = train(LPLayer(lpgd.LPGD(tau=3 * tau)), data, steps, seed)
    print(f"\nworth forgone with tau 0.06: {stuck[0]:.1%} -> {stuck[-1]:.1%};")
    print(f"  with tau {3 * tau:.3g}: {mended[0]:.1%} -> {mended[-1]:.1%}")
    return {
        "cause": report.cause,
        "first": stuck[0],
        "last": stuck[-1],
        "mended, last": mended[-1],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--small", action="store_true", help="fewer days, goods and steps")
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder of the figure")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    main(options.out, small=options.small, seed=options.seed)
