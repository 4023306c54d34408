"""What is trained on Sudoku, how it is judged, and what a run reports."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lpgd.experiments.contest import Comparable, Measures, Outcome
from lpgd.experiments.metrics import Row
from lpgd.experiments.running import start
from lpgd.experiments.runs import RunDirectory
from lpgd.experiments.sudoku.config import SudokuConfig
from lpgd.experiments.sudoku.data import Boards, Split, from_file, generate
from lpgd.experiments.sudoku.model import RuleLearner, check_engine, squared_error, wrong_boards
from lpgd.experiments.training import STEP_COLUMNS, Trainer

GOAL = 1.0  # per cent of wrong boards
JUDGED = ("test_mse", "test_wrong")
COLUMNS = (*STEP_COLUMNS, *JUDGED)


class SudokuTask:
    """A model that learns the rules from training puzzles and is judged by test puzzles."""

    judged = JUDGED

    def __init__(self, config: SudokuConfig, split: Split) -> None:
        self.split = split
        self.model = RuleLearner(config)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.lr)
        self._box = config.box
        self._train = _tensors(split.train)
        self._test = _tensors(split.test)

    @property
    def stats(self) -> Any:
        """Counters of the layer."""
        return self.model.layer.stats

    @property
    def size(self) -> int:
        """Number of training puzzles."""
        return len(self.split.train)

    def loss(self, examples: NDArray[np.int_]) -> torch.Tensor:
        """Return the mean-squared error of a batch of puzzles, or its envelope."""
        clues, labels = self._train
        return self.model.loss(clues[examples], labels[examples])

    def judge(self) -> Row:
        """Solve the test puzzles."""
        clues, labels = self._test
        with torch.no_grad():
            boards = self.model(clues)
        return {
            "test_mse": squared_error(boards, labels).item(),
            "test_wrong": wrong_boards(boards, labels, self._box),
        }


class SudokuExperiment(Comparable):
    """Learning the rules of Sudoku, for the commands."""

    config = SudokuConfig

    def task(self, config: SudokuConfig, folder: Path | None = None) -> SudokuTask:
        """Generate the puzzles, or read those that the run directory keeps."""
        kept = None if config.puzzles is None or folder is None else folder / config.puzzles
        return SudokuTask(config, load_split(config, kept))

    def check(self, config: SudokuConfig) -> None:
        check_engine(config)

    def headline(self, task: SudokuTask) -> str:
        size, split = task.split.train.box**2, task.split
        return (
            f"{size}x{size} Sudoku, {len(split.train)} puzzles to train, {len(split.test)} to test"
        )

    def describe(self, row: Row) -> str:
        return f"test MSE {row['test_mse']:.5f}  wrong {row['test_wrong']:.0f}"

    def result(self, trainer: Trainer) -> dict[str, Any]:
        """Return the last judgement."""
        last = trainer.judgements()[-1]
        return {
            "test_mse": last["test_mse"],
            "wrong_boards": int(last["test_wrong"] or 0),
            "test_boards": len(trainer.task.split.test),
        }

    def draw(self, trainer: Trainer, run: RunDirectory) -> None:
        from lpgd.experiments.sudoku.figures import draw_figures

        draw_figures(trainer, run)

    def measures(self, task: SudokuTask, row: Row) -> Measures:
        """Return the wrong boards in per cent, and the squared error."""
        wrong = 100 * (row["test_wrong"] or 0.0) / len(task.split.test)
        return {"wrong": wrong, "mse": row["test_mse"]}

    def reached(self, measures: Measures) -> bool:
        """Tell whether few enough boards are wrong."""
        wrong = measures["wrong"]
        return wrong is not None and wrong <= GOAL

    def score(self, outcome: Outcome) -> tuple[float, ...]:
        """Order runs: fewest epochs to the goal, then the least error at the end."""
        reached, mse = outcome.when("epoch", "wrong", GOAL), outcome.curves["mse"][-1]
        return (math.inf if reached is None else reached, math.inf if mse is None else mse)

    def verdict(self, outcome: Outcome) -> str:
        reached = outcome.when("epoch", "wrong", GOAL)
        goal = "goal not met" if reached is None else f"goal met after {reached:.2f} epochs"
        return f"{outcome.curves['wrong'][-1]:.1f} % wrong boards, {goal};"


SUDOKU = SudokuExperiment()


def load_split(config: SudokuConfig, puzzles: Path | None) -> Split:
    """Generate the puzzles, or read the user's own."""
    if puzzles is not None:
        sizes = (config.train_size, config.test_size)
        split = from_file(puzzles, config.box, sizes, config.data_seed)
    else:
        split = generate(config.box, config.train_size, config.test_size, config.data_seed)
    return split.for_tuning() if config.tuning else split


def start_run(config: SudokuConfig, root: Path, puzzles: Path | None = None) -> RunDirectory:
    """Make a run directory that holds all it takes to (re)start the run."""
    if puzzles is None or config.puzzles is None:
        return start(config, root)
    return start(config, root, {config.puzzles: puzzles.read_bytes()})


def _tensors(boards: Boards) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(boards.inputs()), torch.from_numpy(boards.labels())
