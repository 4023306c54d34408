"""Forward mode: how a solution changes along a change of its data.

The optimality conditions are linearised once for both modes, and their matrix is symmetric: what
changes them at a fixed point is the right-hand side of the adjoint (math page, section 11). Where
the derivative is not unique, or not known, a central difference stands for it,

    z' = [z*(w + h w') - z*(w - h w')] / 2h

(section 5h). The step h is scale-free: it changes each argument by at most sqrt(accuracy) of its
typical size, accuracy being the relative error of its solution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lpgd.core.abilities import differentiable
from lpgd.core.errors import EngineError
from lpgd.core.params import Param, Params, batched, flat, taken
from lpgd.core.problem import Ability
from lpgd.core.rule import ROUGH
from lpgd.core.solution import BoolArray, FloatArray, IntArray, Status, StatusArray
from lpgd.core.tilt import Cotangent
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

    def solve(self, forward: Forward, params: Params, rows: IntArray) -> _Ends:
        """Solve perturbed data, each row starting from the solution of its element."""
        data, unfit = forward.problem.check(params, WHOLE)
        solver = Solver(forward.program, forward.engine, forward.threads, self.settle)
        found = solver.solve(Batch(data, forward.solution.take(rows), len(rows)), unfit)
        there = replace(forward, params=data, solution=found.solution, workspace=None)
        notes = {int(rows[row]): why for row, why in found.notes.items()}
        return _Ends(self.gather(there), found.solution.status, notes, found.cause)


@dataclass(frozen=True)
class _Ends:
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

    Raises
    ------
    EngineError
        The rule smooths the solution by samples.
    """
    if forward.samples is not None:
        raise EngineError(
            "a rule that smooths the solution by samples has no forward mode, whatever its own "
            "derivative: take reverse mode, in JAX grad, vjp or jacrev, or lpgd.LPGD as the rule"
        )
    step = _steps(forward.accuracy[rows], params, tangents)
    usable = forward.solution.solved[rows]
    live = np.flatnonzero(usable & (step > 0))
    hole = np.where(usable, 0.0, np.nan)[:, None]
    slopes = [hole + np.zeros((1, part.shape[1])) for part in probe.gather(forward)]
    if not len(live):
        return Pushed(slopes, 0, Failures(rows[:0], np.zeros(0, np.int8), {}))
    twice = np.concatenate([live, live])
    signed = np.concatenate([step[live], -step[live]])
    moved = {
        name: _moved(param.take(twice), tangents[name][twice], signed)
        if name in tangents
        else param.take(twice)
        for name, param in params.items()
    }
    derived, ends = _derived(forward, moved, rows[live], step[live], probe)
    for slope, (above, below) in zip(slopes, ends, strict=False):
        slope[live[derived]] = ((above - below) / (2 * step[live, None]))[derived]
    rest = np.flatnonzero(~derived)
    if not len(rest):
        return Pushed(slopes, 0, Failures(rows[:0], np.zeros(0, np.int8), {}))
    both = np.concatenate([rest, len(live) + rest])
    data = taken(moved, both)
    return _solved(forward, data, (rows, live[rest], step), slopes, probe)


def _derived(
    forward: Forward, moved: Params, rows: IntArray, step: FloatArray, probe: Probe
) -> tuple[BoolArray, list[tuple[FloatArray, FloatArray]]]:
    """Which rows have a derivative that is known, and the outputs at both ends of a step."""
    size = len(rows)
    if Ability.ADJOINT not in forward.program.abilities:
        none = np.zeros(size, dtype=np.bool_)
        return none, []
    data, unfit = forward.problem.check(moved, WHOLE)
    places = np.arange(2 * size)
    hi, lo = (taken(data, part) for part in np.split(places, 2))
    family, point = differentiable(forward.program, "forward mode"), forward.solution.take(rows)
    with np.errstate(all="ignore"):
        dx, dy = (part / (2 * step[:, None]) for part in family.drift(hi, lo, point))
        found = forward.linear.adjoint(Cotangent(rows, dx, dy), 0.0)
        way = replace(point, x=step[:, None] * found.a, y=step[:, None] * found.v)
    sure = ~(found.degenerate | found.unsure) & (forward.accuracy[rows] <= ROUGH)
    sure &= np.isfinite(way.x).all(axis=1) & np.isfinite(way.y).all(axis=1)
    sure[np.array(list(unfit), dtype=np.intp) % max(size, 1)] = False
    ends = [
        probe.gather(replace(
            forward, params=at, workspace=None,
            solution=replace(point, x=point.x + sign * way.x, y=point.y + sign * way.y),
        ))
        for at, sign in ((hi, 1.0), (lo, -1.0))
    ]  # fmt: skip
    return sure, list(zip(*ends, strict=True))


def _solved(
    forward: Forward,
    moved: Params,
    where: tuple[IntArray, IntArray, FloatArray],
    slopes: list[FloatArray],
    probe: Probe,
) -> Pushed:
    """Fill in differences of solved ends; ``moved`` holds both ends of the live rows."""
    rows, live, step = where
    found = probe.solve(forward, moved, rows[np.concatenate([live, live])])
    hi, lo = np.split(found.status, 2)
    status = np.where(hi != Status.OPTIMAL, hi, lo)
    failed = np.flatnonzero(status)
    for slope, part in zip(slopes, found.outputs, strict=True):
        above, below = np.split(part, 2)
        slope[live] = (above - below) / (2 * step[live, None])
        slope[live[failed]] = np.nan
    why = Failures(rows[live[failed]], status[failed], found.notes, found.cause)
    return Pushed(slopes, 2 * len(live), why)


def _steps(accuracy: FloatArray, params: Params, tangents: Tangents) -> FloatArray:
    """The step of each row, shape (N,); zero where the tangent is."""
    least = np.full(len(accuracy), np.inf)
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
