"""What LPGD() with tau="auto" does, nothing tuned, on the cases that ask most different tilts.

    python benchmarks/auto_tau.py [--only portfolio,gradients] [--sudoku]

Learning through LPs needs tilts comparable to the costs, derivatives of smooth programs small ones.
Every line states what is asked and what came out; gradients are compared with central differences
along random directions.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import cvxpy as cp
import numpy as np
import torch

from lpgd import LPGD
from lpgd.torch import CvxpyLayer, LPLayer, QPLayer

Line = tuple[str, str, str, bool]  # case, asked, found, whether it holds
STEPS = 100


def portfolio() -> Iterator[Line]:
    """maximise r.w, sum w = 1, w >= 0: plain SGD (lr 1) on r for the true returns c."""
    for n in (3, 10, 30):
        for label, scale, shift in (("1", 1.0, 0.0), ("0.05", 0.05, 0.0), ("1 + 0.05", 0.05, 1.0)):
            solve, runs = _portfolio_layer(n), [_invest(n, s, scale, shift) for s in range(10)]
            hits = [_learn_returns(solve, r, c) for r, c in runs]
            stay = [hit for hit in hits if hit is not None]
            found = f"{len(stay)} of 10 (steps {min(stay)} to {max(stay)})" if stay else "none"
            yield (
                f"portfolio, {n} assets, returns {label}",
                "best within 100",
                found,
                len(stay) >= 9,
            )


def _portfolio_layer(n: int) -> Callable[[torch.Tensor], torch.Tensor]:
    r, w = cp.Parameter(n), cp.Variable(n)
    problem = cp.Problem(cp.Maximize(r @ w), [cp.sum(w) == 1, w >= 0])
    layer = CvxpyLayer(problem, parameters=[r], variables=[w])
    return lambda value: layer(value)[0]


def _invest(n: int, seed: int, scale: float, shift: float) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    r, c = shift + scale * torch.randn(2, n, generator=draw)
    return r.requires_grad_(), c


def _learn_returns(
    solve: Callable[[torch.Tensor], torch.Tensor], r: torch.Tensor, c: torch.Tensor
) -> int | None:
    """First step from which on the best asset is held; None if it is not held at the end."""
    held, optimizer = None, torch.optim.SGD([r], lr=1.0)
    for step in range(STEPS + 20):
        w = solve(r)
        if w.argmax() != c.argmax():
            held = None
        elif held is None:
            held = step
        optimizer.zero_grad()
        (-(c * w).sum()).backward()
        optimizer.step()
    return held if held is not None and held <= STEPS else None


def earth_mover() -> Iterator[Line]:
    """25 x 25 transport, batch 50; the costs come from learned features of both sides."""
    for metric in ("squared distance", "cosine"):
        for loss in ("mse", "absolute"):
            values = _match(metric, loss)
            drop = min(values) / values[0]
            yield f"earth mover, {metric}, {loss}", "halved in 20", f"x {drop:.3f}", drop <= 0.5


def _match(metric: str, loss: str, size: int = 25, batch: int = 50, width: int = 16) -> list[float]:
    draw = torch.Generator().manual_seed(0)
    left = torch.randn(batch, size, width, generator=draw)
    order = torch.stack([torch.randperm(size, generator=draw) for _ in range(batch)])
    right = torch.gather(left, 1, order[..., None].expand(-1, -1, width))
    right = right @ torch.randn(width, width, generator=draw) / width**0.5
    plan = torch.zeros(batch, size, size)
    plan[torch.arange(batch)[:, None], order, torch.arange(size)] = 1 / size
    torch.manual_seed(0)
    one = torch.nn.Sequential(
        torch.nn.Linear(width, 32), torch.nn.Tanh(), torch.nn.Linear(32, width)
    )
    two = torch.nn.Linear(width, width)
    optimizer = torch.optim.Adam([*one.parameters(), *two.parameters()], lr=1e-2)
    eye, ones = torch.eye(size), torch.ones(1, size)
    A = torch.cat([torch.kron(eye, ones), torch.kron(ones, eye)])
    layer, values = LPLayer(), []
    for _ in range(21):
        u, v = one(left), two(right)
        if metric == "cosine":
            costs = 1 - torch.nn.functional.cosine_similarity(u[:, :, None], v[:, None], dim=-1)
        else:
            costs = torch.cdist(u, v).square()
        b = torch.full((2 * size,), 1 / size)
        x = layer(costs.flatten(1), A=A, b=b, lb=torch.zeros(size * size))
        gap = x.unflatten(1, (size, size)) - plan
        value = gap.square().mean() if loss == "mse" else gap.abs().sum((1, 2)).mean()
        values.append(value.item())
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return values


def gradients() -> Iterator[Line]:
    """Derivatives that exist, within 1e-3 of central differences, at three scales of the data."""
    cases: list[tuple[str, Callable[[float], tuple[Callable, torch.Tensor]]]] = [
        ("box and ball, 100 variables, q", lambda s: _box_ball(s, "q")),
        ("box and ball, 100 variables, b", lambda s: _box_ball(s, "b")),
        ("lasso 100 x 50, hyper-gradient", lambda s: _regression(s, "lasso")),
        ("ridge 100 x 50, hyper-gradient", lambda s: _regression(s, "ridge")),
        ("L1-logistic 60 x 10, hyper-gradient", _logistic),
        ("softmax as an entropy program", _softmax),
        ("duals of a QP", _duals),
        ("duals of an LP", _dual_prices),
    ]
    for name, case in cases:
        for scale in (1.0, 1e-3, 1e3):
            function, at = case(scale)
            error = _error(function, at)
            yield f"{name}, data x {scale:g}", "error <= 1e-3", f"{error:.1e}", error <= 1e-3


def _error(function: Callable[[torch.Tensor], torch.Tensor], at: torch.Tensor) -> float:
    """Largest error of directional derivatives, relative to the largest of them.

    By the better of two steps: the short one meets no kink, the long one drowns the noise of
    interior points beyond the reach of Newton's method.
    """
    at = at.clone().requires_grad_()
    (slope,) = torch.autograd.grad(function(at), at)
    found: list[float] = []
    for step in (1e-5, 1e-3):
        draw, length = torch.Generator().manual_seed(0), step * at.detach().abs().max().item()
        ways = [torch.randn(at.shape, generator=draw) for _ in range(5)]
        with torch.no_grad():
            pairs = [(function(at + length * w), function(at - length * w)) for w in ways]
        changes = [(above - below).item() / (2 * length) for above, below in pairs]
        gaps = [abs((slope * w).sum().item() - c) for w, c in zip(ways, changes, strict=True)]
        found.append(max(gaps) / max(abs(c) for c in changes))
    return min(found)


def _box_ball(scale: float, name: str, n: int = 100) -> tuple[Callable, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    root = np.linalg.cholesky(np.cov(np.random.default_rng(1).normal(size=(n, 3 * n))) + np.eye(n))
    q, b, x = cp.Parameter(n), cp.Parameter(n), cp.Variable(n)
    objective = cp.Minimize(0.5 * cp.sum_squares(root.T @ x) + q @ x)
    layer = CvxpyLayer(
        cp.Problem(objective, [x <= b, x >= -b, cp.norm(x) <= 1.5 * scale]), [q, b], [x]
    )
    weight = torch.randn(n, generator=draw)
    at = {"q": scale * 2 * torch.randn(n, generator=draw), "b": torch.full((n,), 0.25 * scale)}

    def function(value: torch.Tensor) -> torch.Tensor:
        given = at | {name: value}
        return (layer(given["q"], given["b"])[0] * weight).mean()

    return function, at[name]


def _regression(
    scale: float, kind: str, rows: int = 100, n: int = 50
) -> tuple[Callable, torch.Tensor]:
    draw = torch.Generator().manual_seed(2)
    X, Xv = torch.randn(2, rows, n, generator=draw)
    true = 2 * torch.randn(n, generator=draw) * (torch.arange(n) < 8)
    y = scale * (X @ true + torch.randn(rows, generator=draw))
    beta, strength = cp.Variable(n), cp.Parameter(nonneg=True)
    penalty = cp.norm1(beta) if kind == "lasso" else 0.5 * cp.sum_squares(beta)
    objective = 0.5 * cp.sum_squares(X.numpy() @ beta - y.numpy()) + strength * penalty
    layer = CvxpyLayer(cp.Problem(cp.Minimize(objective)), [strength], [beta])
    return lambda value: (Xv @ (layer(value)[0] / scale - true)).square().mean(), (
        torch.tensor(5.0 * (scale if kind == "lasso" else 1.0))
    )


def _logistic(scale: float, rows: int = 60, n: int = 10) -> tuple[Callable, torch.Tensor]:
    draw = torch.Generator().manual_seed(3)
    X = torch.randn(rows, n, generator=draw)
    labels = torch.sign(X @ torch.randn(n, generator=draw) + torch.randn(rows, generator=draw))
    target = torch.randn(n, generator=draw)
    beta, strength = cp.Variable(n), cp.Parameter(nonneg=True)
    margins = cp.multiply(-labels.numpy(), scale * X.numpy() @ beta)
    objective = cp.sum(cp.logistic(margins)) + strength * cp.norm1(beta)
    layer = CvxpyLayer(cp.Problem(cp.Minimize(objective)), [strength], [beta])
    return lambda value: (scale * layer(value)[0] - target).square().mean(), torch.tensor(scale)


def _softmax(scale: float, n: int = 20) -> tuple[Callable, torch.Tensor]:
    draw = torch.Generator().manual_seed(4)
    theta, x = cp.Parameter(n), cp.Variable(n)
    objective = cp.Maximize(theta @ x + scale * cp.sum(cp.entr(x)))
    layer = CvxpyLayer(cp.Problem(objective, [cp.sum(x) == 1]), [theta], [x])
    at, weight = scale * torch.randn(n, generator=draw), torch.randn(n, generator=draw)
    with torch.no_grad():
        gap = (layer(at)[0] - torch.softmax(at / scale, 0)).abs().max().item()
    if gap > 1e-6:
        raise ArithmeticError(f"the entropy program is no softmax: {gap:.1e} off")
    return lambda value: (layer(value)[0] * weight).sum(), at


def _duals(scale: float, n: int = 30, m: int = 20) -> tuple[Callable, torch.Tensor]:
    draw = torch.Generator().manual_seed(5)
    root, G = torch.randn(n, n, generator=draw), torch.randn(m, n, generator=draw)
    P, h = root @ root.T / n + 0.1 * torch.eye(n), 0.3 * scale * torch.rand(m, generator=draw)
    weight = torch.randn(64, m, generator=draw)
    layer = QPLayer()

    def function(q: torch.Tensor) -> torch.Tensor:
        return (layer(P, q, G, h, return_duals=True).z * weight).mean()

    return function, scale * torch.randn(64, n, generator=draw)


def _dual_prices(scale: float, n: int = 30, m: int = 8) -> tuple[Callable, torch.Tensor]:
    draw = torch.Generator().manual_seed(6)
    A, weight = torch.randn(m, n, generator=draw), torch.randn(64, m, generator=draw)
    b, layer = A @ (0.2 + 0.6 * torch.rand(n, generator=draw)), LPLayer()

    def function(c: torch.Tensor) -> torch.Tensor:
        box = {"lb": torch.zeros(n), "ub": torch.ones(n)}
        return (layer(c, A=A, b=b, **box, return_duals=True).y * weight).mean()

    return function, scale * torch.randn(64, n, generator=draw)


def cost() -> Iterator[Line]:
    """Backward passes of strictly convex QPs: no further solve, little more time."""
    draw = torch.Generator().manual_seed(0)
    batch, n = 64, 50
    root = torch.randn(n, n, generator=draw)
    P = root @ root.T / n + 0.1 * torch.eye(n)
    q, h = torch.randn(batch, n, generator=draw), 0.5 + torch.rand(batch, n, generator=draw)
    G = torch.randn(batch, n, n, generator=draw)
    layers = {"auto": QPLayer(), "fixed": QPLayer(LPGD(1e-2))}
    times: dict[str, list[float]] = {name: [] for name in layers}
    for _ in range(60):
        for name, layer in layers.items():
            leaf = q.clone().requires_grad_()
            loss = 0.5 * layer(P, leaf, G, h).square().sum()
            start = time.perf_counter()
            loss.backward()
            times[name].append(time.perf_counter() - start)
    ratio = np.median(times["auto"]) / np.median(times["fixed"])
    solves = layers["auto"].stats.re_solves / layers["fixed"].stats.re_solves
    yield (
        "cost on QPs (64, 50, 50)",
        "as many solves",
        f"{solves:.2f}, time x {ratio:.2f}",
        solves == 1,
    )


def sudoku() -> Iterator[Line]:
    """4 x 4 Sudoku, rho 0.1, Adam 0.1, five epochs: wrong boards of 1,000 after each."""
    from lpgd.experiments.sudoku.run import check_and_start
    from lpgd.experiments.sudoku.train import Trainer, is_evaluated

    from lpgd.experiments.sudoku.config import SudokuConfig

    for seed in range(3):
        config = SudokuConfig(seed=seed, epochs=5, tau="auto")
        run, split = check_and_start(config, Path(tempfile.mkdtemp()), None)
        trainer = Trainer(config, split, run)
        while trainer.step < trainer.total_steps:
            trainer.advance()
        wrong = [int(row["test_wrong"]) for row in trainer.rows if is_evaluated(row)]
        yield f"Sudoku, seed {seed}", "at most 2 wrong", str(wrong), wrong[-1] <= 2


CASES = {f.__name__: f for f in (portfolio, earth_mover, gradients, cost, sudoku)}


def main() -> None:
    """Run the cases and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", default="portfolio,earth_mover,gradients,cost")
    parser.add_argument("--sudoku", action="store_true", help="two minutes more")
    options = parser.parse_args()
    torch.set_default_dtype(torch.float64)
    warnings.simplefilter("error")
    names = [*options.only.split(","), *(["sudoku"] if options.sudoku else [])]
    for name in names:
        start = time.perf_counter()
        for case, asked, found, holds in CASES[name]():
            print(f"{case:46s} {asked:18s} {found:28s} {'yes' if holds else 'NO'}", flush=True)
        print(f"{name}: {time.perf_counter() - start:.1f} s\n", flush=True)


if __name__ == "__main__":
    main()
