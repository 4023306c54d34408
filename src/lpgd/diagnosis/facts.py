"""What a forward and a backward pass of one call did, element by element."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from lpgd.core.abilities import Measured
from lpgd.core.engine import Answer
from lpgd.core.params import taken
from lpgd.core.problem import Ability
from lpgd.core.rule import Pullback, Rule
from lpgd.core.scaling import top
from lpgd.core.solution import BoolArray, FloatArray, IntArray, Rows, Solution, Status
from lpgd.core.tilt import Adjoint, Cotangent
from lpgd.diagnosis.breakpoints import breakpoints
from lpgd.diagnosis.shape import Shape
from lpgd.frontend.subject import Subject
from lpgd.map.forward import Forward, Solved
from lpgd.rules.ends import Side, untilted
from lpgd.rules.sizes import Sizes, norm

MOVED = 1e-12  # relative move that is one; as the map's own watch


@contextmanager
def silent() -> Iterator[None]:
    """Without warnings: what they would say is part of the diagnosis."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


@dataclass(frozen=True, eq=False)
class Facts:
    """What is known of a call before any cause is looked for.

    Attributes
    ----------
    subject : Subject
    forward : Forward
    outputs : list of arrays
    value, wide_value : float
        The loss in the caller's dtype and in float64.
    cotangent, wide : Cotangent
        The same of its derivatives.
    rows : (R,) int
        Elements that were pulled back: solved, finite, and pulled at.
    passed : Passed or None
        What the rule made of these.
    sizes : Sizes or None
        Their sizes.
    """

    subject: Subject
    forward: Forward
    outputs: list[FloatArray]
    value: float
    wide_value: float
    cotangent: Cotangent
    wide: Cotangent
    rows: IntArray
    passed: Passed | None
    sizes: Sizes | None

    @property
    def size(self) -> int:
        """Number of elements."""
        return len(self.forward.solution)

    @property
    def rule(self) -> Rule:
        """The rule of the layer."""
        return self.subject.program.map.rule

    @property
    def tau(self) -> float | None:
        """The fixed tau of the rule; None where it chooses, or has none."""
        tau = getattr(self.rule, "tau", None)
        return float(tau) if isinstance(tau, (int, float)) else None

    @property
    def side(self) -> Side:
        """The side of the rule; of one without, where a tau is tried, the average."""
        return getattr(self.rule, "side", "average")

    @property
    def rho(self) -> float:
        """The proximal weight of the rule."""
        return float(getattr(self.rule, "rho", 0.0))

    def spread(self, values: np.ndarray, rest: object = 0) -> np.ndarray:
        """Values of the rows that were pulled back among those of all elements."""
        every = np.full((self.size, *values.shape[1:]), rest, dtype=values.dtype)
        every[self.rows] = values
        return every


@dataclass(frozen=True)
class Passed(Rows):
    """What a rule made of R rows.

    Attributes
    ----------
    failed : (R,) int8
        A Status a row, of the tilted solves.
    tau : (R,) float64
        Zero where nothing was tilted.
    moved : (R,) bool
        Whether a solution that the gradient is made of is away from x*.
    gradient : (R,) float64
        Size of each row's gradient of the learned arguments.
    degenerate, unverified, stays : (R,) bool
        As the rule, or the adjoint, says.
    still, vertex : (R,) bool
        x does not move at first order; and that at a vertex, not as a loss at rest would.
    breakpoints : (R, 2) float64
        Up to which |t|, for t < 0 and t > 0, the solution moves as at first; NaN if unknown.
    active, redundant, flat, pinned
        See ``Shape``.
    speed : (R,) float64
        How fast x moves with t at first, over the user's entries.
    """

    failed: np.ndarray
    tau: FloatArray
    moved: BoolArray
    gradient: FloatArray
    degenerate: BoolArray
    unverified: BoolArray
    stays: BoolArray
    still: BoolArray
    vertex: BoolArray
    breakpoints: FloatArray
    active: IntArray
    redundant: BoolArray
    flat: BoolArray
    pinned: BoolArray
    speed: FloatArray


def collect(subject: Subject) -> Facts:
    """Solve, evaluate the loss and pull it back, without a word."""
    with silent():
        program, batch = subject.program, np.arange(int(np.prod(subject.shape)))
        forward, outputs = program.solve(
            subject.data, subject.shape, subject.precision.eps, keep=True
        )
        value, narrow = subject.loss(outputs, wide=False)
        own = subject.precision.name == "float64"
        wide_value, broad = (value, narrow) if own else subject.widely(outputs)
        cotangent, wide = (_cotangent(subject, batch, parts) for parts in (narrow, broad))
        point = forward.solution
        fit = point.solved & cotangent.finite
        rows = np.flatnonzero(fit & forward.moving(cotangent))
        passed, sizes = None, None
        if len(rows):
            some = cotangent.take(rows)
            # where a rule smooths by samples, the problem itself is looked at
            plain = (
                forward
                if forward.samples is None
                else replace(forward, samples=None, workspace=None)
            )
            backward = solved(plain, subject, point.take(rows))
            tilt = untilted(backward.point, some, _rho(subject))
            family = cast(Measured, backward.problem)  # all are, for a look at least
            sizes = Sizes.of(backward.point, tilt, backward, family)
            passed = _passed(subject, forward, backward, some, sizes)
    return Facts(subject, forward, outputs, value, wide_value, cotangent, wide, rows, passed, sizes)


