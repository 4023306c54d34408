"""Problems with a loss among their costs: solved, valued and differentiated."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lpgd.core.engine import Answer
from lpgd.core.params import Params
from lpgd.core.problem import Problem
from lpgd.core.solution import FloatArray, IntArray, Solution, Status
from lpgd.core.tilt import Term, Tilt
from lpgd.families.quadratic.structure import Structure
from lpgd.frontend.batches import Shape
from lpgd.frontend.envelope import Envelope, Evaluated, Given
from lpgd.frontend.mapped import Derivative
from lpgd.frontend.program import Program
from lpgd.losses.added import LOSSES, Absolute, Added
from lpgd.losses.epigraph import extended, original, pulls
from lpgd.losses.upper import well_posed
from lpgd.map import report
from lpgd.map.attempt import Batch
from lpgd.map.forward import Forward, Solved
from lpgd.map.report import Failures
from lpgd.map.solve import Solver
from lpgd.map.verify import inexact

ADVICE = "another tau, rho > 0, or on_failure='nan'"


@dataclass(frozen=True)
class _End:
    """One of the two values: its t, weight and saddle points, and the loss's slopes there."""

    t: float
    weight: float
    point: Solution
    slopes: tuple[FloatArray, FloatArray]


def evaluate(program: Program, envelope: Envelope, name: str, given: Given) -> Evaluated:
    """The envelope of a loss of x by its name, for every element.

    Raises
    ------
    IllPosedError
        An upper side is a non-convex problem.
    SolverError
        An element could not be solved, and the map's ``on_failure`` is ``"raise"``.
    """
    forward, _ = program.solve(given.data, given.shape, given.resolution, keep=True)
    loss = given.loss(LOSSES[name], forward.solution.x.shape[1])
    solved = forward.solution.solved
    unfit = {row: why for row, why in loss.unfit.items() if solved[row]}
    rows = np.setdiff1d(np.flatnonzero(solved), _told(program, forward, unfit, Status.INVALID))
    own, loss = forward.solution.take(rows), loss.take(rows)
    loss.check(own.x)
    tilted = _Tilted(program, forward, loss, rows, envelope.rho)
    ends = [tilted.end(t, weight) for t, weight in envelope.ends]
    for end in ends:
        loss.check(end.point.x[end.point.solved])
    values = np.full(len(forward.solution), np.nan)
    values[rows] = tilted.values(ends)
    good = ~np.isnan(values[rows])

    def pull(
        cotangent: FloatArray, wanted: Sequence[bool], shapes: Sequence[Shape]
    ) -> list[FloatArray]:
        weight = np.where(good, cotangent.reshape(-1)[rows], 0.0)
        terms = [tilted.term(end, weight * end.weight) for end in ends]
        way = Derivative(push=False, flags=tuple(wanted[:-2]))
        found = gradients(program, forward, terms, way, shapes[:-2])
        slopes = [np.zeros((len(values), own.x.shape[1])) for _ in range(2)]
        for end in ends:
            for total, part in zip(slopes, end.slopes, strict=True):
                total[rows] += (weight * end.weight * end.t)[:, None] * part
        others = zip(slopes, shapes[-2:], wanted[-2:], strict=True)
        return found + [
            summed(slope.reshape(*given.shape, -1), to) for slope, to, needed in others if needed
        ]

    return Evaluated(values.reshape(given.shape), pull, [forward])


def _told(program: Program, forward: Forward, notes: dict[int, str], status: Status) -> IntArray:
    """Elements that failed, raised or warned of as the map says."""
    elements, own = np.array(list(notes), dtype=np.intp), program.map
    why = Failures(elements, np.full(len(elements), status, dtype=np.int8), notes)
    report.judge(why, forward, "loss", own.on_failure, own.stats)
    return elements


