"""`lpgd compare sudoku`: every gradient rule with the settings that suit it best.

Tuning sees training puzzles only, a tenth of them held out for judging. All candidates of a method
race, an epoch at a time, to at most 1 % wrong boards: the race ends with the epoch in which one of
them meets the goal, since the others can no longer meet it earlier, and that one is chosen. If
none does within ``tuning_epochs``, the least squared error decides. So no candidate is dropped on
an early impression, and slow methods get more epochs of tuning than quick ones.

The final runs train on all training puzzles from other random starts and are judged by the test
puzzles six times per epoch. They stop after ``max_epochs``, or when every judgement for a whole
epoch has met the goal. Seconds count training steps, without judging and writing.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

from lpgd.experiments import comparison
from lpgd.experiments.contest import Comparable
from lpgd.experiments.sudoku.config import SudokuConfig
from lpgd.experiments.sudoku.task import SUDOKU

_EVALUATIONS = 6  # per epoch


@dataclass(frozen=True, kw_only=True)
class Study(comparison.Study):
    """What decides the numbers of a comparison, besides the methods."""

    experiment: ClassVar[Comparable] = SUDOKU
    hold: ClassVar[int] = _EVALUATIONS

    box: int = 2
    train_size: int | None = None
    test_size: int | None = None
    engine: str = "auto"
    threads: int | None = None

    @property
    def stages(self) -> range:
        """Tuning runs grow by an epoch at a time."""
        return range(1, self.tuning_epochs + 1)

    def config(self, seed: int, *, tuning: bool) -> SudokuConfig:
        return replace(super().config(seed, tuning=tuning), evaluations=_EVALUATIONS)
