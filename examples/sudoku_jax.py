"""Sudoku's rules learned from solved puzzles, in JAX: an equinox module around a linear program.

The module knows 4x4 boards as 64 numbers between 0 and 1, and that a board solves a linear program
with 40 equations. Which equations is what it learns: A and b = A sigmoid(interior), so that there
always is a board that satisfies them. A whole epoch is one compiled loop (`lax.scan`) of optax.
"""

import argparse
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import lpgd
from lpgd.jax import solve_lp

BLUE, ORANGE = "#0072b2", "#d55e00"  # told apart by colour-blind readers too
EQUATIONS, ENTRIES, BATCH, RATE = 40, 64, 150, 0.1
# the mean over a batch has divided the gradient by 150 * 64 already, hence the large tau
RULE = lpgd.LPGD(tau=1e4, rho=0.1)


class RuleLearner(eqx.Module):
    """minimise -<clues, x> over Ax = b, 0 <= x <= 1."""

    A: jax.Array
    interior: jax.Array

    def __init__(self, seed: int) -> None:
        start = np.random.default_rng(seed).uniform(-1, 1, size=(EQUATIONS, ENTRIES)) / 8
        self.A, self.interior = jnp.asarray(start), jnp.zeros(ENTRIES)

    def __call__(self, clues: jax.Array) -> jax.Array:
        """Boards (B, 64) of clues (B, 64); NaN where there is none."""
        equations = {"A": self.A, "b": self.A @ jax.nn.sigmoid(self.interior)}
        box = {"lb": jnp.zeros(ENTRIES), "ub": jnp.ones(ENTRIES)}
        return solve_lp(-clues, **equations, **box, rule=RULE, on_failure="nan")


def error(model: RuleLearner, clues: jax.Array, boards: jax.Array) -> jax.Array:
    """Mean-squared error of the boards that were found."""
    found = model(clues)
    solved = jnp.isfinite(found).all(axis=1, keepdims=True)
    gaps = jnp.where(solved, jnp.where(solved, found, 0.0) - boards, 0.0)
    return (gaps**2).sum() / (solved.sum() * ENTRIES)


@eqx.filter_jit
def train(model, memory, clues, boards):
    """One epoch over batches (steps, B, 64); the model, the optimizer's memory, the errors."""
    optimizer = optax.adam(RATE)

    def step(state, batch):
        model, memory = state
        value, slope = jax.value_and_grad(error)(model, *batch)
        updates, memory = optimizer.update(slope, memory)
        return (optax.apply_updates(model, updates), memory), value

    (model, memory), values = jax.lax.scan(step, (model, memory), (clues, boards))
    return model, memory, values


def wrong(model: RuleLearner, clues: jax.Array, boards: jax.Array) -> float:
    """Per cent of the boards with a wrong digit."""
    found = eqx.filter_jit(model)(clues).reshape(-1, 16, 4).argmax(axis=2)
    right = (found == boards.reshape(-1, 16, 4).argmax(axis=2)).all(axis=1)
    return 100 * float(1 - right.mean())


def grids() -> np.ndarray:
    """All 288 completed boards (288, 16) with digits 0 to 3, row by row."""
    found: list[list[int]] = [[]]
    for cell in range(16):
        row, column = divmod(cell, 4)
        block = [4 * (row // 2 * 2 + i) + column // 2 * 2 + j for i in (0, 1) for j in (0, 1)]
        seen = [*range(4 * row, cell), *range(column, cell, 4), *(k for k in block if k < cell)]
        found = [[*b, d] for b in found for d in range(4) if d not in {b[k] for k in seen}]
    return np.array(found)


def puzzles(count: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Clues and boards (count, 64), one-hot; each puzzle has one completion."""
    every = np.eye(4)[grids()].reshape(-1, ENTRIES)
    clues, boards = np.zeros((0, ENTRIES)), np.zeros((0, ENTRIES))
    while len(clues) < count:
        board = every[draw.integers(len(every), size=4 * count)]
        rank = draw.random((len(board), 16)).argsort(axis=1).argsort(axis=1)
        kept = rank < draw.integers(4, 9, size=(len(board), 1))
        puzzle = board * kept.repeat(4, axis=1)
        unique = (puzzle @ every.T == kept.sum(axis=1, keepdims=True)).sum(axis=1) == 1
        clues, boards = np.vstack([clues, puzzle[unique]]), np.vstack([boards, board[unique]])
    return clues[:count], boards[:count]


def batches(count: int, epochs: int, seed: int) -> np.ndarray:
    """Places of the puzzles of each step, (epochs, steps, BATCH)."""
    draw = np.random.default_rng(seed)
    return np.stack([draw.permutation(count).reshape(-1, BATCH) for _ in range(epochs)])


def main(out: Path, *, small: bool = False, seed: int = 0) -> dict[str, float]:
    """Train, judge on puzzles that were not seen, and draw."""
    jax.config.update("jax_enable_x64", True)
    count, epochs, tests = (2 * BATCH, 3, 50) if small else (6000, 3, 500)
    clues, boards = puzzles(count + tests, np.random.default_rng(seed))
    unseen = clues[count:], boards[count:]
    model = RuleLearner(seed)
    memory = optax.adam(RATE).init(model)
    errors, judged = [], [wrong(model, *unseen)]
    for places in batches(count, epochs, seed):
        model, memory, values = train(model, memory, clues[places], boards[places])
        errors.extend(map(float, values))
        judged.append(wrong(model, *unseen))
        print(f"error {values[-1]:.5f}   wrong boards {judged[-1]:.1f} %")
    show(out, np.array(errors), np.array(judged))
    return {"first": errors[0], "last": errors[-1], "wrong": judged[-1]}


def show(out: Path, errors: np.ndarray, judged: np.ndarray) -> None:
    """Errors in training, and wrong boards after each epoch."""
    figure, left = plt.subplots(figsize=(6, 3), layout="constrained")
    left.semilogy(np.arange(1, len(errors) + 1), errors, color=BLUE)
    left.set(xlabel="step", ylabel="squared error in training")
    left.yaxis.label.set_color(BLUE)
    right = left.twinx()
    right.plot(np.linspace(0, len(errors), len(judged)), judged, "o--", color=ORANGE)
    right.set(ylabel="unseen boards wrong, %", ylim=(0, 105))
    right.yaxis.label.set_color(ORANGE)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "sudoku_jax.png", dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--small", action="store_true", help="seconds, not minutes")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    main(options.out, small=options.small, seed=options.seed)