@dataclass(frozen=True)
class _Tilted:
    """The problems of some rows with t times a loss."""

    program: Program
    forward: Forward
    loss: Added
    rows: IntArray
    rho: float

    def tilt(self, t: float) -> Tilt:
        """The problems without a loss, or with t times that which a tilt can add."""
        x, size = self.forward.solution.x[self.rows], np.full(len(self.rows), t)
        m = self.forward.program.m
        return self.loss.tilt(self.rows, size, self.rho if t else 0.0, x, m)

    def end(self, t: float, weight: float) -> _End:
        """The saddle points with t times the loss, failures told."""
        start, target = self.forward.solution.take(self.rows), None
        if not t:
            return _End(t, weight, start, self.loss.slopes(start.x))
        own, began = self.program.map, time.perf_counter()
        if isinstance(self.loss, Absolute):
            found, target, cause = self._extended(t)
        elif self.loss.curved and t < 0:
            problem, params = self.forward.program.tilt(self.forward.params, self.tilt(t))
            assert isinstance(problem, Structure)
            found, cause = self._afresh(*well_posed(problem, params))
        else:
            causes = list[Exception | None]()

            def settle(answer: Answer) -> Solution:
                causes.append(answer.cause)
                own.stats.add(re_solves=len(answer.solution))
                return _accepted(answer, accept=own.accept_inexact)

            found = Solved(self.forward, start, settle).resolve(self.tilt(t))
            cause = next((c for c in causes if c is not None), None)
        failed = np.flatnonzero(~found.solved)
        why = Failures(self.rows[failed], found.status[failed], {}, cause)
        stage = f"solve with {t:.3g} times the loss"
        own.stats.add(seconds_forward=time.perf_counter() - began)
        report.judge(why, self.forward, stage, own.on_failure, own.stats, ADVICE)
        slopes = self.loss.slopes(found.x)
        return _End(t, weight, found, slopes if target is None else (target, slopes[1]))

    def _extended(self, t: float) -> tuple[Solution, FloatArray, Exception | None]:
        program = self.forward.program
        assert isinstance(program, Structure)
        assert isinstance(self.loss, Absolute)
        steps = (
            self.tilt(0.0) if not self.rho else replace(self.tilt(t), t=np.zeros(len(self.rows)))
        )
        problem, params = program.tilt(self.forward.params, steps)
        size = np.full(len(self.rows), t)
        found, cause = self._afresh(*extended(problem, params, self.loss, size))
        return original(problem, found), pulls(problem, found, t), cause

    def _afresh(self, problem: Problem, params: Params) -> tuple[Solution, Exception | None]:
        own, size = self.program.map, len(self.rows)

        def settle(answer: Answer) -> Solution:
            own.stats.add(set_ups=answer.set_ups, re_solves=size)
            return _accepted(answer, accept=own.accept_inexact)

        solver = Solver(problem, own.choose(problem).engine, own.threads, settle)
        found = solver.solve(Batch(params, None, size), {})
        return found.solution, found.cause

    def values(self, ends: Sequence[_End]) -> FloatArray:
        """The envelope of each row, NaN where it failed."""
        good = np.logical_and.reduce([end.point.solved for end in ends])
        with np.errstate(over="ignore", invalid="ignore"):
            found = np.where(good, sum(map(self.value, ends)), np.nan)
        over = self.rows[good & np.isnan(found)].tolist()
        notes = dict.fromkeys(over, "the value of the loss overflows")
        _told(self.program, self.forward, notes, Status.NUMERICAL)
        return found

    def value(self, end: _End) -> FloatArray:
        """V(t) of each row, times the end's weight."""
        program, x = self.forward.program, end.point.x
        value = program.lagrangian(self.forward.params, end.point, self.flat)
        if end.t:
            gap = x - self.forward.solution.x[self.rows]
            value = value + end.t * self.loss.value(x)
            value = value + 0.5 * self.rho * np.einsum("ni,ni->n", gap, gap)
        return end.weight * value

    def term(self, end: _End, weight: FloatArray) -> Term:
        """The Lagrangians whose gradient is that of V(t)."""
        return Term(weight, end.point, self.flat)

    @property
    def flat(self) -> Tilt:
        """No tilt at all."""
        x, none = self.forward.solution.x[self.rows], np.zeros(len(self.rows))
        empty = np.zeros((len(x), self.forward.program.m))
        return Tilt(self.rows, none, np.zeros_like(x), empty, none, x)


def _accepted(answer: Answer, *, accept: bool) -> Solution:
    solution = answer.solution
    if not accept:
        return solution
    return replace(solution, status=np.where(inexact(answer), np.int8(0), solution.status))


def gradients(
    program: Program,
    forward: Forward,
    terms: list[Term],
    way: Derivative,
    shapes: Sequence[Shape],
) -> list[FloatArray]:
    """Gradients of weighted Lagrangians of some rows, summed to the shapes of the wanted data."""
    every = [_spread(term, forward) for term in terms]
    wanted = program.sums(way, shapes, forward.shape)
    found = program.problem.grad(forward.params, every, wanted)
    return [
        np.ascontiguousarray(found[name]).reshape(shape)
        for name, shape in zip(wanted, way.chosen(shapes), strict=True)
    ]


def _spread(term: Term, forward: Forward) -> Term:
    """The term of all elements: others have no weight."""
    size, rows = len(forward.solution), term.tilt.rows
    if len(rows) == size:
        return term
    weight, none = np.zeros(size), np.zeros(size)
    weight[rows] = term.weight
    x, y = forward.solution.x, forward.solution.y
    tilt = Tilt(np.arange(size), none, np.zeros_like(x), np.zeros_like(y), none, x)
    return Term(weight, forward.solution.put(rows, term.point), tilt)


def summed(gradient: FloatArray, shape: Shape) -> FloatArray:
    """The gradient of something that was broadcast, summed back to its shape."""
    lead = gradient.ndim - len(shape)
    gradient = gradient.sum(axis=tuple(range(lead)))
    wide = tuple(i for i, size in enumerate(shape) if size == 1 and gradient.shape[i] > 1)
    return gradient.sum(axis=wide, keepdims=True) if wide else gradient
