"""Solves that may break: whatever one element does to a solver costs that element only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from lpgd.core.answers import Part, joined, ordered
from lpgd.core.engine import Answer, Engine, Workspace
from lpgd.core.errors import LpgdError, MissingExtraError, crash
from lpgd.core.params import Params, taken
from lpgd.core.problem import Problem
from lpgd.core.solution import IntArray, Solution, Status
from lpgd.core.tilt import Tilt


@dataclass(frozen=True)
class Batch:
    """Elements to solve."""

    params: Params
    start: Solution | None
    size: int

    def __len__(self) -> int:
        return self.size

    def take(self, rows: IntArray) -> Batch:
        """Some of the elements."""
        params = taken(self.params, rows)
        return Batch(params, None if self.start is None else self.start.take(rows), len(rows))


Work = TypeVar("Work", Batch, Tilt)


def attempt(
    engine: Engine, problem: Problem, work: Work, solve: Callable[[Work], Answer]
) -> Answer:
    """The answer of a solve. One that raises is run again by halves until the culprit is alone.

    Raises
    ------
    MissingExtraError
        The solver is not installed.
    """
    try:
        return solve(work)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"engine {engine.name!r} needs a package that is not installed ({error.name}): "
            f"{engine.capabilities.install}"
        ) from error
    except LpgdError:
        raise
    except Exception as error:  # whatever a solver raises costs its element, and is chained later
        if len(work) > 1:
            halves = np.array_split(np.arange(len(work)), 2)
            return together(
                [(rows, attempt(engine, problem, work.take(rows), solve)) for rows in halves]
            )
        crashed = Solution.blank(len(work), problem.n, problem.m)
        crashed.status[:] = Status.CRASHED
        return Answer(crashed, cause=error, notes={0: crash(error)})


def together(parts: list[Part]) -> Answer:
    """One answer from those of parts of a batch, which follow each other."""
    size = sum(len(rows) for rows, _ in parts)
    kept = [(rows, answer.workspace) for rows, answer in parts]
    found = joined(parts)
    if any(workspace is not None for _, workspace in kept):
        return replace(found, workspace=Parts.of(kept, size))
    return found


@dataclass(frozen=True)
class Parts:
    """The workspaces of parts of a batch as one; elements of no part have none."""

    workspaces: tuple[Workspace | None, ...]
    part: IntArray  # (B,) of each element, -1 for none
    place: IntArray  # (B,) where it stands there

    @classmethod
    def of(cls, parts: list[tuple[IntArray, Workspace | None]], size: int) -> Parts:
        """Put parts together; each comes with its elements of a batch of this size."""
        part, place = np.full(size, -1), np.zeros(size, dtype=np.intp)
        for number, (rows, _) in enumerate(parts):
            part[rows], place[rows] = number, np.arange(len(rows))
        return cls(tuple(workspace for _, workspace in parts), part, place)

    def resolve(self, tilt: Tilt) -> Answer:
        owner = self.part[tilt.rows]
        answers: list[Part] = []
        for number in np.unique(owner):
            workspace = self.workspaces[int(number)]
            assert workspace is not None  # elements without a solution are not tilted
            chosen: IntArray = np.flatnonzero(owner == number)
            mine = tilt.take(chosen)
            found = workspace.resolve(replace(mine, rows=self.place[mine.rows]))
            answers.append((chosen, found))
        if len(answers) == 1:
            return answers[0][1]
        order = np.argsort(np.concatenate([rows for rows, _ in answers]))
        return ordered(together(answers), order)