def solved(forward: Forward, subject: Subject, point: Solution) -> Solved:
    """What a rule may ask of a forward pass, as the layer's own map settles it."""
    own = subject.program.map

    def settle(answer: Answer) -> Solution:
        solution = answer.solution
        if not own.accept_inexact:
            return solution
        usable = solution.status == Status.INACCURATE
        return replace(solution, status=np.where(usable, np.int8(0), solution.status))

    memory = {name: array.copy() for name, array in own.memory.items()}
    return Solved(forward, point, settle, memory)


def pull(
    rule: Rule, backward: Solved, cotangent: Cotangent, subject: Subject
) -> tuple[Pullback, FloatArray, BoolArray]:
    """A pullback, the size of each row's gradient, and whether its solution moved."""
    point = backward.point
    pulled = rule.pullback(point, cotangent, backward)
    moved = np.zeros(len(point), dtype=np.bool_)
    large = [1 + top(part) for part in (point.x, point.y)]
    size = MOVED * large[0]
    for term in pulled.terms:
        gap = top(term.point.x - point.x)
        moved |= (gap > size) & (term.weight != 0)
    gradient = row_sizes(backward.forward, pulled, subject)
    if pulled.tau is not None:  # differences of what did not move are rounding
        rounding = MOVED * large[0] * large[1] / np.where(pulled.tau > 0, pulled.tau, np.inf)
        gradient = np.where(~moved & (gradient <= rounding), 0.0, gradient)
    return pulled, gradient, moved


def row_sizes(forward: Forward, pulled: Pullback, subject: Subject) -> FloatArray:
    """Euclidean length of each row's gradient of the learned arguments."""
    program, each = subject.program, np.arange(len(pulled.failed))[:, None]
    names = [name for name, own in zip(program.names, subject.learned, strict=True) if own]
    found = program.problem.grad(forward.params, pulled.terms, dict.fromkeys(names, each))
    squares = [norm(gradient.reshape(len(each), -1)) ** 2 for gradient in found.values()]
    return np.sqrt(np.sum(squares, axis=0)) if squares else np.zeros(len(each))


def _cotangent(subject: Subject, batch: IntArray, parts: list[np.ndarray]) -> Cotangent:
    flat = [np.ascontiguousarray(part).reshape(len(batch), part.shape[-1]) for part in parts]
    return subject.program.view.cotangent(batch, flat)


def _rho(subject: Subject) -> float:
    return float(getattr(subject.program.map.rule, "rho", 0.0))


def _passed(
    subject: Subject, forward: Forward, backward: Solved, cotangent: Cotangent, sizes: Sizes
) -> Passed:
    rule, size, rho = subject.program.map.rule, len(cotangent.rows), _rho(subject)
    own = solved(forward, subject, backward.point)
    pulled, gradient, moved = pull(rule, own, cotangent, subject)
    known = first_order(backward, cotangent, rho, sizes)
    params = taken(backward.params, cotangent.rows)
    shape = Shape.of(backward.problem, params, backward.point, sizes.dx)
    still = sizes.still(known.a)
    none = np.zeros(size, dtype=np.bool_)
    vertex = still & ~known.strict & sizes.primal & ~shape.pinned
    flags = [part if part is not None else none for part in (pulled.degenerate, pulled.unverified)]
    failed = np.array(pulled.failed)
    tau = np.zeros(size) if pulled.tau is None else pulled.tau
    return Passed(
        failed, tau, moved, gradient,
        flags[0] | known.degenerate, flags[1] | known.unsure,
        none if pulled.stays is None else pulled.stays, still, vertex,
        breakpoints(backward, cotangent, rho, known, sizes), shape.active, shape.redundant,
        shape.flat, shape.pinned,
        top(known.a[:, sizes.mine[0]]),
    )  # fmt: skip


def first_order(backward: Solved, cotangent: Cotangent, rho: float, sizes: Sizes) -> Adjoint:
    """The derivative along a cotangent, where the family has none a difference of small tilts.

    That of linear costs over a set is zero.
    """
    if Ability.ADJOINT in backward.problem.abilities:
        return backward.adjoint(cotangent, rho)
    none, a = np.zeros(len(cotangent.rows), dtype=np.bool_), np.zeros_like(cotangent.dx)
    if not sizes.family.linear:
        t = sizes.small
        tilt = untilted(backward.point, cotangent, rho)
        hi, lo = backward.resolve(tilt.at(t)), backward.resolve(tilt.at(-t))
        rows = hi.solved & lo.solved & (t > 0) & (sizes.moved(hi) | sizes.moved(lo))
        a[rows] = (hi.x - lo.x)[rows] / (2 * t[rows, None])
    return Adjoint(a, np.zeros_like(cotangent.dy), none, none, none)
