"""Everything that decides the numbers of a Sudoku run."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from lpgd.experiments.runs import ExperimentError
from lpgd.experiments.settings import COUNT, Range, Settings

PUZZLES_COPY = "puzzles.txt"  # where a run directory keeps the user's own puzzles


@dataclass(frozen=True, kw_only=True)
class SudokuConfig(Settings):
    """Settings of one run; the defaults are the ones the paper reports for LPGD.

    The mean-squared error over a batch of 150 boards has already divided the loss gradient by
    150 * 64, hence the large tau. ``puzzles`` is `PUZZLES_COPY`, or None for generated puzzles.
    Sizes of None mean the default of the source. Tuning judges by held-out training puzzles instead
    of the test puzzles.
    """

    ranges: ClassVar[dict[str, Range]] = {"box": (2, 5)}  # digits and letters make 35 symbols
    ranges_if_given: ClassVar[dict[str, Range]] = Settings.ranges_if_given | dict.fromkeys(
        ("train_size", "test_size"), COUNT
    )

    epochs: int = 3
    batch: int = 150
    lr: float = 0.1
    tau: float | Literal["auto"] = 1e4
    rho: float = 0.1
    box: int = 2
    train_size: int | None = None
    test_size: int | None = None
    puzzles: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.puzzles not in (None, PUZZLES_COPY):
            raise ExperimentError(f"puzzles must be None or {PUZZLES_COPY}, got {self.puzzles!r}")
