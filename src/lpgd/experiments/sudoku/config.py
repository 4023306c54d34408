"""Everything that decides the numbers of a Sudoku run."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from numbers import Integral, Real
from typing import Any, Literal

from lpgd import LPGD, Exact
from lpgd.experiments.runs import ExperimentError

PUZZLES_COPY = "puzzles.txt"  # where a run directory keeps the user's own puzzles

_LEAST = {"box": 2, "epochs": 1, "batch": 1, "evaluations": 1, "seed": 0, "data_seed": 0}
_LEAST_IF_GIVEN = {"train_size": 1, "test_size": 1, "threads": 1}


@dataclass(frozen=True)
class SudokuConfig:
    """Settings of one run; the defaults are the ones the paper reports for LPGD.

    ``tau`` scales with the loss gradient: the mean-squared error over a batch of 150 boards has
    already divided it by 150 * 64, hence the large value. ``puzzles`` is `PUZZLES_COPY`, or None
    for generated puzzles. Sizes of None mean the default of the source.
    """

    box: int = 2
    epochs: int = 3
    batch: int = 150
    lr: float = 0.1
    seed: int = 0
    data_seed: int = 0
    train_size: int | None = None
    test_size: int | None = None
    puzzles: str | None = None
    rule: Literal["lpgd", "exact"] = "lpgd"
    tau: float = 1e4
    rho: float = 0.1
    side: Literal["lower", "upper", "average"] = "average"
    engine: str = "auto"
    threads: int | None = None
    evaluations: int = 1  # per epoch, evenly spaced, the last one at its end
    tuning: bool = False  # judge by held-out training puzzles instead of the test puzzles

    def __post_init__(self) -> None:
        if not (isinstance(self.lr, Real) and 0 < self.lr < math.inf):
            raise ExperimentError(
                f"the learning rate must be a positive finite number, got {self.lr!r}"
            )
        given = {
            name: least for name, least in _LEAST_IF_GIVEN.items() if vars(self)[name] is not None
        }
        for name, least in (_LEAST | given).items():
            value = vars(self)[name]
            if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
                raise ExperimentError(f"{name} must be a whole number >= {least}, got {value!r}")
        if self.rule not in ("lpgd", "exact"):
            raise ExperimentError(f"rule must be lpgd or exact, got {self.rule!r}")
        if self.puzzles not in (None, PUZZLES_COPY) or not isinstance(self.engine, str):
            raise ExperimentError(f"puzzles {self.puzzles!r} or engine {self.engine!r} unknown")
        try:
            self.make_rule()
        except ValueError as error:
            raise ExperimentError(str(error)) from None

    def make_rule(self) -> LPGD | Exact:
        """Return the gradient rule."""
        if self.rule == "exact":
            return Exact(rho=self.rho)
        return LPGD(tau=self.tau, rho=self.rho, side=self.side)

    def to_json(self) -> dict[str, Any]:
        """Return a value that JSON can hold; ``SudokuConfig(**value)`` reads it back."""
        return asdict(self)
