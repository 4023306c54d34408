"""Training: a loop that can be killed at any moment and continued to the same numbers."""

from __future__ import annotations

import math
import time

import numpy as np
import torch

from lpgd.experiments.checkpoints import Checkpoint, restore_training, training_tensors
from lpgd.experiments.metrics import MetricsLog, Row
from lpgd.experiments.runs import ExperimentError, RunDirectory, reading
from lpgd.experiments.sudoku.config import SudokuConfig
from lpgd.experiments.sudoku.data import Split
from lpgd.experiments.sudoku.model import RuleLearner, squared_error, wrong_boards

# "seconds" accumulates the training steps only: evaluation and writing files are left out.
COLUMNS = (
    "step",
    "epoch",
    "loss",
    "seconds_forward",
    "seconds_backward",
    "seconds",
    "failures",
    "degenerate",  # share of boards without a unique derivative, where the rule knows
    "test_mse",
    "test_wrong",
)
TIMES = frozenset(column for column in COLUMNS if column.startswith("seconds"))
_JUDGEMENT = ("test_mse", "test_wrong")
_ALWAYS = frozenset(COLUMNS) - {"degenerate", *_JUDGEMENT}
_STEPS_PER_CHECKPOINT = 10


class Trainer:
    """One run: model, optimizer, position, and the files that record them.

    The state after step k is a function of the configuration and k. Batches come from a generator
    seeded by (seed, epoch), so nothing but tensors, k and the clock has to be saved; metrics
    written after the last checkpoint are dropped on resuming and written again.
    """

    def __init__(self, config: SudokuConfig, split: Split, run: RunDirectory) -> None:
        self.config = config
        self.model = RuleLearner(config)
        self.step = 0
        self.rows: list[Row] = []
        self._run = run
        self._optimizer = torch.optim.Adam(self.model.parameters(), lr=config.lr)
        self._metrics = MetricsLog(run.metrics, COLUMNS)
        self._train = _tensors(split.train.inputs(), split.train.labels())
        self._test = _tensors(split.test.inputs(), split.test.labels())
        self._seconds = 0.0
        self._restore()

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches that cover the training puzzles once."""
        return math.ceil(len(self._train[0]) / self.config.batch)

    @property
    def total_steps(self) -> int:
        """Number of steps that the configuration asks for."""
        return self.config.epochs * self.steps_per_epoch

    def advance(self) -> Row:
        """Train one step, judge the model where that is due, and record both."""
        row = dict.fromkeys(COLUMNS) | self._train_step()
        if self._is_due(self.step):
            row |= self._evaluate()
        self.rows.append(row)
        self._metrics.append(row)
        if self.step % _STEPS_PER_CHECKPOINT == 0 or self.step == self.total_steps:
            self.save()
        return row

    def save(self) -> None:
        """Write a checkpoint; the metrics reach the disk before it."""
        self._metrics.sync()
        tensors = training_tensors(self.model, self._optimizer)
        state = {"step": self.step, "seconds": self._seconds}
        Checkpoint(tensors, state).save(self._run.checkpoint)

    def _restore(self) -> None:
        """Return to the last checkpoint; nothing is written before all files are found sound."""
        path = self._run.checkpoint
        found = path.exists()
        if found:
            with reading(path):
                checkpoint = Checkpoint.load(path)
                restore_training(checkpoint.tensors, self.model, self._optimizer)
                self.step = int(checkpoint.state["step"])
                self._seconds = float(checkpoint.state["seconds"])
        rows = self._metrics.read()
        if not found and len(rows) > _STEPS_PER_CHECKPOINT:
            raise ExperimentError(f"{path} is missing, though the run made {len(rows)} steps")
        with reading(self._run.metrics):
            self._check(rows[: self.step])
        self.rows = self._metrics.keep_until(self.step)

    def _check(self, rows: list[Row]) -> None:
        if len(rows) < self.step:
            raise ValueError(f"{len(rows)} steps, but the checkpoint was written at {self.step}")
        for step, row in enumerate(rows, start=1):
            expected = _ALWAYS | (set(_JUDGEMENT) if self._is_due(step) else set())
            missing = sorted(name for name in expected if row[name] is None)
            if missing:
                raise ValueError(f"step {step} lacks {', '.join(missing)}")

    def _train_step(self) -> Row:
        stats = self.model.layer.stats
        before = (stats.seconds_forward, stats.seconds_backward, stats.failures)
        clues, labels = self._batch()
        start = time.perf_counter()
        loss = squared_error(self.model(clues), labels)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        self._seconds += time.perf_counter() - start
        self.step += 1
        return {
            "step": self.step,
            "epoch": self.step / self.steps_per_epoch,
            "loss": loss.item(),
            "seconds_forward": stats.seconds_forward - before[0],
            "seconds_backward": stats.seconds_backward - before[1],
            "seconds": self._seconds,
            "failures": stats.failures - before[2],
            "degenerate": stats.degenerate,
        }

    def _batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        epoch, position = divmod(self.step, self.steps_per_epoch)
        order = np.random.default_rng([self.config.seed, epoch]).permutation(len(self._train[0]))
        rows = order[position * self.config.batch : (position + 1) * self.config.batch]
        return self._train[0][rows], self._train[1][rows]

    def _is_due(self, step: int) -> bool:
        """Tell whether a step completes one of the epoch's equal parts."""
        parts, steps = self.config.evaluations, self.steps_per_epoch
        return step * parts // steps > (step - 1) * parts // steps

    def _evaluate(self) -> Row:
        clues, labels = self._test
        with torch.no_grad():
            boards = self.model(clues)
        return {
            "test_mse": squared_error(boards, labels).item(),
            "test_wrong": wrong_boards(boards, labels, self.config.box),
        }


def is_evaluated(row: Row) -> bool:
    """Tell whether the model was judged after this step."""
    return row["test_wrong"] is not None


def _tensors(inputs: np.ndarray, labels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(inputs), torch.from_numpy(labels)
