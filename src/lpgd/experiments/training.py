"""Training: a loop that can be killed at any moment and continued to the same numbers."""

import math
import time
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from lpgd.experiments.checkpoints import Checkpoint, restore_training, training_tensors
from lpgd.experiments.metrics import MetricsLog, Row
from lpgd.experiments.runs import ExperimentError, RunDirectory, reading
from lpgd.experiments.settings import Settings

# "seconds" accumulates the training steps only: evaluation and writing files are left out.
STEP_COLUMNS = (
    "step",
    "epoch",
    "loss",
    "seconds_forward",
    "seconds_backward",
    "seconds",
    "failures",
    "degenerate",  # share of elements without a unique derivative, where the rule knows
)
_STEPS_PER_CHECKPOINT = 10


class Task(Protocol):
    """A model with its data: what is trained, and how it is judged.

    ``size`` examples make an epoch. ``judged`` names what `judge` measures, after the columns of
    the step; none of it may be missing after a judgement.
    """

    @property
    def judged(self) -> tuple[str, ...]: ...

    @property
    def model(self) -> torch.nn.Module: ...

    @property
    def optimizer(self) -> torch.optim.Optimizer: ...

    @property
    def stats(self) -> Any:
        """Counters of the layer that is trained."""
        ...

    @property
    def size(self) -> int: ...

    def loss(self, examples: NDArray[np.int_]) -> torch.Tensor:
        """Return the loss of a batch, given the numbers of its examples."""
        ...

    def judge(self) -> Row:
        """Measure the present model on data that it is not trained on."""
        ...


class Trainer:
    """One run: task, position, and the files that record it.

    The state after step k is a function of the configuration and k. Batches come from a generator
    seeded by (seed, epoch), so nothing but tensors, k and the clock has to be saved; metrics
    written after the last checkpoint are dropped on resuming and written again.
    """

    def __init__(self, config: Settings, task: Task, run: RunDirectory) -> None:
        self.config = config
        self.task: Any = task
        self.step = 0
        self.rows: list[Row] = []
        self._run = run
        self._columns = (*STEP_COLUMNS, *task.judged)
        self._metrics = MetricsLog(run.metrics, self._columns)
        self._seconds = 0.0
        self._restore()

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches that cover the training examples once."""
        return math.ceil(self.task.size / self.config.batch)

    @property
    def total_steps(self) -> int:
        """Number of steps that the configuration asks for."""
        return self.config.epochs * self.steps_per_epoch

    def advance(self) -> Row:
        """Train one step, judge the model where that is due, and record both."""
        row = dict.fromkeys(self._columns) | self._train_step()
        if self._is_due(self.step):
            row |= self.task.judge()
        self.rows.append(row)
        self._metrics.append(row)
        if self.step % _STEPS_PER_CHECKPOINT == 0 or self.step == self.total_steps:
            self.save()
        return row

    def save(self) -> None:
        """Write a checkpoint; the metrics reach the disk before it."""
        self._metrics.sync()
        tensors = training_tensors(self.task.model, self.task.optimizer)
        state = {"step": self.step, "seconds": self._seconds}
        Checkpoint(tensors, state).save(self._run.checkpoint)

    def is_judged(self, row: Row) -> bool:
        """Tell whether the model was judged after this step."""
        return row[self.task.judged[0]] is not None

    def judgements(self) -> list[Row]:
        """Return the rows of steps after which the model was judged."""
        return [row for row in self.rows if self.is_judged(row)]

    def total(self, column: str) -> float:
        """Return the sum of a column."""
        return sum(row[column] or 0.0 for row in self.rows)

    def _restore(self) -> None:
        """Return to the last checkpoint; nothing is written before all files are found sound."""
        path = self._run.checkpoint
        found = path.exists()
        if found:
            with reading(path):
                checkpoint = Checkpoint.load(path)
                restore_training(checkpoint.tensors, self.task.model, self.task.optimizer)
                self.step, self._seconds = _position(checkpoint.state)
        rows = self._metrics.read()
        if not found and len(rows) > _STEPS_PER_CHECKPOINT:
            raise ExperimentError(f"{path} is missing, though the run made {len(rows)} steps")
        with reading(self._run.metrics):
            self._check(rows[: self.step])
        self.rows = self._metrics.keep_until(self.step)

    def _check(self, rows: list[Row]) -> None:
        if len(rows) < self.step:
            raise ValueError(f"{len(rows)} steps, but the checkpoint was written at {self.step}")
        always = set(STEP_COLUMNS) - {"degenerate"}
        for step, row in enumerate(rows, start=1):
            expected = always | (set(self.task.judged) if self._is_due(step) else set())
            missing = sorted(name for name in expected if row[name] is None)
            if missing:
                raise ValueError(f"step {step} lacks {', '.join(missing)}")

    def _train_step(self) -> Row:
        stats, optimizer = self.task.stats, self.task.optimizer
        before = (stats.seconds_forward, stats.seconds_backward, stats.failures)
        examples = self._batch()
        start = time.perf_counter()
        loss = self.task.loss(examples)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
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

    def _batch(self) -> NDArray[np.int_]:
        """Choose the examples of the next step, and the step size of its epoch."""
        epoch, position = divmod(self.step, self.steps_per_epoch)
        for group in self.task.optimizer.param_groups:
            group["lr"] = self.config.learning_rate(epoch) * group.get("scale", 1.0)
        order = np.random.default_rng([self.config.seed, epoch]).permutation(self.task.size)
        return order[position * self.config.batch : (position + 1) * self.config.batch]

    def _is_due(self, step: int) -> bool:
        """Tell whether a step completes one of the epoch's equal parts."""
        parts, steps = self.config.evaluations, self.steps_per_epoch
        return step * parts // steps > (step - 1) * parts // steps


def _position(state: dict[str, Any]) -> tuple[int, float]:
    step, seconds = state["step"], float(state["seconds"])
    if type(step) is not int or step < 0:
        raise ValueError(f"step {step!r} is no number of steps")
    return step, seconds
