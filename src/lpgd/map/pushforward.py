"""Forward mode: how a solution changes along a change of its data, by a central difference.

    z' = [z*(w + h w') - z*(w - h w')] / 2h

(math page, section 5h). The step h is scale-free: it changes each argument by at most
sqrt(accuracy) of its typical size, accuracy being the relative error of its solution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lpgd.core.errors import EngineError
from lpgd.core.params import Param, Params, batched, flat
from lpgd.core.solution import FloatArray, IntArray, Status, StatusArray
from lpgd.map.attempt import Batch
from lpgd.map.forward import Forward
from lpgd.map.report import Failures
from lpgd.map.solve import Settle, Solver

Gather = Callable[[Forward], Sequence[FloatArray]]
Tangents = Mapping[str, FloatArray]
WHOLE = 1.0  # a resolution at which a P that its tangent makes asymmetric counts as symmetric


@dataclass(frozen=True)
class Pushed:
    """Tangents of the outputs of N rows.

    Attributes
    ----------
    slopes : list of (N, k) float64
        One array an output; NaN in rows that failed.
    solves : int
    why : Failures
        Elements of which an end was not solved.
    """

    slopes: list[FloatArray]
    solves: int
    why: Failures


@dataclass(frozen=True)
class Probe:
    """How both ends of a difference are solved and read.

    Attributes
    ----------
    gather : callable
        Takes a Forward to its outputs.
    settle : callable
        Takes an answer into account and returns its solution.
    """

    gather: Gather
    settle: Settle

    def solve(self, forward: Forward, params: Params, rows: IntArray) -> _Solved:
        """Solve perturbed data, each row starting from the solution of its element."""
        data, unfit = forward.problem.check(params, WHOLE)
        solver = Solver(forward.program, forward.engine, forward.threads, self.settle)
        found = solver.solve(Batch(data, forward.solution.take(rows), len(rows)), unfit)
        there = replace(forward, params=data, solution=found.solution, workspace=None)
        notes = {int(rows[row]): why for row, why in found.notes.items()}
        return _Solved(self.gather(there), found.solution.status, notes, found.cause)


@dataclass(frozen=True)
class _Solved:
    outputs: Sequence[FloatArray]
    status: StatusArray
    notes: Mapping[int, str]
    cause: Exception | None


def push(
    forward: Forward, params: Params, tangents: Tangents, rows: IntArray, probe: Probe
) -> Pushed:
    """Push tangents forward.

    Parameters
    ----------
    forward : Forward
    params : Params
        Data of N rows, as the frontend gave them.
    tangents : mapping from argument to (N, ...) float64
    rows : (N,) int
        The element of each row.
    probe : Probe
    """
    if forward.samples is not None:
        raise EngineError("a rule that smooths the solution by samples has no forward mode")
    step = _steps(forward.accuracy[rows], params, tangents)
    usable = forward.solution.solved[rows]
    live = np.flatnonzero(usable & (step > 0))
    hole = np.where(usable, 0.0, np.nan)[:, None]
    slopes = [hole + np.zeros((1, part.shape[1])) for part in probe.gather(forward)]
    twice = np.concatenate([live, live])
    signed = np.concatenate([step[live], -step[live]])
    moved = {
        name: _moved(param.take(twice), tangents[name][twice], signed)
        if name in tangents
        else param.take(twice)
        for name, param in params.items()
    }
    found = probe.solve(forward, moved, rows[twice])
    hi, lo = np.split(found.status, 2)
    status = np.where(hi != Status.OPTIMAL, hi, lo)
    failed = np.flatnonzero(status)
    for slope, part in zip(slopes, found.outputs, strict=True):
        above, below = np.split(part, 2)
        slope[live] = (above - below) / (2 * step[live, None])
        slope[live[failed]] = np.nan
    why = Failures(rows[live[failed]], status[failed], found.notes, found.cause)
    return Pushed(slopes, len(twice), why)


def _steps(accuracy: FloatArray, params: Params, tangents: Tangents) -> FloatArray:
    """The step of each row, shape (N,); zero where the tangent is."""
    least = np.full(len(next(iter(tangents.values()))), np.inf)
    for name, tangent in tangents.items():
        size, way = _typical(params[name].full()), _length(tangent)
        ratio = np.where(size > 0, size, 1.0) / np.where(way > 0, way, 1.0)
        least = np.minimum(least, np.where(way > 0, ratio, np.inf))
    return np.where(np.isfinite(least), np.sqrt(accuracy) * least, 0.0)


def _moved(param: Param, way: FloatArray, step: FloatArray) -> Param:
    return batched(param.full() + step.reshape(-1, *(1,) * (way.ndim - 1)) * way)


def _length(values: FloatArray) -> FloatArray:
    """Euclidean length of each row."""
    return np.sqrt(np.square(flat(values)).sum(axis=1))


def _typical(values: FloatArray) -> FloatArray:
    """Length of each row if all its entries had the size of the lower quartile.

    A few large entries, say 1e9 for no bound, shall not make the step too long for the others.
    Those that are zero or infinite do not count; a row of them has length 0.
    """
    sizes = np.abs(flat(values))
    if not sizes.shape[1]:
        return np.zeros(len(sizes))
    counts = np.isfinite(sizes) & (sizes > 0)
    ranked = np.sort(np.where(counts, sizes, np.inf), axis=1)
    number = counts.sum(axis=1)
    least = np.maximum(number - 1, 0) // 4
    first = np.where(number > 0, ranked[np.arange(len(sizes)), least], 0.0)
    return first * np.sqrt(sizes.shape[1])
