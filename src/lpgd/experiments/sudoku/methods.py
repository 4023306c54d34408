"""The gradient rules that are compared, and the settings each may choose from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from lpgd.experiments.sudoku.config import SudokuConfig

LEARNING_RATES = (0.02, 0.05, 0.1, 0.3)
TAUS = (1e2, 1e3, 1e4)


@dataclass(frozen=True)
class Method:
    """A rule with what is fixed about it; ``taus`` lists what is tuned besides the step size."""

    name: str
    label: str
    rule: Literal["lpgd", "exact"]
    rho: float
    taus: tuple[float, ...]
    side: Literal["lower", "upper", "average"] = "average"

    def candidates(self, base: SudokuConfig) -> list[SudokuConfig]:
        """Return every setting to be tried."""
        return [
            replace(base, rule=self.rule, rho=self.rho, side=self.side, tau=tau, lr=lr)
            for tau in self.taus
            for lr in LEARNING_RATES
        ]


# Exact has no tau; the number given keeps its configuration well formed and is not used.
METHODS = (
    Method("average", "LPGD average", "lpgd", 0.1, TAUS, "average"),
    Method("lower", "LPGD lower", "lpgd", 0.1, TAUS, "lower"),
    Method("upper", "LPGD upper", "lpgd", 0.1, TAUS, "upper"),
    Method("small-tau", "LPGD, small τ", "lpgd", 1e-3, (1e-4,)),
    Method("exact-rho-1e-3", "Exact, ρ = 0.001", "exact", 1e-3, (1e4,)),
    Method("exact-rho-1e-1", "Exact, ρ = 0.1", "exact", 1e-1, (1e4,)),
)


def setting_name(config: SudokuConfig) -> str:
    """Name the tuned part of a configuration, for files and messages."""
    tau = "" if config.rule == "exact" else f"tau-{config.tau:g}_"
    return f"{tau}lr-{config.lr:g}"
