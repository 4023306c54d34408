"""A linear program that learns its own constraints."""

import warnings

import torch
from torch import Tensor, nn

from lpgd import SolverWarning
from lpgd.experiments.sudoku.config import SudokuConfig
from lpgd.experiments.sudoku.solver import rules_rank
from lpgd.torch import EnvelopeLoss, LPLayer


class RuleLearner(nn.Module):
    """Complete a board: minimise -<clues, x> subject to A x = b, 0 <= x <= 1.

    A (m, n) and b (m,) are learned; nothing about Sudoku is built in but the number of equations,
    the rank of the true rules (m = 40, n = 64 for 4x4). b = A sigmoid(interior) keeps the program
    feasible whatever A becomes, since sigmoid(interior) always satisfies the constraints.

    float64 throughout: b must lie in the range of A to the accuracy of the solver.
    """

    lower: Tensor
    upper: Tensor

    def __init__(self, config: SudokuConfig) -> None:
        super().__init__()
        n, m = config.box**6, rules_rank(config.box)
        generator = torch.Generator().manual_seed(config.seed)
        start = torch.rand(m, n, generator=generator, dtype=torch.float64)
        self.A = nn.Parameter((2 * start - 1) / 8)
        self.interior = nn.Parameter(torch.zeros(n, dtype=torch.float64))
        self.register_buffer("lower", torch.zeros(n, dtype=torch.float64), persistent=False)
        self.register_buffer("upper", torch.ones(n, dtype=torch.float64), persistent=False)
        # One element that cannot be solved should cost one board, not the run.
        self.layer = LPLayer(
            config.make_rule(), engine=config.engine, on_failure="nan", threads=config.threads
        )
        self._whole: EnvelopeLoss | None = None
        if config.loss == "full":
            tau, rho = float(config.tau), config.rho
            self._whole = EnvelopeLoss(self.layer, "quadratic", tau, rho=rho, reduction="sum")

    def forward(self, clues: Tensor) -> Tensor:
        """Map one-hot clues (B, n) to boards (B, n) in [0, 1]; NaN where the solver failed."""
        return self.layer(-clues, **self._program())

    def loss(self, clues: Tensor, labels: Tensor) -> Tensor:
        """Return the mean-squared error of boards (B, n), or its lower envelope if that is full."""
        if self._whole is None:
            return squared_error(self(clues), labels)
        weight = torch.tensor(2 / labels.numel(), dtype=labels.dtype)  # of a mean
        return self._whole(-clues, **self._program(), target=labels, weight=weight)

    def _program(self) -> dict[str, Tensor]:
        b = self.A @ torch.sigmoid(self.interior)
        return {"A": self.A, "b": b, "lb": self.lower, "ub": self.upper}


def check_engine(config: SudokuConfig) -> None:
    """Raise `EngineError` if the engine is unknown or cannot do what the rule asks of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SolverWarning)  # training counts failures
        zeros = torch.zeros(1, config.box**6, dtype=torch.float64)
        RuleLearner(config).loss(zeros, zeros)


def squared_error(boards: Tensor, labels: Tensor) -> Tensor:
    """Return the mean-squared error over all entries of the boards that were solved."""
    solved = boards.isfinite().all(dim=1)
    return (boards[solved] - labels[solved]).square().mean()


def decode(boards: Tensor, box: int) -> Tensor:
    """Return the likeliest digit 1..N of every cell: (B, n) to (B, N*N)."""
    return boards.reshape(len(boards), box**4, box**2).argmax(dim=2) + 1


def wrong_boards(boards: Tensor, labels: Tensor, box: int) -> int:
    """Count the boards that differ from the solution in any cell, or were not solved."""
    right = (decode(boards, box) == decode(labels, box)).all(dim=1)
    return int((~(right & boards.isfinite().all(dim=1))).sum())
